"""How a model is trained. ``tidemark train`` sets these, from a file if it is given one; they are kept in the model
card, and read from there when it is trained again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from serving.model.settings import NetworkSettings
from serving.model_card import ModelCard

_NETWORK: Final = "network."


class UnusableSettings(ValueError):
    """A file of settings that training cannot take; the message says why."""


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
    # What a card names beside the settings (the epochs that were kept) is passed over.
    return _nested(card.settings)


def changed(settings: TrainingSettings, values: Mapping[str, float | int | str | bool]) -> TrainingSettings:
    """The settings with some of them changed, named as ``flat`` names them."""
    return _nested({**flat(settings), **values})


def read_settings(path: Path) -> TrainingSettings:
    """The settings in a JSON file, as ``tidemark tune`` writes it; those that it does not name have their defaults.

    Raises:
        UnusableSettings: it names something else, or a value is of another kind.
        FileNotFoundError: it is not there.
    """
    try:
        values = msgspec.json.decode(path.read_bytes(), type=dict[str, float | int | str | bool])
        if unknown := sorted(values.keys() - flat(TrainingSettings()).keys()):
            raise UnusableSettings(
                f"{path} names {', '.join(unknown)}, which training does not have: see docs/model.md"
            )
        return changed(TrainingSettings(), values)
    except msgspec.MsgspecError as error:
        raise UnusableSettings(
            f"{path} holds no settings of training: {error}; `tidemark tune` writes such a file"
        ) from error


def write_settings(path: Path, settings: TrainingSettings) -> None:
    """Write what ``read_settings`` reads: the settings that are not the default ones."""
    default = flat(TrainingSettings())
    values = {name: value for name, value in flat(settings).items() if value != default[name]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(values), indent=1) + b"\n")


def _nested(values: Mapping[str, float | int | str | bool]) -> TrainingSettings:
    own = {name: value for name, value in values.items() if not name.startswith(_NETWORK)}
    network = {name.removeprefix(_NETWORK): value for name, value in values.items() if name.startswith(_NETWORK)}
    return msgspec.convert(own | {"network": network}, TrainingSettings)
