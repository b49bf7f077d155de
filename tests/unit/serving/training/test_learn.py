"""The training loop: what it goes on from after a kill, and when it stops. Needs torch."""

import pytest

pytest.importorskip("torch", reason="training needs the extra `train`, which `make test` installs")

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from serving.training.checkpoints import NOTHING_KEPT, Checkpoints
from serving.training.learn import Best, Pool, Task, learn
from serving.training.logs import named, tensorboard
from serving.training.settings import TrainingSettings
from serving.training.weights import by_age
from tests.unit.serving.small_network import quiet

SETTINGS = TrainingSettings(seed=3, examples_per_epoch=40, batch_size=8)
STEPS = 3 * 5


class Killed(BaseException):
    """Stands for a kill: nothing of the process is used afterwards."""


def task(held_out: Iterator[float] | None = None) -> Task:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    x = torch.arange(400.0).reshape(100, 4).sin()
    y = x.sum(dim=1, keepdim=True)
    rows = np.arange(100)
    pool = Pool(rows, by_age(rows * 1_000, 50_000), rows % 7)
    return Task(
        "lesson", network, network.parameters(), lambda batch: ((network(x[batch]) - y[batch]) ** 2).mean(), pool,
        3, 3, 0.05, None if held_out is None else lambda: next(held_out),
    )  # fmt: skip


def weights(network: nn.Module) -> list[float]:
    return [float(value) for tensor in network.state_dict().values() for value in tensor.flatten()]


@pytest.mark.parametrize("killed_at", range(1, STEPS + 1))
def test_a_fit_killed_after_any_batch_ends_with_the_same_weights(tmp_path, killed_at):
    undisturbed = task()
    learn(undisturbed, SETTINGS, NOTHING_KEPT.fit("lesson"), quiet)

    def kill(what: str, done: int, of: int) -> None:
        if done == killed_at:
            raise Killed

    # A state is left every other batch, so that the fit goes on from before the place where it was killed.
    kept = Checkpoints(tmp_path, "run", seconds=0.0)
    first = kept.fit("lesson")
    turns = iter(range(STEPS + 1))
    first.due = lambda: next(turns) % 2 == 0
    with pytest.raises(Killed):
        learn(task(), SETTINGS, first, kill)
    resumed = task()
    learn(resumed, SETTINGS, kept.fit("lesson"), quiet)
    assert weights(resumed.network) == weights(undisturbed.network)


def test_a_finished_fit_is_not_done_again(tmp_path):
    kept, told = Checkpoints(tmp_path, "run"), []
    first = task(iter([3.0, 2.0, 1.0]))
    assert learn(first, SETTINGS, kept.fit("lesson"), quiet) == Best(3, 1.0)
    again = task(iter([]))
    assert learn(again, SETTINGS, kept.fit("lesson"), lambda *what: told.append(what)) == Best(3, 1.0)
    assert weights(again.network) == weights(first.network)
    assert told == [("lesson", STEPS, STEPS)]


def test_learning_stops_when_the_later_period_gets_no_better():
    asked = iter([2.0, 3.0, 1.0])
    assert learn(task(asked), SETTINGS, NOTHING_KEPT.fit("lesson"), quiet) == Best(1, 2.0)
    assert next(asked) == 1.0, "a third epoch was run"


def test_a_state_that_was_not_written_whole_is_not_read(tmp_path):
    kept = Checkpoints(tmp_path, "run")
    learn(task(), SETTINGS, kept.fit("lesson"), quiet)
    (path,) = tmp_path.glob("*.pt")
    path.rename(path.with_suffix(".unfinished"))
    assert kept.fit("lesson").read() is None


def test_the_shortest_schedules_do_not_divide_by_zero():
    short = TrainingSettings(examples_per_epoch=24, batch_size=8)
    learn(task(), short, NOTHING_KEPT.fit("lesson"), quiet)


def test_curves_are_kept_and_change_nothing(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    silent = task(iter([3.0, 2.0, 1.0]))
    learn(silent, SETTINGS, NOTHING_KEPT.fit("lesson"), quiet)
    heard = task(iter([3.0, 2.0, 1.0]))
    with tensorboard(tmp_path) as log:
        learn(heard, SETTINGS, NOTHING_KEPT.fit("lesson"), quiet, named(log, "shipped"))
    assert weights(heard.network) == weights(silent.network)
    kept = EventAccumulator(str(tmp_path)).Reload()
    assert [point.value for point in kept.Scalars("shipped/lesson/held-out loss")] == [3.0, 2.0, 1.0]
    (rate,) = kept.Scalars("shipped/lesson/learning rate")
    assert (rate.step, 0 < rate.value < 0.05) == (10, True)
