"""Faults of local stores on disk, done while their worker is dead: damaged, of another format, ahead, behind.

A local store is a copy; the changelog is the truth. Whatever is wrong with the copy, the worker has to notice it and
read the changelog.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

import msgspec
from rocksdict import Options, Rdict

from tests.chaos.crew import Member
from tests.chaos.kinds.fault import Fault, Scene

_STAMP: Final = b"\x00stamp"
_OFFSET: Final = b"\x00changelog_offset"
_FAR: Final = 1_000_000
_BEHIND_S: Final = 4.0
_SCRATCHES: Final = 3


class AlreadyDamaged(Exception):
    """An earlier fault has damaged the store, and its partition has not come back to this worker since."""


class _OfStores(Fault):
    """Needs a worker whose state is on disk."""

    def possible(self, scene: Scene) -> bool:
        return any(member.on_disk for member in scene.crew.members)

    def strike(self, scene: Scene) -> str:
        member = scene.anyone(on_disk=True)
        with scene.gone(member):
            stores = [*_stores(member)]
            for store in stores:
                with suppress(AlreadyDamaged):
                    self.spoil(store, scene.draw)
        return f"{member.instance}, {len(stores)} stores"

    def spoil(self, store: Path, draw: Random) -> None:
        """Do it to one partition's store."""
        raise NotImplementedError


class Damaged(_OfStores):
    name = "store damaged"
    what = "bytes in the middle of a store's files are overwritten, or a file is cut short"

    def spoil(self, store: Path, draw: Random) -> None:
        files = [file for file in store.iterdir() if file.is_file() and file.stat().st_size and file.name != "LOCK"]
        for file in draw.sample(files, min(_SCRATCHES, len(files))):
            content = bytearray(file.read_bytes())
            at = draw.randrange(len(content))
            if draw.random() < 0.5:
                content[at : at + 16] = draw.randbytes(16)
            else:
                del content[at:]
            file.write_bytes(content)


class OtherFormat(_OfStores):
    name = "store of an older format"
    what = "a store is stamped with the format of an older version"

    def spoil(self, store: Path, draw: Random) -> None:
        with _readable(store) as rocks:
            stamp = msgspec.json.decode(rocks.get(_STAMP) or b"{}")
            rocks[_STAMP] = msgspec.json.encode(stamp | {"format_version": 1})


class Ahead(_OfStores):
    name = "store ahead"
    what = "a store says that it has read further than the changelog goes"

    def spoil(self, store: Path, draw: Random) -> None:
        with _readable(store) as rocks:
            rocks[_OFFSET] = str(int(rocks.get(_OFFSET) or 0) + _FAR).encode()


class Behind(Fault):
    name = "store behind"
    what = "a store as it was some seconds ago is put in the place of the present one"

    def possible(self, scene: Scene) -> bool:
        return any(member.on_disk for member in scene.crew.members)

    def strike(self, scene: Scene) -> str:
        member = scene.anyone(on_disk=True)
        kept = scene.folder / f"kept-{member.instance}-{member.lives}"
        with scene.gone(member):
            if member.store_folder.exists():
                shutil.copytree(member.store_folder, kept)
        time.sleep(_BEHIND_S)
        with scene.gone(member):
            shutil.rmtree(member.store_folder, ignore_errors=True)
            if kept.exists():
                kept.rename(member.store_folder)
        return f"{member.instance}, {_BEHIND_S:.0f} s"


def _stores(member: Member) -> Iterator[Path]:
    """The folder of each partition's store."""
    return (current.parent for current in sorted(member.store_folder.glob("*/*/CURRENT")))


@contextmanager
def _readable(store: Path) -> Iterator[Rdict]:
    """Raises ``AlreadyDamaged``, also where RocksDB finds it while closing."""
    try:
        with Rdict(str(store), Options(raw_mode=True)) as rocks:
            yield rocks
    except Exception as error:
        raise AlreadyDamaged(str(error)) from error


KINDS: Final[tuple[Fault, ...]] = (Damaged(), OtherFormat(), Ahead(), Behind())
