"""What is known about a text encoder and travels with it: data, figures with intervals, licence, label offsets.

Training writes ``card.json`` beside the graph; the runtime reads the offsets and the longest text from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from serving.model_card import CARD_FILE, DataLicence
from serving.text.settings import TextSettings

TEXT_MODEL_NAME: Final = "text_encoder"


class Figure(msgspec.Struct, frozen=True):
    """A figure on the test reviews and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class TextDataFile(msgspec.Struct, frozen=True):
    """A file that the encoder was made from."""

    name: str
    sha256: str
    rows: int


class TextCard(msgspec.Struct, frozen=True, kw_only=True):
    """``card.json``. Test reviews were used for nothing: no training, no early stopping, no threshold."""

    name: str
    version: str
    """Version folder of the repository, a dot, and the first 8 hex digits of the graph's SHA-256."""
    data: list[TextDataFile]
    licences: list[DataLicence]
    training_reviews: int
    validation_reviews: int
    test_reviews: int
    metrics: dict[str, dict[str, Figure]]
    """Figure by metric by who speaks: ``shipped``, ``shipped_without_title``, ``student_fp32``, ``teacher``,
    ``teachers`` (their mean)."""
    loss_against_teachers: dict[str, Figure]
    """Shipped less the teachers' mean, paired."""
    seeds: dict[str, dict[str, float]]
    """Mean and standard deviation over students of other seeds, by metric."""
    similarity: dict[str, float]
    """How well the vector keeps the base encoder's similarities of texts that it was not taught on."""
    base_rates: list[float]
    """Shares of negative, neutral and positive among the training reviews: what is said of a row without text."""
    label_offsets: list[float]
    """Added to the log-probabilities of negative, neutral, positive; the largest gives the label."""
    calibration_slope: float
    calibration_offsets: list[float]
    longest: int
    """Word pieces that are read of a text."""
    vector: int
    bytes: int
    """Of all files of the version together, but this one."""
    settings: TextSettings


def read_text_card(folder: Path) -> TextCard:
    """Read ``card.json`` of a version folder.

    Raises:
        FileNotFoundError: it is not there.
        msgspec.ValidationError: it is not a card of a text encoder.
    """
    return msgspec.json.decode((folder / CARD_FILE).read_bytes(), type=TextCard)


def write_text_card(folder: Path, card: TextCard) -> None:
    """Write ``card.json``, indented so that a person can read it and a diff shows what changed."""
    (folder / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card, order="sorted"), indent=1) + b"\n")
