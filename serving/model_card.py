"""What is known about a model and travels with it: data, periods, figures, licences, and the stamp put on every output.

``serving.training`` writes ``card.json`` beside the network; workers read the stamp and the thresholds from it. Also
here: where the model repository lies, in a checkout and in the installed package.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from stream.contracts.scores import ModelStamp

MODEL_NAME: Final = "customer"
CARD_FILE: Final = "card.json"
MODEL_FILE: Final = "model.onnx"

HORIZONS_DAYS: Final = (30, 60, 90)
"""Horizons of the churn outputs, in their order."""

HORIZONS: Final = tuple(f"{days}d" for days in HORIZONS_DAYS)
"""The same as they are named in ``Answer.churn``."""


class Period(msgspec.Struct, frozen=True):
    """First and last cut-off, inclusive, as ISO dates. What was learned or measured at them lies after each cut-off."""

    first: str
    last: str


class DataFile(msgspec.Struct, frozen=True):
    """A file of events that the model was made from."""

    name: str
    sha256: str
    events: int
    customers: int
    first_event: str
    last_event: str


class DataLicence(msgspec.Struct, frozen=True):
    """Who made the data, and on which terms."""

    title: str
    authors: str
    source: str
    licence: str


class Threshold(msgspec.Struct, frozen=True):
    """Where to raise and resolve, chosen so that a share of active customers is alerted on the evaluation period."""

    horizon: str
    budget_share: float
    """Share of active customers at or above ``raise_at``."""
    raise_at: float
    resolve_at: float
    precision: float
    """Share of those alerted who did not buy within the horizon."""
    base_rate: float
    """The same share over all active customers."""


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """``card.json``. Figures are from cut-offs later than everything that the measured network was trained or
    calibrated on."""

    name: str
    version: str
    """Version folder of the repository, a dot, and the first 8 hex digits of the network's SHA-256."""
    feature_schema: str
    fold_version: int
    """Version of the profile fold that made the training set."""
    currency: str
    """Currency of the revenue outputs."""
    data: list[DataFile]
    licences: list[DataLicence]
    training: Period
    calibration: Period
    evaluation: Period
    evaluated_training: Period
    """Training cut-offs of the network that the figures belong to: same settings, earlier data, so that nothing was
    seen before."""
    examples: int
    metrics: dict[str, dict[str, float]]
    """Figure by metric by who made the prediction: ``model`` or a baseline."""
    base_rates: dict[str, float]
    """Churn among eligible customers on the evaluation period, by horizon."""
    active_base_rates: dict[str, float]
    """Churn among customers who bought within 90 days before, by horizon."""
    thresholds: list[Threshold]
    settings: dict[str, float | int | str | bool]
    demo_customers: list[str]
    """Hashes (``serving.holdout.listed_hash``) of customers that were kept out for the demo."""

    @property
    def stamp(self) -> ModelStamp:
        """What goes on every output made with this model."""
        return ModelStamp(self.name, self.version, self.feature_schema)

    @property
    def repository_version(self) -> str:
        """The version folder, as Triton names it."""
        return self.version.partition(".")[0]

    def threshold(self, horizon: str) -> Threshold:
        """The recommended thresholds of ``horizon``, such as ``30d``.

        Raises:
            KeyError: the card has none for it.
        """
        for threshold in self.thresholds:
            if threshold.horizon == horizon:
                return threshold
        raise KeyError(f"model {self.name} {self.version} has no threshold for {horizon}")


def model_repository() -> Path:
    """The folder that Triton serves: ``triton_models`` of the checkout, else the one installed with the package.

    Raises:
        FileNotFoundError: neither exists.
    """
    package = Path(__file__).resolve().parent
    for folder in (package.parent / "triton_models", package / "triton_models"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"no triton_models beside or in {package}: install the package again, or run `tidemark train`"
    )


def version_folder(repository: Path, name: str = MODEL_NAME) -> Path:
    """Folder of the model's newest version.

    Raises:
        FileNotFoundError: the repository has no version of it.
    """
    versions = [path for path in (repository / name).glob("*") if path.is_dir() and path.name.isdecimal()]
    if not versions:
        raise FileNotFoundError(
            f"{repository} has no version of model {name}: run `tidemark train` or give another repository"
        )
    return max(versions, key=lambda path: int(path.name))


def network_version(folder: Path, number: int) -> str:
    """``<number>.<first 8 hex digits of the network's SHA-256>`` of the network in a version folder."""
    return f"{number}.{hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()[:8]}"


def read_model_card(folder: Path) -> ModelCard:
    """Read ``card.json`` of a version folder.

    Raises:
        FileNotFoundError: it is not there.
        msgspec.ValidationError: it is not a model card.
    """
    return msgspec.json.decode((folder / CARD_FILE).read_bytes(), type=ModelCard)


def write_model_card(folder: Path, card: ModelCard) -> None:
    """Write ``card.json``, indented so that a person can read it and a diff shows what changed."""
    (folder / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card, order="sorted"), indent=1) + b"\n")
