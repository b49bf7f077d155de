"""The picture of the data flow names the topics and roles that exist."""

from pathlib import Path
from xml.etree import ElementTree

from stream.contracts.topics import TOPICS, changelog

SVG = "{http://www.w3.org/2000/svg}"
PICTURE = ElementTree.parse(Path(__file__).parents[2] / "docs" / "data-flow.svg")  # noqa: S314
ROLES = ("profiles", "decisions")


def texts(style: str) -> list[str]:
    return [text.text or "" for text in PICTURE.iter(f"{SVG}text") if style in text.get("class", "").split()]


def test_every_topic_is_drawn_once_and_nothing_else_is_drawn_as_one() -> None:
    physical = [spec.base_name for spec in TOPICS.values()] + [changelog(role).base_name for role in ROLES]
    shortened = {name: [full for full in physical if full.endswith(name.removeprefix("…"))] for name in texts("name")}
    assert sorted(full for matches in shortened.values() for full in matches) == sorted(physical)


def test_every_role_is_drawn() -> None:
    assert set(ROLES) <= set(texts("head"))
