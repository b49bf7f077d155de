"""The whole configuration: the shipped file, precedence, and what exactly-once forbids."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from serving.triton_config import MAX_BATCH_SIZES
from stream.configuration.clients import KAFKA_LOG, client_properties, consumer_properties, producer_properties
from stream.configuration.load import load
from stream.configuration.resolve import DEFAULT, ConfigurationError, Layer
from stream.configuration.running import Running, RunningFile, running_layer
from stream.configuration.settings import DEFAULT_SECRET, MODEL_MAX_BATCH, OWN_PROPERTIES, Configuration
from stream.configuration.view import masked
from stream.engine.clients import FIXED

SHIPPED = Path(__file__).parents[3] / "tidemark.toml"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_file_and_environment_it_is_the_defaults() -> None:
    assert load(None, {}).configuration == Configuration()


def test_the_shipped_file_says_the_defaults_and_the_thresholds_of_the_shipped_model() -> None:
    shipped = load(SHIPPED, {})
    policies = shipped.configuration.policies
    without = replace(
        policies,
        churn_risk=replace(policies.churn_risk, raise_threshold=None, resolve_threshold=None),
        second_purchase=replace(policies.second_purchase, raise_threshold=None, resolve_threshold=None),
    )
    assert replace(shipped.configuration, policies=without) == Configuration()
    assert policies.churn_risk.raise_threshold is not None
    assert policies.second_purchase.raise_threshold is not None
    assert set(shipped.origins.values()) == {DEFAULT, str(SHIPPED)}


def test_the_file_of_the_working_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text('[topics]\nprefix = "staging."\n')
    loaded = load(None, {})
    assert loaded.configuration.topics.prefix == "staging."
    assert loaded.origins["topics.prefix"] == "tidemark.toml"


def test_what_runs_in_the_folder_is_over_the_defaults_and_under_everything_that_was_set(tmp_path: Path) -> None:
    running = Layer("up", {"kafka": {"bootstrap_servers": "127.0.0.1:1"}, "triton": {"url": "127.0.0.1:2"}})
    (tmp_path / "tidemark.toml").write_text('[triton]\nurl = "triton:8001"\n')
    loaded = load(None, {}, running)
    assert loaded.configuration.kafka.bootstrap_servers == "127.0.0.1:1"
    assert loaded.configuration.triton.url == "triton:8001"
    loaded = load(None, {"TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": "k:9092"}, running)
    assert loaded.configuration.kafka.bootstrap_servers == "k:9092"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[topics", "bad.toml is no TOML"),
        ("[topics]\npartitions = 0", "bad.toml: topics.partitions: expected `int` >= 1, got 0"),
        ('[topics]\nprefix = "no spaces "', "bad.toml: topics: topic events cannot be called"),
        ('[kafka.consumer]\n"isolation.level" = "read_uncommitted"', "isolation.level is Tidemark's own"),
        ('[kafka.client]\n"transactional.id" = "x"', "transactional.id is Tidemark's own"),
        ('[deployment]\nsecret = "x"', "TIDEMARK__DEPLOYMENT__SECRET"),
        ("[policies.churn_risk]\nresolve_threshold = 0.5", "policies.churn_risk: resolve_threshold is set without"),
        ("[triton]\nmax_batch = 257", "triton.max_batch: expected `int` <= 256, got 257"),
        ('[kafka]\nbootstrap_servers = ""', "kafka: bootstrap_servers is '': it must be host:port"),
        ('[kafka]\nbootstrap_servers = "kafka-1:9092,"', "bootstrap_servers is 'kafka-1:9092,'"),
        ('[kafka]\nbootstrap_servers = "kafka-1:9092 kafka-2:9092"', "separated by commas"),
        ('[kafka]\nbootstrap_servers = "kafka:port"', "it must be host:port"),
        ('[deployment]\nsource = ""', "deployment: source is '': it must be a URI"),
        ('[deployment]\nsource = "my shop"', "source is 'my shop'"),
        ('[deployment]\nsource = "urn:my shop"', "source is 'urn:my shop'"),
        ('[triton]\nscorer = "gpu"', "triton.scorer: expected one of in_process, triton, got 'gpu'"),
        ('[engine]\nstore = "disk"', "engine.store: expected one of memory, rocksdb, got 'disk'"),
        ("[engine]\nsession_timeout_ms = 999", "bad.toml: engine.session_timeout_ms is 999: it must be at least 1000"),
        ("[polices]\nhorizon_days = 30", "did you mean policies?"),
    ],
)
def test_a_bad_file_is_refused_and_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"bad\.toml") as caught:
        load(tmp_path / "bad.toml", {})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "servers", ["kafka", "SASL_SSL://kafka-1.example:9092, [::1]:9092", "10.0.0.1:9092,my_broker:9093"]
)
def test_brokers_as_kafka_takes_them_are_taken(servers: str) -> None:
    taken = load(None, {"TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": servers})
    assert taken.configuration.kafka.bootstrap_servers == servers


def test_what_the_whole_refuses_names_the_origin_of_its_key_alone(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text("[topics]\npartitions = 3\n")
    with pytest.raises(ConfigurationError, match=r"^environment TIDEMARK__ENGINE__SESSION_TIMEOUT_MS: engine\.session"):
        load(None, {"TIDEMARK__ENGINE__SESSION_TIMEOUT_MS": "1"})


def test_what_the_engine_refuses_is_refused_with_the_file_and_the_reason() -> None:
    assert OWN_PROPERTIES.keys() >= FIXED


def test_no_call_is_larger_than_the_shipped_model_takes() -> None:
    assert min(MAX_BATCH_SIZES.values()) == MODEL_MAX_BATCH


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the configuration absent\.toml"):
        load(Path("absent.toml"), {})


def test_the_known_secret_is_good_for_this_machine_alone() -> None:
    assert not load(None, {}).configuration.lacks_secret()
    remote = {"TIDEMARK__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9092,kafka:9092"}
    assert load(None, remote).configuration.lacks_secret()
    assert not load(None, {**remote, "TIDEMARK__DEPLOYMENT__SECRET": "own"}).configuration.lacks_secret()


def test_the_printed_view_shows_no_secret() -> None:
    environ = {"TIDEMARK__DEPLOYMENT__SECRET": "hunter2", "TIDEMARK__KAFKA__CLIENT__SASL_PASSWORD": "hunter3"}
    shown = repr(list(masked(*load(None, environ))))
    assert "hunter" not in shown
    assert DEFAULT_SECRET not in shown


def test_clients_read_committed_and_partition_by_murmur2_whatever_is_set(tmp_path: Path) -> None:
    (tmp_path / "tidemark.toml").write_text(
        '[kafka.client]\n"client.id" = "shop"\n[kafka.producer]\n"linger.ms" = 50\n'
    )
    kafka = load(None, {}).configuration.kafka
    assert client_properties(kafka) == {
        "client.id": "shop",
        "bootstrap.servers": "127.0.0.1:9092",
        "logger": KAFKA_LOG,
    }
    assert consumer_properties(kafka)["isolation.level"] == "read_committed"
    assert consumer_properties(kafka)["enable.auto.commit"] is False
    assert producer_properties(kafka)["partitioner"] == "murmur2_random"
    assert producer_properties(kafka)["linger.ms"] == 50


def test_the_running_file_counts_while_it_is_held() -> None:
    path = Path("here/up.json")
    assert running_layer(path) is None
    with RunningFile(path) as file:
        assert running_layer(path) is None
        file.write(Running(pid=1, bootstrap_servers="127.0.0.1:9", triton_url=""))
        layer = running_layer(path)
        assert layer is not None
        assert layer.values == {"kafka": {"bootstrap_servers": "127.0.0.1:9"}, "triton": {"scorer": "in_process"}}
        with pytest.raises(ConfigurationError, match=r"runs in this folder already .*one, whatever data_dir is"):
            RunningFile(path)
    assert not path.exists()


def test_a_running_file_that_was_left_behind_is_ignored() -> None:
    path = Path("up.json")
    path.write_bytes(b'{"pid":1,"bootstrap_servers":"127.0.0.1:9","triton_url":"127.0.0.1:8"}')
    assert running_layer(path) is None
    with RunningFile(path):
        assert path.read_bytes() == b""
