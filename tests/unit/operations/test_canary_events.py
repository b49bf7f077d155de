"""What versions are compared on where nobody says."""

import gzip
from pathlib import Path

from stream.configuration.settings import Configuration
from stream.contracts.codec import encode
from stream.operations.canary_events import CANARIES_FILE, compared_on
from tests.unit.serving.recorded_shop import shop_events


def test_the_canaries_of_the_last_training_come_before_the_demo_and_named_files_before_both(tmp_path: Path) -> None:
    configuration = Configuration(data_dir=str(tmp_path))
    assert compared_on(configuration, []).source == "the demo's sample"
    events = shop_events(customers=2, days=40)
    lines = b"".join(encode(event) + b"\n" for event in events)
    (tmp_path / CANARIES_FILE).write_bytes(gzip.compress(lines))
    (tmp_path / "named.jsonl").write_bytes(lines)
    found = compared_on(configuration, [])
    assert found.source == str(tmp_path / CANARIES_FILE)
    assert list(found.events) == events
    assert compared_on(configuration, [tmp_path / "named.jsonl"]).source == str(tmp_path / "named.jsonl")
