"""The versions of a model: folders of a Triton model repository, each with its card, and which of them Triton serves.

A version is complete or not there: it is copied under another name and renamed. Which versions Triton loads stands in
its ``config.pbtxt``; which one is in force stands in the control topic (``serving.rollout``), not here. Called by the
workers, by `tidemark models` and by `tidemark retrain`.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from serving.item_tower import ITEM_TOWER_FILE, read_item_tower
from serving.model_card import MODEL_FILE, MODEL_NAME, ModelCard, network_version, read_model_card, write_model_card
from serving.shop import SHOP_FILE, read_shop

CONFIG_FILES: Final = ("config.pbtxt", "configs/gpu.pbtxt")
"""Every profile of a model's configuration, relative to its folder."""

_POLICY: Final = re.compile(r"^version_policy\b.*\n", re.MULTILINE)
_BEFORE_POLICY: Final = re.compile(r"^max_batch_size\b.*\n", re.MULTILINE)
_GRAPH: Final = re.compile(r'^default_model_filename:\s*"([^"]+)"', re.MULTILINE)
_VERSIONS: Final = re.compile(r"^version_policy\b.*\bversions:\s*\[([\d,\s]*)\]", re.MULTILINE)


class UnknownVersion(LookupError):
    """The repository has no such version; the message names those that it has."""


class UnusableVersion(ValueError):
    """A folder is not a version of the model."""


class RegisteredVersion(NamedTuple):
    """One version."""

    number: int
    """Its folder's name."""
    folder: Path
    card: ModelCard


class Registry:
    """The versions of one model in a repository.

    Parameters
    ----------
    repository
        Folder of the models, as Triton is given it.
    name
        The model.
    """

    def __init__(self, repository: Path, name: str = MODEL_NAME) -> None:
        self.repository = repository
        self.name = name
        self.folder = repository / name

    def numbers(self) -> list[int]:
        """The version folders, ascending, readable or not."""
        return sorted(int(path.name) for path in self.folder.glob("*") if path.is_dir() and path.name.isdecimal())

    def versions(self) -> list[RegisteredVersion]:
        """The versions that can be read, ascending."""
        unreadable = self.unreadable()
        return [self._read(number) for number in self.numbers() if number not in unreadable]

    def unreadable(self) -> dict[int, str]:
        """What is wrong with the version folders that cannot be read, by number."""
        found: dict[int, str] = {}
        for number in self.numbers():
            try:
                self._read(number)
            except UnusableVersion as error:
                found[number] = str(error)
        return found

    def get(self, spec: str) -> RegisteredVersion:
        """The version called ``spec``: its number, or number and network, such as ``2`` or ``2.c594bb2e``.

        Raises:
            UnknownVersion: there is none.
            UnusableVersion: it cannot be read.
        """
        number, _, network = spec.partition(".")
        if number.isdecimal() and int(number) in self.numbers():
            found = self._read(int(number))
            if not network or found.card.version == spec:
                return found
        known = ", ".join(version.card.version for version in self.versions()) or "none"
        raise UnknownVersion(f"{self.folder} has no version {spec}; it has {known}")

    def same_as(self, folder: Path) -> RegisteredVersion | None:
        """The version that holds what ``folder`` does, under whatever number; None where none does.

        Raises:
            UnusableVersion: the folder is no version.
        """
        card = _card(folder)
        for known in self.versions():
            if msgspec.structs.replace(card, version=known.card.version) == known.card and all(
                (folder / name).is_file() and filecmp.cmp(folder / name, known.folder / name, shallow=False)
                for name in (MODEL_FILE, ITEM_TOWER_FILE, SHOP_FILE)
            ):
                return known
        return None

    def next_number(self) -> int:
        """The number of the next version: one more than the greatest."""
        return max(self.numbers(), default=0) + 1

    def add(self, folder: Path) -> RegisteredVersion:
        """Copy a complete version folder in, under the next number, and let its card say so.

        Raises:
            UnusableVersion: the folder is no version, or its network is not the one that the card names.
            PermissionError: the repository cannot be written.
        """
        card = _card(folder)
        for name, read in ((ITEM_TOWER_FILE, read_item_tower), (SHOP_FILE, read_shop)):
            try:
                read(folder / name)
            except FileNotFoundError as error:
                raise UnusableVersion(f"{folder} is no version of a model: {name} is missing") from error
            except (ValueError, KeyError, zipfile.BadZipFile, EOFError, zlib.error) as error:
                raise UnusableVersion(f"{folder} has a damaged {name}: copy it again from where it was made") from error
        self.folder.mkdir(parents=True, exist_ok=True)
        # Triton takes a folder for a version only when its name is a number.
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=self.folder) as made:
            incoming = Path(made) / "version"
            shutil.copytree(folder, incoming)
            while True:
                number = self.next_number()
                write_model_card(incoming, msgspec.structs.replace(card, version=network_version(incoming, number)))
                try:
                    incoming.rename(self.folder / str(number))
                except OSError:
                    # Somebody took the number meanwhile: a folder with files in it is not replaced.
                    if (self.folder / str(number)).is_dir():
                        continue
                    raise
                return self._read(number)

    def served(self) -> list[int]:
        """The versions that Triton loads, ascending: those that ``config.pbtxt`` names, else the newest."""
        config = self.folder / CONFIG_FILES[0]
        named = _VERSIONS.search(config.read_text()) if config.is_file() else None
        if named is None:
            return self.numbers()[-1:]
        return sorted(int(number) for number in named.group(1).replace(",", " ").split())

    def default(self) -> RegisteredVersion:
        """The version that answers where none was ever promoted: the lowest that Triton loads, so that one which is
        being tried out never answers by accident.

        Raises:
            UnknownVersion: there is no version.
        """
        served = [number for number in self.served() if number in self.numbers()]
        if not served:
            raise UnknownVersion(
                f"{self.repository} has no version of model {self.name}: run `tidemark train`, or give another "
                "repository"
            )
        return self._read(served[0])

    def graph(self) -> str:
        """The file that ``config.pbtxt`` has Triton load from a version's folder: another for fp16."""
        config = self.folder / CONFIG_FILES[0]
        named = _GRAPH.search(config.read_text()) if config.is_file() else None
        return named.group(1) if named else MODEL_FILE

    def serve(self, numbers: Collection[int]) -> None:
        """Have Triton load these versions, and no others, the next time that it loads the model.

        Raises:
            UnknownVersion: one of them is not there.
            FileNotFoundError: the model has no ``config.pbtxt``.
        """
        for number in numbers:
            if number not in self.numbers():
                raise UnknownVersion(f"{self.folder} has no version {number}")
        for name in CONFIG_FILES:
            config = self.folder / name
            if name == CONFIG_FILES[0] or config.is_file():
                _replace_text(config, with_versions(config.read_text(), numbers))

    def _read(self, number: int) -> RegisteredVersion:
        folder = self.folder / str(number)
        card = _card(folder)
        if card.repository_version != str(number):
            raise UnusableVersion(
                f"{folder} has the card of version {card.version}: take versions in with `tidemark models pull`, which "
                "numbers them"
            )
        return RegisteredVersion(number, folder, card)


def with_versions(config: str, numbers: Collection[int]) -> str:
    """The text of a ``config.pbtxt`` that loads the versions ``numbers``.

    Raises:
        UnusableVersion: it has no ``max_batch_size``, behind which the versions are written.
    """
    without = _POLICY.sub("", config)
    policy = f"version_policy: {{ specific {{ versions: [ {', '.join(map(str, sorted(numbers)))} ] }} }}\n"
    changed, count = _BEFORE_POLICY.subn(lambda line: line.group() + policy, without, count=1)
    if not count:
        raise UnusableVersion("a config.pbtxt without max_batch_size: export the model again with `tidemark train`")
    return changed


def _card(folder: Path) -> ModelCard:
    try:
        card = read_model_card(folder)
        version = network_version(folder, int(card.repository_version))
    except FileNotFoundError as error:
        raise UnusableVersion(f"{folder} is no version of a model: {Path(error.filename).name} is missing") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise UnusableVersion(f"{folder} has a card that cannot be read: {error}") from error
    if card.version != version:
        raise UnusableVersion(
            f"{folder} holds another network than its card: the card says {card.version}, the file is {version}; copy "
            "it again from where it was made"
        )
    return card


def _replace_text(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text)
    unfinished.replace(path)
