"""What is known about a model and travels with it: data, periods, figures, licences, and the stamp put on every output.

``serving.training`` writes ``card.json`` beside the network; workers read the stamp and the thresholds from it. Also
here: where the model repository lies, in a checkout and in the installed package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from serving.holdout import listed_hash
from stream.contracts.scores import ModelStamp

MODEL_NAME: Final = "customer"
CARD_FILE: Final = "card.json"
MODEL_FILE: Final = "model.onnx"

HORIZONS_DAYS: Final = (30, 60, 90)
"""Horizons of the churn outputs, in their order."""

HORIZONS: Final = tuple(f"{days}d" for days in HORIZONS_DAYS)
"""The same as they are named in ``Answer.churn``."""


RHYTHM_BASKETS: Final = 2
RHYTHM_SPAN_DAYS: Final = 7.0
"""From so many orders over so many days on a customer has a rhythm of their own: what alerts, and the levels of scores
in a card, tell apart."""


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


class UnknownLevels(LookupError):
    """A share of customers was asked for, and the card does not know which score it reaches."""


class ScoreLevels(msgspec.Struct, frozen=True):
    """How the scores of active customers lay on the newest day that the model knew. No outcome is needed for it."""

    horizon: str
    rhythm: bool
    """Of customers with ``RHYTHM_BASKETS`` over ``RHYTHM_SPAN_DAYS``, or of all others."""
    day: str
    """ISO date."""
    customers: int
    shares: list[float]
    """Of these customers, ascending."""
    raise_at: list[float]
    """The score that each share of them reaches, descending."""


class ReferenceLine(msgspec.Struct, frozen=True, array_like=True):
    """A line of an order."""

    item_id: str
    price: float
    """Of one unit."""
    quantity: float


class ReferenceOrder(msgspec.Struct, frozen=True):
    """An order of the reference customer."""

    days_ago: float
    lines: list[ReferenceLine]


class ReferenceCustomer(msgspec.Struct, frozen=True, kw_only=True):
    """One representative customer, whom a score is held against when it is asked what moved it; see
    ``serving.reference``."""

    currency: str
    customers: int
    """Active customers in whose middle this one stands."""
    orders: list[ReferenceOrder]
    """Oldest first."""


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
    score_levels: list[ScoreLevels] = []
    """Without them no threshold can be set by a budget."""
    reference: ReferenceCustomer | None = None
    """Without it the reasons of alerts are found by rule."""

    @property
    def stamp(self) -> ModelStamp:
        """What goes on every output made with this model."""
        return ModelStamp(self.name, self.version, self.feature_schema)

    @property
    def repository_version(self) -> str:
        """The version folder, as Triton names it."""
        return self.version.partition(".")[0]

    @property
    def known_until(self) -> str:
        """The newest event that anything was learned from, RFC 3339; empty where the card names no data."""
        return max((file.last_event for file in self.data), default="")

    def kept_out(self, customers: Iterable[str]) -> int:
        """How many of ``customers`` the card lists as kept out of training."""
        listed = set(self.demo_customers)
        return sum(listed_hash(customer) in listed for customer in customers)

    def threshold(self, horizon: str) -> Threshold:
        """The recommended thresholds of ``horizon``, such as ``30d``.

        Raises:
            KeyError: the card has none for it.
        """
        for threshold in self.thresholds:
            if threshold.horizon == horizon:
                return threshold
        raise KeyError(f"model {self.name} {self.version} has no threshold for {horizon}")

    def score_reached_by(self, share: float, horizon: str, rhythm: bool) -> float:
        """The score that ``share`` (0 to 1) of such active customers reach, between two known shares in a straight
        line.

        Raises:
            UnknownLevels: the card has no levels of them, or none of so small or large a share.
        """
        for levels in self.score_levels:
            if (levels.horizon, levels.rhythm) == (horizon, rhythm):
                if levels.shares[0] <= share <= levels.shares[-1]:
                    return float(np.interp(share, levels.shares, levels.raise_at))
                raise UnknownLevels(
                    f"model {self.name} {self.version} knows the scores of {levels.shares[0]:g} to "
                    f"{levels.shares[-1]:g} of active customers, not of {share:g}"
                )
        who = "with" if rhythm else "without"
        raise UnknownLevels(
            f"model {self.name} {self.version} knows no levels of scores for {horizon} and customers {who} a rhythm: "
            "set raise_threshold instead of raise_share, or train it again"
        )


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
