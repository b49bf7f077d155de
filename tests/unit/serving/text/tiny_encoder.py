"""A BERT of a few hundred weights in a folder, as a base encoder. Needs the extra `train`."""

from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from tests.unit.serving.text.words import PIECES, write_tokenizer


def write_encoder(folder: Path, dropout: float = 0.1) -> Path:
    torch.manual_seed(0)
    shape = BertConfig(
        vocab_size=len(PIECES),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
    )
    BertModel(shape, add_pooling_layer=False).save_pretrained(folder)
    return write_tokenizer(folder)
