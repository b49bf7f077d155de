"""A WordPiece tokenizer of some dozen words, as a `tokenizer.json`, and reviews made of them."""

import json
from pathlib import Path

import numpy as np

from serving.text.reviews import Reviews

GOOD = ("love", "great", "soft")
BAD = ("awful", "torn", "return")
PLAIN = ("dress", "the", "it", "color", "size")
PIECES = (
    ["[PAD]", "[unused]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "."]
    + list("abcdefghijklmnopqrstuvwxyz")
    + [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    + [*GOOD, *BAD, *PLAIN]
)


def write_tokenizer(folder: Path) -> Path:
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    special = [piece for piece in PIECES if piece.startswith("[") and piece != "[unused]"]
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": numbers[piece],
                "content": piece,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for piece in special
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                piece: {"id": piece, "ids": [numbers[piece]], "tokens": [piece]} for piece in ("[CLS]", "[SEP]")
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": numbers,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return folder


def reviews(count: int, seed: int = 0) -> Reviews:
    """Good words are rated 5, bad ones 1, both 3."""
    random = np.random.default_rng(seed)
    texts, ratings = [], []
    for number in range(count):
        kind = number % 3
        said = [GOOD, BAD, GOOD + BAD][kind]
        words = [*random.choice(said, 4), *random.choice(PLAIN, 3)]
        random.shuffle(words)
        texts.append(" ".join(words[:4]) + ". " + " ".join(words[4:]) + ".")
        ratings.append([4, 0, 2][kind])
    found = np.array(ratings)
    return Reviews(["size" if n % 2 else "" for n in range(count)], texts, found, (found > 2).astype(np.int64))
