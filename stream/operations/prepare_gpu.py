"""Makes the fp16 graphs that the gpu profile of the model repository names, and refuses those that decide differently.

Each is compared with the fp32 graph of the same weights on the demo's customers, whom no model was trained on and whose
outcome is known. `python -m stream.operations.prepare_gpu [REPOSITORY]`; needs the extra `train`, and no GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import onnxruntime
import typer

from serving.catalogue import Catalogue
from serving.dataset import by_customer, examples
from serving.evaluation.precision import Shift, churn_shift, refusals, text_shift
from serving.evaluation.truth import truth_after
from serving.features import tensors
from serving.history import Journey, catalogue_items, journeys
from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import HORIZONS_DAYS, MODEL_FILE, MODEL_NAME, model_repository, read_model_card, version_folder
from serving.registry import Registry
from serving.scorer import OUTPUTS, Tensors
from serving.shop import SHOP_FILE, read_shop
from serving.text.card import TEXT_MODEL_NAME, read_text_card
from serving.text.decision import decide
from serving.text.tokens import TextTokens
from serving.text.triton_config import ATTENTION_MASK, INPUT_IDS, PROBABILITIES, VECTOR
from stream.contracts.events import Event
from stream.contracts.times import DAY_MS, to_epoch_ms
from stream.operations.demo_events import sample
from stream.profiles import codec
from stream.profiles.settings import ProfileSettings

MOMENTS: Final = 6
MOMENT_DAYS: Final = 30
_BATCH: Final = 256
_TEXTS: Final = 512


class HalfRefused(ValueError):
    """An fp16 graph decides differently from the fp32 one; it was not kept."""


class Prepared(msgspec.Struct, frozen=True):
    """An fp16 graph that may be served."""

    model: str
    path: Path
    bytes: int
    shift: Shift


class Customers(NamedTuple):
    """N customers at moments whose outcome is known."""

    inputs: list[dict[str, npt.NDArray[Any]]]
    """In batches."""
    churned: dict[int, npt.NDArray[np.bool_]]
    """bool[N] by horizon in days."""


def known_customers(events: Iterable[Event], folder: Path, settings: ProfileSettings) -> Customers:
    """The customers of ``events`` at several moments, the last of them 90 days before the end."""
    history = sorted(events, key=lambda event: to_epoch_ms(event.time))
    end = max(to_epoch_ms(event.time) for event in history)
    last = end - max(HORIZONS_DAYS) * DAY_MS
    cutoffs = [last - number * MOMENT_DAYS * DAY_MS for number in reversed(range(MOMENTS))]
    purchases = journeys(history, settings)
    found = [
        example
        for example in examples(by_customer(history), cutoffs, last, settings)
        if example.trigger is None and _has_bought(purchases.get(example.customer_id), example.as_of)
    ]
    found.sort(key=lambda example: (example.as_of, example.customer_id))
    churned: dict[int, list[npt.NDArray[np.bool_]]] = {}
    for moment in sorted({example.as_of for example in found}):
        asked = [example.customer_id for example in found if example.as_of == moment]
        for days, truth in truth_after(purchases, asked, moment, end).churned.items():
            churned.setdefault(days, []).append(truth)
    catalogue = Catalogue.from_items(
        catalogue_items(history, end), read_item_tower(folder / ITEM_TOWER_FILE), read_shop(folder / SHOP_FILE)
    )
    inputs = []
    for start in range(0, len(found), _BATCH):
        chunk = found[start : start + _BATCH]
        profiles = [codec.decode(example.profile) for example in chunk]
        inputs.append(tensors(profiles, [example.as_of for example in chunk], catalogue))
    return Customers(inputs, {days: np.concatenate(parts) for days, parts in churned.items()})


def item_names(events: Iterable[Event]) -> list[str]:
    """Texts of the shop: the names of its items, longest first."""
    names = {item.item_name for event in events for item in event.items if item.item_name}
    return sorted(names, key=lambda name: (-len(name), name))[:_TEXTS]


def prepare_customer_model(folder: Path, customers: Customers) -> Prepared:
    """Write the fp16 graph of a version folder.

    Raises:
        HalfRefused: it decides differently.
    """
    from serving.half import write_half

    path = write_half(folder)
    exact, half = (_outputs(folder / name, customers) for name in (MODEL_FILE, path.name))
    shift = churn_shift(exact, half, read_model_card(folder).thresholds, customers.churned)
    return _kept(MODEL_NAME, path, shift)


def prepare_text_encoder(folder: Path, texts: Sequence[str]) -> Prepared:
    """Write the fp16 graph of a version folder.

    Raises:
        HalfRefused: it decides differently from the graph in fp32.
    """
    from serving.half import write_half, write_single

    path, card = write_half(folder), read_text_card(folder)
    batches = list(TextTokens(folder, card.longest).batches(texts, _BATCH))
    with TemporaryDirectory() as scratch:
        single = Path(scratch) / "single.onnx"
        write_single(folder, single)
        found = []
        for graph in (single, path):
            session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
            parts = [
                session.run([PROBABILITIES, VECTOR], {INPUT_IDS: b.input_ids, ATTENTION_MASK: b.attention_mask})
                for b in batches
            ]
            found.append((np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts])))
    labels = [decide(probabilities, card.label_offsets) for probabilities, _ in found]
    return _kept(TEXT_MODEL_NAME, path, text_shift(found[0], found[1], labels[0], labels[1]))


def prepare_gpu(
    repository: Path, events: Sequence[Event], say: Callable[[Prepared], None] = lambda prepared: None
) -> list[Prepared]:
    """Write the fp16 graphs of the text encoder, and of the versions of the customer model that Triton loads and the
    newest.

    Args:
        say: told of each graph when it is kept.

    Raises:
        HalfRefused: one of them decides differently.
        FileNotFoundError: the repository lacks a model.
    """
    registry = Registry(repository, MODEL_NAME)
    text = version_folder(repository, TEXT_MODEL_NAME)
    found: list[Prepared] = []
    for number in sorted({*registry.served(), *registry.numbers()[-1:]}):
        customer = registry.get(str(number)).folder
        found.append(prepare_customer_model(customer, known_customers(events, customer, ProfileSettings())))
        say(found[-1])
    found.append(prepare_text_encoder(text, item_names(events)))
    say(found[-1])
    return found


def _has_bought(journey: Journey | None, as_of: int) -> bool:
    return journey is not None and bool(journey.times[0] <= as_of)


def _outputs(path: Path, customers: Customers) -> Tensors:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [spec.name for spec in OUTPUTS]
    parts = [session.run(names, inputs) for inputs in customers.inputs]
    return {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}


def _kept(model: str, path: Path, shift: Shift) -> Prepared:
    if why := refusals(shift):
        path.unlink()
        raise HalfRefused(
            f"the fp16 graph of model {model} must not be served: {'; '.join(why)} ({shift.rows} compared). "
            "Serve it in fp32: default_model_filename in its configs/gpu.pbtxt"
        )
    return Prepared(model, path, path.stat().st_size, shift)


def command(
    repository: Annotated[Path | None, typer.Argument(help="Default: triton_models of this checkout.")] = None,
) -> None:
    """Write model.fp16.onnx beside each model.onnx, for a Triton with the gpu profile."""

    def say(prepared: Prepared) -> None:
        shift = prepared.shift
        typer.echo(
            f"{prepared.model}: {prepared.bytes / 1e6:.1f} MB; {shift.crossings:.2%} of {shift.rows:,} differ;\n"
            f"  calibration moved by {shift.moved:.4f}, lowest cosine {shift.alike:.5f}"
        )

    try:
        prepare_gpu(repository or model_repository(), list(sample()), say)
    except HalfRefused as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(4) from error


if __name__ == "__main__":
    typer.run(command)
