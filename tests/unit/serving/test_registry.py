import shutil

import pytest

from serving.model_card import read_model_card
from serving.registry import Registry, UnknownVersion, UnusableVersion, with_versions
from tests.models.variants import SHIPPED, registry_at, shifted, variant


def test_a_version_is_taken_in_under_the_next_number_and_its_card_says_so(tmp_path):
    registry = registry_at(tmp_path / "repository")
    added = variant(registry, tmp_path / "made", shifted(0.5))
    assert (added.number, added.folder.name) == (2, "2")
    assert added.card.version.startswith("2.")
    assert added.card.version != registry.get("1").card.version
    assert read_model_card(added.folder) == added.card
    assert [version.number for version in registry.versions()] == [1, 2]
    assert not list(registry.folder.glob(".*"))


def test_a_version_is_found_by_number_and_by_its_whole_name_and_no_other(tmp_path):
    registry = registry_at(tmp_path)
    whole = registry.get("1").card.version
    assert registry.get(whole) == registry.get("1")
    for spec in ("1.00000000", "2", "", "x", "-1"):
        with pytest.raises(UnknownVersion, match=f"it has {whole}"):
            registry.get(spec)


def test_one_that_is_tried_out_answers_nobody_by_itself(tmp_path):
    registry = registry_at(tmp_path / "repository")
    variant(registry, tmp_path / "made", shifted(0.5))
    assert registry.served() == [1]
    registry.serve([1, 2])
    assert registry.served() == [1, 2]
    assert registry.default().number == 1
    registry.serve([2])
    assert registry.default().number == 2
    for name in ("config.pbtxt", "configs/gpu.pbtxt"):
        assert (registry.folder / name).read_text().count("version_policy") == 1
        assert "versions: [ 2 ]" in (registry.folder / name).read_text()
    with pytest.raises(UnknownVersion, match="no version 3"):
        registry.serve([3])
    assert registry.served() == [2]


def test_a_folder_that_is_no_version_is_named_and_does_not_hide_the_others(tmp_path):
    registry = registry_at(tmp_path)
    (registry.folder / "2").mkdir()
    (registry.folder / "3").mkdir()
    (registry.folder / "3" / "card.json").write_text("{}")
    (registry.folder / ".incoming-x").mkdir()
    assert [version.number for version in registry.versions()] == [1]
    unreadable = registry.unreadable()
    assert "card.json is missing" in unreadable[2]
    assert "cannot be read" in unreadable[3]
    assert registry.next_number() == 4


def test_a_damaged_network_is_refused(tmp_path):
    registry = registry_at(tmp_path)
    network = registry.folder / "1" / "model.onnx"
    network.write_bytes(network.read_bytes()[:-1])
    with pytest.raises(UnusableVersion, match="another network than its card"):
        registry.get("1")
    with pytest.raises(UnusableVersion, match="another network than its card"):
        registry.add(registry.folder / "1")
    assert registry.numbers() == [1]


@pytest.mark.parametrize("name", ["shop.npz", "item_tower.npz"])
def test_a_version_with_a_damaged_part_is_not_taken_in(tmp_path, name):
    registry = registry_at(tmp_path / "repository")
    made = shutil.copytree(SHIPPED, tmp_path / "made")
    (made / name).write_bytes((made / name).read_bytes()[:-100])
    with pytest.raises(UnusableVersion, match=f"damaged {name}"):
        registry.add(made)
    (made / name).write_text("garbage")
    with pytest.raises(UnusableVersion, match=f"damaged {name}"):
        registry.add(made)
    (made / name).unlink()
    with pytest.raises(UnusableVersion, match=f"{name} is missing"):
        registry.add(made)
    assert registry.numbers() == [1]


def test_a_copied_folder_is_not_taken_for_a_version_of_its_own(tmp_path):
    registry = registry_at(tmp_path)
    (registry.folder / "1").rename(registry.folder / "7")
    with pytest.raises(UnusableVersion, match="tidemark models pull"):
        registry.get("7")


def test_an_empty_repository_says_what_to_do(tmp_path):
    with pytest.raises(UnknownVersion, match="tidemark train"):
        Registry(tmp_path).default()
    with pytest.raises(UnusableVersion, match="max_batch_size"):
        with_versions("name: 'x'", [1])


def test_the_shipped_configuration_serves_the_shipped_version():
    assert Registry(SHIPPED.parent.parent).served() == [int(SHIPPED.name)]
