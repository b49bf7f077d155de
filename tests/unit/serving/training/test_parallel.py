"""Two processes that train a customer model together make the model that one makes. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

from pathlib import Path

import numpy as np
import torch

from serving.dataset import calendar_cutoffs, examples
from serving.training.checkpoints import Checkpoints
from serving.training.fit import fit
from serving.training.known import known_at
from serving.training.parallel import ALONE, World, launched
from serving.training.settings import TrainingSettings
from serving.training.train import read_source
from stream.contracts.codec import encode
from stream.contracts.times import DAY_MS
from stream.profiles.settings import ProfileSettings
from tests.unit.serving.recorded_shop import shop_events
from tests.unit.serving.small_network import SMALL, quiet
from tests.unit.serving.two_processes import together

# Words that are blanked are drawn anew by each process: without them both see the same.
SETTINGS = TrainingSettings(
    epochs=1, query_epochs=2, examples_per_epoch=500, batch_size=101, word_dropout=0.0, threads=1, network=SMALL
)


class Killed(BaseException):
    """Stands for a kill: nothing of the fit is used afterwards."""


def run(world: World, out: Path, events: Path, kill_at: int = 0) -> None:
    torch.set_num_threads(1)
    source = read_source([events], ProfileSettings(), "the shop")
    cutoffs = calendar_cutoffs(source.first + 60 * DAY_MS, source.end, 7)
    found = list(examples(source.histories, cutoffs, source.end, ProfileSettings()))
    then = known_at(source, found, source.end, SETTINGS, quiet)

    def fitted(report):
        kept = Checkpoints(out / "states", "run", 0.0, world)
        return fit(then.arrays, then.labels, then.items, source.end, SETTINGS, report, kept, world=world)

    def kill(what: str, done: int, of: int) -> None:
        if what == "queries" and done == kill_at:
            raise Killed

    if kill_at:
        with pytest.raises(Killed):
            fitted(kill)
    made = fitted(quiet)
    torch.save({"weights": made.network.state_dict(), "loss": made.validation_loss}, out / "made.pt")


def test_two_processes_make_the_network_of_one_also_when_they_were_killed(tmp_path):
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(map(encode, shop_events(customers=20, days=420))))
    (tmp_path / "alone").mkdir()
    run(ALONE, tmp_path / "alone", events)
    together(run, tmp_path, events, 4)
    alone, first, second = (torch.load(tmp_path / name / "made.pt") for name in ("alone", "0", "1"))
    assert first["loss"] == second["loss"] == alone["loss"]
    for name, weights in alone["weights"].items():
        assert torch.equal(first["weights"][name], second["weights"][name]), f"{name} is another in the second process"
        off = (weights - first["weights"][name]).abs()
        if name.endswith("project.bias"):
            # What is added to every key moves no softmax: its gradient is rounding, of which Adam makes steps.
            off[len(off) // 3 : 2 * len(off) // 3] = 0
        assert off.max() < 1e-4, name
    assert (tmp_path / "0" / "states").exists()
    assert not (tmp_path / "1" / "states").exists(), "the second process keeps states too"


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with launched() as world:
        assert world == ALONE
        assert world.first
        assert world.from_first(lambda: 3) == 3
        assert world.part(np.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_the_parts_of_a_batch_are_the_batch():
    rows = np.arange(7)
    parts = [World(rank, 3).part(rows) for rank in range(3)]
    assert sorted(np.concatenate(parts)) == rows.tolist()
    assert {len(part) for part in parts} == {2, 3}
