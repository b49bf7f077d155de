"""How a model is trained. ``tidemark train`` sets these; they are kept in the model card."""

import msgspec

from serving.model.settings import NetworkSettings


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults: the shipped model, about four minutes on two cores."""

    seed: int = 1
    threads: int = 2
    epochs: int = 3
    """At most; training stops earlier when the validation period gets no better."""
    patience: int = 2
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up_share: float = 0.1
    """Share of all steps over which the learning rate rises."""
    examples_per_epoch: int = 40_000
    """Drawn anew for each epoch; neighbouring cut-offs of one customer say nearly the same."""
    word_dropout: float = 0.1
    """Share of item names blanked in training, so that an unknown item is nothing strange."""
    calendar_step_days: int = 14
    """Distance of calendar cut-offs."""
    alert_budget_share: float = 0.1
    """Share of active customers that the recommended thresholds alert."""
    network: NetworkSettings = NetworkSettings()
