"""How a model is trained. ``tidemark train`` sets these; they are kept in the model card, and read from there when it
is trained again."""

from typing import Any, Final

import msgspec

from serving.model.settings import NetworkSettings
from serving.model_card import ModelCard

_NETWORK: Final = "network."


class TrainingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults: the shipped model, about ten minutes on two cores."""

    seed: int = 1
    threads: int = 2
    epochs: int = 2
    """Of the hazards, at most: training stops earlier when the later period gets no better."""
    patience: int = 1
    query_epochs: int = 3
    batch_size: int = 256
    learning_rate: float = 7e-4
    """Of the hazards; they begin at the outlook and need few steps."""
    query_learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warm_up_share: float = 0.1
    """Share of all steps over which the learning rate rises."""
    examples_per_epoch: int = 40_000
    """Drawn anew for each epoch; neighbouring cut-offs of one customer say nearly the same."""
    word_dropout: float = 0.1
    """Share of item names blanked in training, so that an unknown item is nothing strange."""
    recency_half_life_days: float = 30.0
    """An example counts half of one that is so much younger: who buys, and how, changes with a shop's age."""
    oldest_days: float = 240.0
    """Examples older than this before the end of what is known count nothing."""
    value_half_life_days: float = 60.0
    """The same for the level of revenue."""
    customer_times_median: float = 20.0
    """A customer's examples together weigh at most so many times the median customer's (19.0 for the heaviest buyer
    of Online Retail II)."""
    customer_value_share: float = 0.06
    """A customer's revenue counts for at most this share of the shop's when its level is learned (.057 there)."""
    calendar_step_days: int = 7
    """Distance of calendar cut-offs."""
    alert_budget_share: float = 0.1
    """Share of active customers that the recommended thresholds alert."""
    network: NetworkSettings = NetworkSettings()


def flat(settings: TrainingSettings) -> dict[str, float | int | str | bool]:
    """The settings as a card holds them: those of the network under ``network.``."""
    own: dict[str, Any] = msgspec.to_builtins(settings)
    network = own.pop("network")
    return own | {f"{_NETWORK}{name}": value for name, value in network.items()}


def settings_of(card: ModelCard) -> TrainingSettings:
    """The settings that a model was trained with; those that its card does not name have their defaults."""
    own = {name: value for name, value in card.settings.items() if not name.startswith(_NETWORK)}
    network = {name.removeprefix(_NETWORK): value for name, value in card.settings.items() if name.startswith(_NETWORK)}
    # What a card names beside the settings (the epochs that were kept) is passed over.
    return msgspec.convert(own | {"network": network}, TrainingSettings)
