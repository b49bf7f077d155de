"""The program as a whole: help, usage errors, exit codes and the one line that an error is."""

import resource
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from confluent_kafka import KafkaError, KafkaException

from serving.model_card import model_repository, read_model_card, version_folder
from serving.scorer import ModelMismatch
from stream.cli.app import _shared_first, main
from stream.cli.context import output
from stream.cli.exits import Exit, end_with, exit_code
from stream.cli.status import _partitions
from stream.configuration.repository import open_registry
from stream.configuration.resolve import ConfigurationError
from stream.configuration.settings import Configuration
from stream.embedded.cache import InstallError
from stream.operations.brokers import KafkaUnreachableError
from stream.operations.evaluate import NothingToEvaluate, OtherFeatures
from stream.operations.sources import Source, SourceError
from stream.operations.status import PartitionStatus, RoleStatus
from stream.operations.topics import TopicMismatchError
from stream.profiles.bound import CUSTOMER_LADDER, EVENT_IDS

SHIPPED = Path(__file__).parents[3] / "tidemark.toml"
COMMANDS = (
    "demo up topics worker ingest convert simulate train retrain evaluate sentiment status tail explain resume config "  # noqa: SIM905
    "version state".split()
)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_help_names_every_command_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("--help", capsys=capsys)
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)
    assert "1 something promised did not happen" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(command, "--help", capsys=capsys)
    assert code == 0
    assert len(out.splitlines()) > 4


def test_help_is_there_at_once() -> None:
    def cpu_seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "stream.cli", "--help"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    heavy = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "stream.cli", "--help"], check=True, capture_output=True, text=True
    ).stderr
    assert not [name for name in ("numpy", "pyarrow", "confluent_kafka", "rich", "msgspec") if f" {name}\n" in heavy]
    assert min(cpu_seconds() for _ in range(3)) < 1.0


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["tail"], ["worker", "--role", "cook"], ["ingest", "-", "--rate", "x"]]
)
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments, capsys=capsys)[0] == Exit.USAGE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError(), Exit.USAGE),
        (KafkaUnreachableError(), Exit.UNREACHABLE),
        (TopicMismatchError(["x"]), Exit.REFUSED),
        (SourceError(), Exit.INPUT),
        (FileNotFoundError(), Exit.INPUT),
        (NotADirectoryError(), Exit.INPUT),
        (NothingToEvaluate(), Exit.INPUT),
        (OtherFeatures(), Exit.REFUSED),
        (ModelMismatch(), Exit.UNREACHABLE),
        (InstallError(), Exit.INSTALL),
        (ZeroDivisionError(), Exit.INTERNAL),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: Exception, code: Exit) -> None:
    assert exit_code(error) is code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            KafkaException(KafkaError(KafkaError._TRANSPORT, "Connection reset")),
            Exit.UNREACHABLE,
            "Kafka does not answer (Connection reset): run it again when it does",
        ),
        (
            KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "Group authorization failed.")),
            Exit.USAGE,
            "Kafka does not allow this user what Tidemark needs of a consumer group (Group authorization failed): have "
            "whoever administers Kafka allow it, or set another user in kafka.client",
        ),
        (
            KafkaException(KafkaError(KafkaError._INVALID_ARG, 'No such configuration property: "x"')),
            Exit.USAGE,
            'kafka.client, kafka.consumer or kafka.producer: No such configuration property: "x"',
        ),
        (
            KafkaException(KafkaError(KafkaError.POLICY_VIOLATION, "Not today.")),
            Exit.UNREACHABLE,
            "Kafka could not do it (POLICY_VIOLATION: Not today.)",
        ),
        (TimeoutError(), Exit.UNREACHABLE, "Kafka does not answer in time: run it again when it does"),
        (TimeoutError("topic x"), Exit.UNREACHABLE, "topic x"),
    ],
)
def test_what_kafka_says_is_said_in_words(
    error: Exception, code: Exit, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_with(error, debug=False) is code
    assert capsys.readouterr().err == f"tidemark: {line}\n"


def test_an_error_is_one_line_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__TOPICS__PARTITION", "3")
    code, out, err = run("config", capsys=capsys)
    assert (code, out) == (Exit.USAGE, "")
    assert err == (
        "tidemark: environment variable TIDEMARK__TOPICS__PARTITION: there is no setting topics.partition; "
        "did you mean topics.partitions?\n"
    )


def test_debug_shows_the_trace_wherever_it_is_typed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__NONSENSE", "3")
    _, _, err = run("config", "--debug", capsys=capsys)
    assert "Traceback (most recent call last)" in err


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        (["tail", "alerts", "--config", "x.toml"], ["--config", "x.toml", "tail", "alerts"]),
        (["tail", "--debug", "alerts"], ["--debug", "tail", "alerts"]),
        (["tail", "--config=x"], ["--config=x", "tail"]),
        (["tail", "--", "--debug"], ["tail", "--", "--debug"]),
        (["tail", "--config"], ["--config", "tail"]),
    ],
)
def test_shared_options_may_stand_anywhere(given: list[str], ordered: list[str]) -> None:
    assert _shared_first(given) == ordered


def test_config_shows_values_with_their_origin_and_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__DEPLOYMENT__SECRET", "hunter2")
    code, out, _ = run("config", "--json", capsys=capsys)
    shown = orjson.loads(out)
    assert code == 0
    assert shown["deployment.secret"] == {"value": "********", "origin": "environment TIDEMARK__DEPLOYMENT__SECRET"}
    assert shown["topics.partitions"] == {"value": 4, "origin": "default"}
    code, out, _ = run("config", "--changed", capsys=capsys)
    assert "deployment.secret" in out
    assert "topics.partitions" not in out
    assert "hunter2" not in out


def test_thresholds_that_are_not_set_are_shown_as_they_are_in_force(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_model_card(version_folder(model_repository())).threshold("90d")
    monkeypatch.setenv("TIDEMARK__POLICIES__SECOND_PURCHASE__RAISE_THRESHOLD", "0.9")
    _, out, _ = run("config", "--json", capsys=capsys)
    shown = {key: line for key, line in orjson.loads(out).items() if key.startswith("policies.")}
    assert shown["policies.churn_risk.raise_threshold"] == {"value": card.raise_at, "origin": "model card"}
    assert shown["policies.churn_risk.resolve_threshold"] == {"value": card.resolve_at, "origin": "model card"}
    assert shown["policies.churn_risk.base_rate"] == {"value": round(card.base_rate, 3), "origin": "model card"}
    assert shown["policies.second_purchase.raise_threshold"]["value"] == 0.9
    assert shown["policies.second_purchase.resolve_threshold"] == {"value": 0.8, "origin": "derived"}
    assert shown["policies.second_purchase.medium_from"] == {"value": 0.94, "origin": "derived"}
    assert not [key for key, line in shown.items() if line["value"] is None and not key.endswith("raise_share")]
    _, out, _ = run("config", capsys=capsys)
    assert f"{'policies.churn_risk.raise_threshold':<43} {card.raise_at:<21} model card" in out.splitlines()


def test_thresholds_of_a_model_that_is_not_there_are_shown_as_unset(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__TRITON__MODEL", "absent")
    code, out, _ = run("config", "--json", capsys=capsys)
    assert code == Exit.OK
    assert orjson.loads(out)["policies.churn_risk.raise_threshold"] == {"value": None, "origin": "default"}


def test_every_setting_stands_on_one_line_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__KAFKA__BOOTSTRAP_SERVERS", "kafka-1.example:9092,kafka-2.example:9092")
    monkeypatch.setenv("TIDEMARK__TRITON__MAX_BATCH", "32")
    Path("tidemark.toml").write_bytes(SHIPPED.read_bytes())
    _, out, _ = run("config", capsys=capsys)
    lines = out.splitlines()
    settings = [line for line in lines if not line.startswith(" ")]
    assert [line.split()[0] for line in settings] == list(orjson.loads(run("config", "--json", capsys=capsys)[1]))
    assert max(map(len, settings)) <= 80
    assert f"{'triton.max_batch':<43} {'32':<21} environment" in lines
    assert f"{'policies.second_purchase.resolve_threshold':<43} {'0.58':<21} tidemark.toml" in lines
    at = lines.index(f"{'kafka.bootstrap_servers':<43} {'':<21} environment")
    assert lines[at + 1] == "    kafka-1.example:9092,kafka-2.example:9092"


def test_a_worker_refuses_a_foreign_kafka_without_a_secret_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMARK__KAFKA__BOOTSTRAP_SERVERS", "kafka.example:9092")
    code, _, err = run("worker", "--role", "profiles", capsys=capsys)
    assert code == Exit.USAGE
    assert "TIDEMARK__DEPLOYMENT__SECRET" in err


def test_version_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run("version", "--json", capsys=capsys)
    assert code == 0
    said = orjson.loads(out)
    assert said.keys() == {"tidemark", "librdkafka", "model", "promoted"}
    assert said["promoted"] is None


def test_version_says_which_model_answers_and_that_nobody_knows_which_was_promoted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run("version", capsys=capsys)
    assert code == 0
    assert f"model {open_registry(Configuration()).default().card.version} by default; promoted: not known" in out
    assert max(map(len, out.splitlines())) <= 80


def test_convert_and_simulate_go_through_pipes_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("simulate", "--customers", "5", "--events", "50", "load.jsonl.gz", capsys=capsys)[0] == 0
    assert run("simulate", "--around", "load.jsonl.gz", "more.jsonl", capsys=capsys)[0] == 0
    lines = Path("more.jsonl").read_bytes().splitlines()
    assert len(lines) > 50
    assert all(orjson.loads(line)["simulated"] for line in lines)


def test_convert_refuses_what_is_no_online_retail(capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.parquet").write_text("no")
    code, _, err = run("convert", "x.parquet", "out.jsonl", capsys=capsys)
    assert (code, err) == (Exit.INPUT, err)
    assert "x.parquet is not a parquet file" in err
    assert run("convert", "online-retail", "x.parquet", "out.jsonl", capsys=capsys) == (code, "", err)
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("given", [("x.parquet",), ("online-retail", "x.parquet"), ("other", "x.parquet", "out.jsonl")])
def test_convert_says_what_it_wants(given: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("convert", *given, capsys=capsys)
    assert code == Exit.USAGE
    assert "tidemark convert online-retail RAW.parquet" in err


def test_a_mapping_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    Path("e.csv").write_text("a\n")
    code, _, err = run("ingest", "e.csv", "--map", "customer_id", capsys=capsys)
    assert code == Exit.USAGE
    assert "FIELD=VALUE" in err


@pytest.mark.parametrize(
    "option",
    [
        ["--set", "mode=backfill"],
        ["--map", "time=When"],
        ["--timezone", "Europe/London"],
        ["--time-format", "%d/%m/%Y"],
    ],
)
@pytest.mark.parametrize("source", ["e.jsonl", "e.json.gz", "-"])
def test_what_is_for_columns_is_refused_for_json_lines(
    source: str, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(source).write_bytes(b"")
    code, _, err = run("ingest", source, *option, capsys=capsys)
    assert code == Exit.USAGE
    assert "are for CSV and parquet" in err
    assert len(err.splitlines()) == 1


def test_the_help_of_again_says_what_counts_twice(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("ingest", "--help", capsys=capsys)
    (floor,) = [rung.floor for rung in CUSTOMER_LADDER[-1:] if rung.table == "event_ids"]
    assert f"newest {EVENT_IDS} events ({floor} at least)" in " ".join(out.split())
    assert "older ones count twice" in " ".join(out.split())


def test_a_reader_that_has_enough_ends_the_command_quietly() -> None:
    endless = "from stream.cli.exits import while_read\nwith while_read():\n    while True: print('line')"
    with subprocess.Popen([sys.executable, "-c", endless], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        assert command.stdout.readline() == b"line\n"
        command.stdout.close()
        assert command.stderr.read() == b""
        assert command.wait(timeout=20) == Exit.OK


def test_help_of_ingest_names_what_it_takes_and_nothing_that_it_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run("ingest", "--help", capsys=capsys)
    assert ".jsonl or .csv, also with .gz, .xz or .bz2 behind it; .parquet" in " ".join(out.split())
    for name in ("e.jsonl.bz2", "e.csv.xz", "e.parquet"):
        Path(name).write_bytes(b"")
        Source(name)
    Path("e.parquet.gz").write_bytes(b"")
    with pytest.raises(SourceError, match="does not say what it holds"):
        Source("e.parquet.gz")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_into_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = run(command, "--help", capsys=capsys)
    assert max(map(len, out.splitlines())) <= 80


def test_status_of_a_large_deployment_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    far = PartitionStatus(31, 987_654_321, 998_765_432, 11_111_111, 98_765.4, 0, 0.0, 1_700_000_000_000, 0)
    console = output()
    console.print(_partitions(RoleStatus("profiles", "tidemark.profiles", "stable", 32, [far]), 90 * 3_600_000))
    out = capsys.readouterr().out
    for figure in ("31", "987,654,321", "998,765,432", "11,111,111", "98,765.4", "2023-11-14 22:13", "4 d ago"):
        assert figure in out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


def test_ingest_of_an_unknown_kind_of_file_ends_with_five(capsys: pytest.CaptureFixture[str]) -> None:
    Path("e.xlsx").write_text("a\n")
    code, _, err = run("ingest", "e.xlsx", capsys=capsys)
    assert code == Exit.INPUT
    assert ".jsonl" in err
