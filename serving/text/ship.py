"""Calibrates the fitted students, exports the best, and measures all speakers on the same test reviews.

What is chosen (calibration, label offsets) is chosen on validation reviews, what is said is measured on test reviews.
Called by ``serving.text.train``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from serving.model_card import DataLicence, network_version
from serving.text.calibration import calibrate
from serving.text.card import TEXT_MODEL_NAME, Figure, TextCard, TextDataFile, write_text_card
from serving.text.decision import choose_offsets, decide
from serving.text.encoder import TextEncoder
from serving.text.export import export_student, folder_bytes
from serving.text.fit import best_device
from serving.text.measure import Floats, Ints, figures, intervals
from serving.text.network import Student
from serving.text.reviews import Reviews
from serving.text.settings import TextSettings
from serving.text.teacher import opinions, sentiment_probabilities
from serving.text.tokens import TextTokens


class Outside(NamedTuple):
    """What no network was trained on, and what the teachers say of it."""

    validation: Reviews
    test: Reviews
    opinions: dict[str, npt.NDArray[np.float32]]
    """[validation and then test, 6] by speaker."""
    vectors: dict[str, tuple[list[str], npt.NDArray[np.float16]]]
    """Texts and the base encoder's vectors of them, by kind."""


class Spoken(NamedTuple):
    """Calibrated probabilities of the test reviews, with labels."""

    probabilities: Floats
    labels: Ints


def ship(
    students: Sequence[Student],
    tokenizer_folder: Path,
    repository: Path,
    settings: TextSettings,
    outside: Outside,
    data: list[TextDataFile],
    licences: Sequence[DataLicence],
    training: Reviews,
) -> TextCard:
    """Export ``students[0]`` and write its card; the others tell how much a seed changes."""
    truth, test_truth = outside.validation.sentiments, outside.test.sentiments
    count = len(truth)
    spoken: dict[str, Spoken] = {}
    for who, said in outside.opinions.items():
        raw = sentiment_probabilities(said)
        spoken[who] = speak(truth, raw[:count], raw[count:])
    tokens = TextTokens(tokenizer_folder, settings.longest)
    texts = outside.validation.whole + outside.test.whole
    raws = [sentiment_probabilities(opinions(student, tokens, texts, best_device())) for student in students]
    every_seed = [speak(truth, raw[:count], raw[count:]) for raw in raws]
    spoken["student_fp32"] = every_seed[0]

    calibration = calibrate(truth, raws[0][:count])
    folder = export_student(students[0], calibration, tokenizer_folder, repository)
    card = TextCard(
        name=TEXT_MODEL_NAME,
        version=network_version(folder, int(folder.name)),
        data=data,
        licences=list(licences),
        training_reviews=len(training.texts),
        validation_reviews=len(truth),
        test_reviews=len(test_truth),
        metrics={},
        loss_against_teachers={},
        seeds=_spread(test_truth, every_seed),
        similarity={},
        base_rates=[round(float(share), 4) for share in np.bincount(training.sentiments) / len(training.texts)],
        label_offsets=[0.0, 0.0, 0.0],
        calibration_slope=calibration.slope,
        calibration_offsets=calibration.offsets,
        longest=settings.longest,
        vector=settings.student.vector,
        bytes=folder_bytes(folder),
        # Where the base lay on the machine that trained is no part of the model.
        settings=msgspec.structs.replace(settings, base=Path(settings.base).name),
    )
    write_text_card(folder, card)
    encoder = TextEncoder(folder)
    offsets = choose_offsets(truth, encoder.encode(outside.validation.whole).probabilities.astype(np.float64))
    for who, said_of in (("shipped", outside.test.whole), ("shipped_without_title", outside.test.texts)):
        probabilities = encoder.encode(said_of).probabilities.astype(np.float64)
        spoken[who] = Spoken(probabilities, decide(probabilities, offsets))
    finished = msgspec.structs.replace(
        card,
        label_offsets=offsets,
        metrics={who: measured(test_truth, said) for who, said in sorted(spoken.items())},
        loss_against_teachers=difference(test_truth, spoken["shipped"], spoken["teachers"]),
        similarity={kind: kept_similarity(encoder, *both) for kind, both in outside.vectors.items()},
    )
    write_text_card(folder, finished)
    return finished


def speak(truth: Ints, validation: Floats, test: Floats) -> Spoken:
    """Calibrate and choose label offsets on validation reviews; speak of test reviews."""
    calibration = calibrate(truth, validation)
    offsets = choose_offsets(truth, calibration.apply(validation))
    probabilities = calibration.apply(test)
    return Spoken(probabilities, decide(probabilities, offsets))


def measured(truth: Ints, said: Spoken) -> dict[str, Figure]:
    """Every figure with its interval."""

    def on(rows: npt.NDArray[np.intp]) -> dict[str, float]:
        return figures(truth[rows], said.probabilities[rows], said.labels[rows])

    return _with_intervals(on(np.arange(len(truth))), intervals(truth, on))


def difference(truth: Ints, mine: Spoken, theirs: Spoken) -> dict[str, Figure]:
    """Mine less theirs on the same reviews, with paired intervals."""

    def on(rows: npt.NDArray[np.intp]) -> dict[str, float]:
        here = figures(truth[rows], mine.probabilities[rows], mine.labels[rows])
        there = figures(truth[rows], theirs.probabilities[rows], theirs.labels[rows])
        return {name: here[name] - there[name] for name in here}

    return _with_intervals(on(np.arange(len(truth))), intervals(truth, on))


def kept_similarity(encoder: TextEncoder, texts: list[str], theirs: npt.NDArray[np.float16]) -> float:
    """Correlation of the cosines of all pairs of texts, as this encoder and the base have them."""
    mine = encoder.encode(texts).vectors
    base = theirs.astype(np.float32)
    pairs = np.triu_indices(len(mine), 1)
    return round(float(np.corrcoef((mine @ mine.T)[pairs], (base @ base.T)[pairs])[0, 1]), 4)


def _with_intervals(values: dict[str, float], bounds: dict[str, tuple[float, float]]) -> dict[str, Figure]:
    return {
        name: Figure(round(value, 4), *(round(bound, 4) for bound in bounds[name])) for name, value in values.items()
    }


def _spread(truth: Ints, every_seed: Sequence[Spoken]) -> dict[str, dict[str, float]]:
    found = [figures(truth, said.probabilities, said.labels) for said in every_seed]
    return {
        name: {
            "mean": round(float(np.mean([each[name] for each in found])), 4),
            "standard_deviation": round(float(np.std([each[name] for each in found])), 4),
            "seeds": float(len(found)),
        }
        for name in found[0]
    }
