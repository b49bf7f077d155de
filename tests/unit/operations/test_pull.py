import shutil
import tarfile

import pytest

from serving.registry import UnknownVersion, UnusableVersion
from serving.shop import SHOP_FILE, read_shop, write_shop
from stream.configuration.settings import Configuration
from stream.operations.models import measured, pull
from tests.models.variants import SHIPPED, registry_at, shifted, variant


def test_a_version_comes_in_as_a_folder_or_as_an_archive_of_one(tmp_path):
    elsewhere = registry_at(tmp_path / "elsewhere")
    lower, low = (variant(elsewhere, tmp_path / str(factor), shifted(factor)).folder for factor in (0.5, 0.6))
    registry = registry_at(tmp_path / "repository")
    assert pull(registry, lower).version.number == 2
    archive = tmp_path / "version.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(low, "customer/3")
    added, new = pull(registry, archive)
    assert (added.number, new) == (3, True)
    assert added.card.version.partition(".")[2] == elsewhere.get("3").card.version.partition(".")[2]
    assert registry.served() == [1]


def test_what_is_there_already_is_found_under_its_number_and_not_added(tmp_path):
    registry = registry_at(tmp_path / "repository")
    assert pull(registry, SHIPPED) == (registry.get("1"), False)
    assert registry.numbers() == [1]
    # The same network with other item statistics, as `tidemark models refresh` makes it, is another version.
    shutil.copytree(SHIPPED, tmp_path / "1")
    shop = read_shop(SHIPPED / SHOP_FILE)
    write_shop(tmp_path / "1" / SHOP_FILE, shop._replace(first=shop.first + 1))
    assert pull(registry, tmp_path / "1").new
    assert registry.numbers() == [1, 2]


def test_a_version_to_measure_is_named_as_such_or_as_a_folder_or_not_at_all(tmp_path):
    registry, nobody = registry_at(tmp_path / "repository"), Configuration()
    tried = variant(registry, tmp_path / "made", shifted(0.5))
    assert measured(nobody, registry, None) == registry.get("1").folder
    assert measured(nobody, registry, "2") == measured(nobody, registry, tried.card.version) == tried.folder
    assert measured(nobody, registry, str(tmp_path / "made")) == tmp_path / "made"
    with pytest.raises(UnknownVersion, match="has no version 7"):
        measured(nobody, registry, "7")


def test_what_is_no_archive_of_one_version_is_refused_and_leaves_nothing(tmp_path):
    registry = registry_at(tmp_path / "repository")
    text = tmp_path / "text.tar.gz"
    text.write_text("no archive")
    two = tmp_path / "two.tar.gz"
    with tarfile.open(two, "w:gz") as packed:
        packed.add(SHIPPED, "1")
        packed.add(SHIPPED, "2")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(two.read_bytes()[:-1_000])
    for archive, words in (
        (text, "no archive of a version"),
        (cut, "no archive of a version"),
        (two, "holds 2 versions"),
    ):
        with pytest.raises(UnusableVersion, match=words):
            pull(registry, archive)
    with pytest.raises(FileNotFoundError):
        pull(registry, tmp_path / "nothing.tar.gz")
    assert registry.numbers() == [1]


def test_an_archive_that_would_write_outside_its_folder_is_refused(tmp_path):
    registry = registry_at(tmp_path / "repository")
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(SHIPPED / "card.json", "../outside.json")
    with pytest.raises(UnusableVersion, match="no archive of a version"):
        pull(registry, archive)
    assert not (tmp_path / "outside.json").exists()
