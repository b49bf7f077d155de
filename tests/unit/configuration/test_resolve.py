"""How layers and environment become settings, and what is refused."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from stream.configuration.marks import Properties, Secret
from stream.configuration.resolve import DEFAULT, ConfigurationError, Layer, resolve
from stream.configuration.view import MASK, masked


class Server(msgspec.Struct, frozen=True, kw_only=True):
    url: str = "localhost:1"
    retries: Annotated[int, msgspec.Meta(ge=0, le=3)] = 1
    mode: Literal["slow", "fast"] = "slow"
    credential: Secret = "default"
    client: Properties = {}

    def __post_init__(self) -> None:
        if self.url == "nowhere":
            raise ValueError("nobody lives there")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    size: int = 1


class Tree(msgspec.Struct, frozen=True, kw_only=True):
    server: Server = Server()
    second: Server = Server(retries=3)
    rates: dict[str, float] = {}
    names: list[str] = []
    steps: tuple[Step, ...] = (Step(code="first"),)
    verbose: bool = False


def tree(values: dict[str, object] | None = None, **environ: str) -> tuple[Tree, dict[str, str]]:
    layers = [Layer("tidemark.toml", values)] if values is not None else []
    return resolve(Tree, layers, environ, "T__")


def refusal(values: dict[str, object] | None = None, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        tree(values, **environ)
    return str(caught.value)


def test_nothing_given_is_the_defaults_and_says_so() -> None:
    built, origins = tree()
    assert built == Tree()
    assert set(origins.values()) == {DEFAULT}


def test_environment_wins_over_the_later_layer_which_wins_over_the_earlier() -> None:
    layers = [
        Layer("running", {"server": {"url": "a", "retries": 0, "mode": "fast"}}),
        Layer("file", {"server": {"url": "b", "retries": 2}}),
    ]
    built, origins = resolve(Tree, layers, {"T__SERVER__URL": "c"}, "T__")
    assert (built.server.url, built.server.retries, built.server.mode) == ("c", 2, "fast")
    assert origins["server.url"] == "environment T__SERVER__URL"
    assert origins["server.retries"] == "file"
    assert origins["server.mode"] == "running"


def test_a_nested_default_of_the_outer_struct_survives() -> None:
    assert tree({"second": {"url": "x"}})[0].second == Server(url="x", retries=3)


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("T__SERVER__RETRIES", "2", "retries", 2),
        ("T__VERBOSE", "true", "verbose", True),
        ("T__RATES", '{"EUR": 0.85}', "rates", {"EUR": 0.85}),
        ("T__NAMES", '["a", "b"]', "names", ["a", "b"]),
    ],
)
def test_text_of_the_environment_becomes_the_type_of_the_setting(
    variable: str, text: str, key: str, value: object
) -> None:
    built, _ = tree(**{variable: text})
    assert getattr(built.server if key == "retries" else built, key) == value


def test_a_misspelt_key_is_refused_with_the_right_one() -> None:
    assert (
        refusal({"server": {"retires": 2}})
        == "tidemark.toml: there is no setting server.retires; did you mean server.retries?"
    )


def test_a_key_in_the_wrong_table_is_refused_with_the_right_table() -> None:
    assert "did you mean server.mode?" in refusal({"mode": "fast"})


def test_a_misspelt_variable_is_refused() -> None:
    message = refusal(T__SERVER__ULR="x")
    assert message == "environment variable T__SERVER__ULR: there is no setting server.ulr; did you mean server.url?"


def test_nothing_like_it_points_to_the_list() -> None:
    assert refusal({"zzzzzz": 1}).endswith("`tidemark config` lists them all")


def test_a_wrong_type_names_origin_key_and_what_was_expected() -> None:
    assert refusal({"server": {"retries": "2"}}) == "tidemark.toml: server.retries: expected `int`, got '2'"
    assert (
        refusal(T__SERVER__RETRIES="two") == "environment T__SERVER__RETRIES: server.retries: expected `int`, got 'two'"
    )


def test_a_value_out_of_range_names_the_range() -> None:
    assert "server.retries: expected `int` <= 3" in refusal({"server": {"retries": 4}})
    assert "server.retries: expected `int` <= 3" in refusal(T__SERVER__RETRIES="4")


def test_a_choice_that_does_not_exist_is_refused_with_those_that_do() -> None:
    assert refusal({"server": {"mode": "gpu"}}) == "tidemark.toml: server.mode: expected one of fast, slow, got 'gpu'"
    assert refusal({"server": {"mode": 3}}) == "tidemark.toml: server.mode: expected one of fast, slow, got 3"
    said = refusal(T__SERVER__MODE="gpu")
    assert said == "environment T__SERVER__MODE: server.mode: expected one of fast, slow, got 'gpu'"


def test_what_lacks_inside_a_list_is_said_as_it_is() -> None:
    said = refusal({"steps": [{"size": 2}]})
    assert "steps[0]: cannot be used: Object missing required field `code` - at `$[0]`" in said


def test_a_list_of_tables_is_taken_whole_and_its_keys_are_checked() -> None:
    assert tree({"steps": [{"code": "a", "size": 2}]})[0].steps == (Step(code="a", size=2),)
    assert tree(T__STEPS='[{"code": "b"}]')[0].steps == (Step(code="b"),)
    said = "steps[0]: there is no setting sise; did you mean size?"
    assert refusal({"steps": [{"code": "a", "sise": 2}]}) == f"tidemark.toml: {said}"
    assert refusal(T__STEPS='[{"code": "a", "sise": 2}]') == f"environment T__STEPS: {said}"


def test_a_scalar_where_a_table_belongs_is_refused() -> None:
    assert refusal({"server": 3}) == "tidemark.toml: server: expected a table [server], got 3"


def test_what_a_struct_refuses_names_where_its_values_came_from() -> None:
    assert refusal({"server": {"url": "nowhere"}}) == "tidemark.toml: server: nobody lives there"


def test_properties_pass_through_with_dots_for_underscores() -> None:
    built, origins = tree({"server": {"client": {"security.protocol": "ssl"}}}, T__SERVER__CLIENT__SASL_USERNAME="me")
    assert built.server.client == {"security.protocol": "ssl", "sasl.username": "me"}
    assert origins["server.client.sasl.username"] == "environment T__SERVER__CLIENT__SASL_USERNAME"
    assert origins["server.client.security.protocol"] == "tidemark.toml"


def test_a_property_that_is_a_table_is_refused() -> None:
    assert "server.client.ssl: expected text" in refusal({"server": {"client": {"ssl": {"a": 1}}}})


def test_a_secret_in_the_file_is_refused_without_showing_it() -> None:
    for values in ({"server": {"credential": "hunter2"}}, {"server": {"client": {"sasl.password": "hunter2"}}}):
        message = refusal(values)
        assert "hunter2" not in message
        assert "is a secret" in message


def test_a_secret_comes_from_the_environment_or_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from file\n")
    path = str(tmp_path / "secret")
    assert tree(T__SERVER__CREDENTIAL="from env")[0].server.credential == "from env"
    assert tree({"server": {"credential_file": path}})[0].server.credential == "from file"
    assert tree(T__SERVER__CREDENTIAL_FILE=path)[0].server.credential == "from file"
    assert tree({"server": {"client": {"sasl.password_file": path}}})[0].server.client["sasl.password"] == "from file"
    assert tree(T__SERVER__CLIENT__SASL_PASSWORD_FILE=path)[0].server.client["sasl.password"] == "from file"


def test_a_secret_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    assert "cannot read the file" in refusal({"server": {"credential_file": str(tmp_path / "absent")}})


def test_paths_of_keys_are_no_secrets() -> None:
    assert tree({"server": {"client": {"ssl.key.location": "/k.pem"}}})[0].server.client == {
        "ssl.key.location": "/k.pem"
    }


def test_the_view_masks_every_secret_and_keeps_origins() -> None:
    environ = {"T__SERVER__CREDENTIAL": "hunter2", "T__SERVER__CLIENT__SASL_PASSWORD": "hunter3"}
    built, origins = tree(None, **environ)
    shown = {line.key: line for line in masked(built, origins)}
    assert shown["server.credential"].value == MASK
    assert shown["server.client.sasl.password"].value == MASK
    assert shown["server.credential"].origin == "environment T__SERVER__CREDENTIAL"
    assert "hunter" not in repr(shown)
    assert shown["second.retries"].value == 3
