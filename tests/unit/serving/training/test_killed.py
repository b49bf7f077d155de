"""Training that is killed with -9 ends as if it had not been. Needs torch."""

import random

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

import multiprocessing
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from serving.in_process import MODEL_FILE
from serving.item_tower import ITEM_TOWER_FILE
from serving.model_card import read_model_card, version_folder
from serving.training import train as training
from serving.training.settings import TrainingSettings
from stream.contracts.codec import encode
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events
from tests.unit.serving.small_network import SMALL

KILLS = 2
SETTINGS = TrainingSettings(epochs=3, query_epochs=2, examples_per_epoch=1_000, threads=1, network=SMALL)


def run(events: Path, out: Path) -> None:
    # One of the four cut-offs: the others do the same again.
    training.EVALUATION_DAYS = (90,)
    training.train([events], out, SETTINGS, ProfileSettings(), seconds_between=0.1)


@pytest.fixture(scope="module")
def started():
    # Processes that are forked from one that has torch and no threads yet.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["serving.training.train", "onnxscript", "lightgbm", __name__])

    def start(events: Path, out: Path) -> BaseProcess:
        process = processes.Process(target=run, args=(events, out))
        process.start()
        return process

    return start


@pytest.mark.slow
def test_training_killed_at_random_places_ends_with_the_same_model_and_figures(tmp_path, started):
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(map(encode, shop_events(customers=40, days=420))))
    started(tmp_path / "absent.jsonl", tmp_path / "nowhere").join()  # The server that forks takes a while to begin.
    began = time.monotonic()
    undisturbed = started(events, tmp_path / "undisturbed")
    undisturbed.join()
    assert undisturbed.exitcode == 0
    took, seed = time.monotonic() - began, random.SystemRandom().getrandbits(32)
    places = random.Random(seed)
    kills = 0
    while not (tmp_path / "killed" / "customer").exists() or (tmp_path / "killed" / training.UNFINISHED_RUN).exists():
        process = started(events, tmp_path / "killed")
        process.join(places.uniform(0.1, 0.5) * took if kills < KILLS else None)
        kills += process.is_alive()
        process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    assert kills, f"nothing was killed in {took:.1f} s, seed {seed}"
    whole, resumed = version_folder(tmp_path / "undisturbed"), version_folder(tmp_path / "killed")
    print(f"killed {kills} times of {took:.1f} s, seed {seed}")
    assert read_model_card(resumed) == read_model_card(whole), f"killed {kills} times, seed {seed}"
    for name in (MODEL_FILE, ITEM_TOWER_FILE):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes(), f"{name}, seed {seed}"
