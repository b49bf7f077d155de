"""Would the shipped text encoder gain from a linear model over words beside it? Figures for docs/decisions/0009.

    python -m benchmarks.text_blend REVIEWS [FOLDER]

Needs the extra `train`. TF-IDF with logistic regression learns from the training reviews; the share it has in the
log-probabilities is chosen on validation reviews, figures and paired intervals are of test reviews. FOLDER is the work
folder of `python -m serving.text.train`: with it the mean of the teachers is blended too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from serving.text.calibration import calibrate
from serving.text.encoder import shipped_encoder
from serving.text.measure import Floats, Ints
from serving.text.reviews import Reviews, read_reviews, split
from serving.text.ship import difference, measured, speak
from serving.text.teacher import sentiment_probabilities

SHARES: Final = np.arange(0.0, 0.65, 0.05)
_SMALLEST: Final = 1e-9


def main(arguments: Sequence[str]) -> None:
    """Print a line for each speaker, and one for what it gains from the words."""
    encoder = shipped_encoder(threads=1)
    reviews = read_reviews(Path(arguments[0]))
    rows = split(reviews, encoder.card.settings.test_share, encoder.card.settings.validation_share)
    training, validation, test = (reviews.take(part) for part in rows)
    asked = validation.whole + test.whole
    words = _words(training, asked)
    speakers = {"student, int8 (shipped)": encoder.encode(asked).probabilities.astype(np.float64)}
    if arguments[1:]:
        kept = [np.load(path)[-len(asked) :] for path in sorted(Path(arguments[1]).glob("teacher-*.npy"))]
        speakers["mean of the teachers"] = sentiment_probabilities(np.mean(kept, axis=0))
    print("| | share of words | accuracy | macro F1 | AUC negative |\n| --- | ---: | --- | --- | --- |")
    _line("TF-IDF, logistic regression", 1.0, validation.sentiments, test.sentiments, words, words)
    for who, said in speakers.items():
        share = _share(validation.sentiments, said[: len(validation.texts)], words[: len(validation.texts)])
        _line(who, 0.0, validation.sentiments, test.sentiments, said, said)
        _line(f"{who}, and words", share, validation.sentiments, test.sentiments, blended(said, words, share), said)


def blended(said: Floats, words: Floats, share: float) -> Floats:
    """float64[N, 3]: the logarithmic opinion pool of two speakers, not normalised."""
    return np.asarray(np.maximum(said, _SMALLEST) ** (1 - share) * np.maximum(words, _SMALLEST) ** share)


def _words(training: Reviews, asked: Sequence[str]) -> Floats:
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    model = LogisticRegression(C=4.0, max_iter=400).fit(vectors.fit_transform(training.whole), training.sentiments)
    return np.asarray(model.predict_proba(vectors.transform(asked)), np.float64)


def _share(truth: Ints, said: Floats, words: Floats) -> float:
    """Of the words, where the calibrated log-likelihood of the validation reviews is largest."""

    def loss(share: float) -> float:
        both = blended(said, words, share)
        probabilities = calibrate(truth, both).apply(both)
        return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], _SMALLEST)).mean())

    return float(min(SHARES, key=loss))


def _line(who: str, share: float, truth: Ints, test_truth: Ints, said: Floats, alone: Floats) -> None:
    count = len(truth)
    mine = speak(truth, said[:count], said[count:])
    theirs = speak(truth, alone[:count], alone[count:])
    names = ("accuracy", "macro_f1", "auc_negative")
    found = measured(test_truth, mine)
    print(f"| {who} | {share:.2f} | " + " | ".join(f"{found[name].value:.4f}" for name in names) + " |")
    if said is not alone:
        gain = difference(test_truth, mine, theirs)
        cells = (f"{gain[name].value:+.4f} [{gain[name].low:+.4f}, {gain[name].high:+.4f}]" for name in names)
        print("| &nbsp; gain, paired | | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
