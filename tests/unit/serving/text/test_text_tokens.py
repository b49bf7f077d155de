"""Texts to arrays, and a vocabulary cut to what is used."""

import json

import numpy as np
import pytest

from serving.text.tokens import TextTokens
from serving.text.vocabulary import SPECIAL, prune
from tests.unit.serving.text.words import GOOD, PIECES, write_tokenizer


def test_every_text_is_in_one_batch_padded_with_nothing(tmp_path):
    tokens = TextTokens(write_tokenizer(tmp_path), longest=12)
    texts = ["love", "the dress it is", "", "torn " * 40, "soft color size"]
    seen = {}
    for batch in tokens.batches(texts, 2):
        for row, ids, mask in zip(batch.rows, batch.input_ids, batch.attention_mask, strict=True):
            assert (ids[mask == 0] == 0).all()
            assert mask.tolist() == sorted(mask.tolist(), reverse=True)
            seen[row] = [PIECES[i] for i in ids[mask == 1]]
    assert set(seen) == set(range(5))
    assert seen[0] == ["[CLS]", "love", "[SEP]"]
    assert seen[2] == ["[CLS]", "[SEP]"]
    assert len(seen[3]) == 12
    assert seen[3][-1] == "[SEP]"


def test_a_folder_without_tokenizer_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json"):
        TextTokens(tmp_path, 16)


def test_a_pruned_vocabulary_keeps_what_is_frequent_and_spells_the_rest(tmp_path):
    base = write_tokenizer(tmp_path / "base")
    size = len(SPECIAL) + 1 + 52 + 3
    kept = prune(base, tmp_path / "small", ["love great soft"] * 5 + ["awful"], size)
    assert len(kept) == size
    tokens = TextTokens(tmp_path / "small", 32)
    pieces = [PIECES[i] for i in kept]
    assert pieces[:4] == list(SPECIAL)
    assert set(GOOD) <= set(pieces)
    found = tokens.pieces(["love awful"]).flat.tolist()
    assert [pieces[i] for i in found] == ["[CLS]", "love", "a", "##w", "##f", "##u", "##l", "[SEP]"]
    assert found[0] == pieces.index("[CLS]")


def test_a_vocabulary_too_small_for_the_letters_is_refused(tmp_path):
    with pytest.raises(ValueError, match="single characters"):
        prune(write_tokenizer(tmp_path), tmp_path / "out", ["love"], 20)


def test_a_vocabulary_of_another_kind_is_refused(tmp_path):
    path = write_tokenizer(tmp_path) / "tokenizer.json"
    other = json.loads(path.read_text())
    other["model"]["type"] = "BPE"
    path.write_text(json.dumps(other))
    with pytest.raises(ValueError, match="BPE"):
        prune(tmp_path, tmp_path / "out", ["love"], 100)


def test_batches_of_similar_length_waste_little(tmp_path):
    tokens = TextTokens(write_tokenizer(tmp_path), longest=200)
    texts = ["it " * n for n in range(1, 161)]
    made = list(tokens.batches(texts, 16))
    assert sum(batch.input_ids.size for batch in made) < 1.3 * sum(batch.attention_mask.sum() for batch in made)
    assert np.array_equal(np.sort(np.concatenate([batch.rows for batch in made])), np.arange(160))
