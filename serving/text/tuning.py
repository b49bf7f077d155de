"""What of an encoder learns: nothing, its upper layers, all of it, or a few weights beside those that it has.

It says which weights these are and how fast they learn, not what from. Called by ``serving.text.teacher``.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from serving.text.settings import Method, TeacherSettings

RATE_FACTORS: Final[dict[Method, float]] = {
    "frozen": 1.0,
    "upper": 2.0,
    "lora": 8.0,
    "prefix": 100.0,
    "adapters": 14.0,
    "full": 1.0,
}
"""Learning rate of the encoder over the schedule's: the fewer weights learn, the further they may go. Those of prefix
and adapters bring a schedule of 7e-5 to the rates of their papers."""

_PREFIX_SCALE: Final = 0.02
"""Standard deviation of a prefix before the first step: that of BERT's own weights."""


class Prefixed(nn.Module):  # type: ignore[misc]  # torch is not installed where types are checked
    """An encoder that does not learn, with keys and values that do before those of the text, in each of its layers.

    Li and Liang 2021, without their second network, as Liu et al. 2022 (P-tuning v2).

    Parameters
    ----------
    encoder
        A BERT of the library ``transformers``.
    length
        Places of the prefix.
    """

    def __init__(self, encoder: Any, length: int) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)
        self.config = shape = encoder.config
        heads = int(shape.num_attention_heads)
        size = int(shape.hidden_size) // heads
        self.prefix = nn.Parameter(torch.randn(int(shape.num_hidden_layers), 2, heads, length, size) * _PREFIX_SCALE)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        from transformers import DynamicCache

        batch, length = input_ids.shape
        before = DynamicCache()
        for number, (keys, values) in enumerate(self.prefix):
            before.update(keys.expand(batch, -1, -1, -1), values.expand(batch, -1, -1, -1), number)
        seen = nn.functional.pad(attention_mask, (self.prefix.shape[3], 0), value=1).bool()
        # A mask of two dimensions would be taken for one of the text alone.
        return self.encoder(
            input_ids=input_ids,
            attention_mask=seen[:, None, None, :].expand(-1, -1, length, -1),
            position_ids=torch.arange(length, device=input_ids.device)[None],
            past_key_values=before,
        )


class Adapter(nn.Module):  # type: ignore[misc]
    """A bottleneck with a way around it: float[..., width] to the same, and unchanged before the first step."""

    def __init__(self, width: int, bottleneck: int) -> None:
        super().__init__()
        self.down = nn.Linear(width, bottleneck)
        self.up = nn.Linear(bottleneck, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return hidden + self.up(nn.functional.gelu(self.down(hidden)))


def prepared(encoder: Any, settings: TeacherSettings) -> Any:
    """The encoder, of which that requires gradients which ``settings.method`` says.

    Raises:
        ValueError: a prefix with gradient checkpointing: the library does not read one then.
    """
    method = settings.method
    if settings.schedule.gradient_checkpointing:
        if method == "prefix":
            raise ValueError("a prefix does not go with gradient_checkpointing: leave one of them out")
        recompute_layers(encoder)
    if method == "lora":
        return _low_rank(encoder, settings)
    if method == "prefix":
        return Prefixed(encoder, settings.prefix_length)
    if method != "full":
        encoder.requires_grad_(False)
    if method == "upper":
        for layer in encoder.encoder.layer[-settings.upper_layers :]:
            layer.requires_grad_(True)
    if method == "adapters":
        _insert_adapters(encoder, settings.bottleneck)
    return encoder


def recompute_layers(encoder: Any) -> None:
    """Keep the inputs of layers alone, and compute the rest again for the gradients (Chen et al. 2016)."""
    encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _low_rank(encoder: Any, settings: TeacherSettings) -> Any:
    """Hu et al. 2021."""
    from peft import LoraConfig, get_peft_model

    low_rank = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        lora_dropout=settings.dropout,
        target_modules=["query", "key", "value", "dense"],
    )
    # The wrapper passes calls on; its inner model is what has `config` and takes no task's arguments.
    return get_peft_model(encoder, low_rank).base_model.model


def _insert_adapters(encoder: Any, bottleneck: int) -> None:
    """Houlsby et al. 2019: after both projections of a layer, before what went around them is added."""
    width = int(encoder.config.hidden_size)
    for layer in encoder.encoder.layer:
        for output in (layer.attention.output, layer.output):
            output.dense = nn.Sequential(output.dense, Adapter(width, bottleneck))
