"""What was measured is written as it was, the page keeps what is written by hand, and a fall is noticed."""

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from benchmarks import ratios, throughput
from benchmarks.decisions import Setting, scoring
from benchmarks.model_time import ModelTime
from benchmarks.peers import whole_fold
from benchmarks.peers.comparison import RAW_READER, WORKLOAD
from benchmarks.ratios import Ratio, fallen
from benchmarks.request_log import RequestLog
from benchmarks.results import PAGE, Results, blocks, write_page
from benchmarks.rows import Row, row
from benchmarks.watched import Measured


def rows(rate: float, cpu: float) -> list[Row]:
    reader = row(WORKLOAD, RAW_READER, "none", [Measured(1000.0, 1.0, 10.0)], load="zipf", customers=5, events=9)
    measured = [Measured(rate, cpu, 10.0), Measured(rate + 20, cpu, 30.0, 2.0), Measured(rate / 2, cpu, 20.0)]
    return [reader, row(WORKLOAD, "Tidemark", "exactly once", measured, load="zipf", customers=5, events=9)]


def results(rate: float = 200.0, cpu: float = 5.0, load: float = 0.1) -> Results:
    return Results(
        command="make bench", date="2026-01-01", machine="m", load_average=load, versions={}, rows=rows(rate, cpu)
    )


def test_a_row_has_the_median_the_range_and_the_most_memory(tmp_path: Path) -> None:
    results().write(tmp_path / "results.json")
    found = msgspec.json.decode((tmp_path / "results.json").read_bytes())["rows"][1]
    assert (found["events_per_second"], found["range"], found["runs"]) == (200.0, [100.0, 220.0], 3)
    assert (found["cpu_us_per_event"], found["peak_rss_mib"]) == (5.0, 30.0)
    assert (found["system"], found["guarantee"]) == ("Tidemark", "exactly once")


def test_the_page_has_a_block_for_everything_that_can_be_measured(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE.read_text())
    by_hand = PAGE.read_text().partition("<!-- simple job -->")
    write_page(results(), page)
    written = page.read_text()
    assert "| Tidemark | exactly once | zipf | 5 | 1 | memory | 200 | 100 … 220 | 3 | 5.0 |" in written
    assert written.startswith(by_hand[0].partition("<!-- run -->")[0])
    assert written.endswith(by_hand[2].partition("<!-- end of simple job -->")[2])
    write_page(results(rate=300.0), page)
    assert "| 300 |" in page.read_text()
    assert "| 200 |" not in page.read_text()


def test_customers_scored_have_a_table_of_their_own(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE.read_text())
    scored = results()
    run = Measured(500.0, 300.0, 10.0, 20.0), ModelTime(100, 2, 1, 6_000_000, 50_000_000)
    scored.decisions.append(scoring(Setting(64, 4), RequestLog("requests", "catalogue", 7, 9), [run], 1))
    write_page(scored, page)
    written = page.read_text().partition("<!-- decisions -->")[2].partition("<!-- end of decisions -->")[0]
    assert "| 64 | 4 | 500 | 500 … 500 | 1 | 300 | 20 | 500 | 1,500 | 100 | 3.0 | 10 |" in written


def test_a_page_without_the_block_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("<!-- run -->\n<!-- end of run -->\n")
    with pytest.raises(ValueError, match="<!-- simple job -->"):
        write_page(results(), page)


@pytest.mark.parametrize("workload", [WORKLOAD, throughput.WORKLOAD, whole_fold.WORKLOAD])
def test_the_page_has_a_block_for_each_workload(workload: str) -> None:
    assert f"<!-- {workload} -->" in PAGE.read_text()


def test_each_mix_has_a_reader_of_its_own() -> None:
    found = results()
    found.rows = [replace(one, mix=mix) for mix in ("busy", "clickstream") for one in rows(200.0, 5.0)]
    found.rows[0].events_per_second = 400.0
    assert [found.ratio_to_reader(one) for one in found.rows] == [1.0, 0.5, 1.0, 0.2]
    assert "| zipf, busy |" in blocks(found)[WORKLOAD]


def test_the_ratio_to_the_reader_stands_beside_each_row() -> None:
    assert "| 0.20 |" in blocks(results())[WORKLOAD]


@pytest.mark.parametrize(
    ("rate", "cpu", "complaints"),
    [(200.0, 5.0, 0), (140.0, 7.0, 0), (120.0, 5.0, 1), (200.0, 9.0, 1), (900.0, 1.0, 0)],
    ids=["as kept", "a little less", "it waits", "more CPU", "faster"],
)
def test_a_fall_is_one_in_rate_or_in_cpu(rate: float, cpu: float, complaints: int) -> None:
    kept = {f"{WORKLOAD}, zipf": Ratio(0.22, 0.2)}
    assert len(fallen(results(rate, cpu), kept)) == complaints


def test_on_a_busy_machine_cpu_alone_is_judged() -> None:
    kept = {f"{WORKLOAD}, zipf": Ratio(0.22, 0.2)}
    assert fallen(results(120.0, 5.0, load=1_000.0), kept) == []
    assert len(fallen(results(200.0, 9.0, load=1_000.0), kept)) == 1


def test_what_is_kept_and_was_not_measured_has_fallen() -> None:
    (complaint,) = fallen(results(), {"simple job, uniform": Ratio(0.2, 0.2)})
    assert "was not measured" in complaint


def test_what_is_kept_is_what_a_run_is_held_against(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ratios, "KEPT", tmp_path / "kept.json")
    ratios.keep(results())
    assert ratios.read_kept() == {f"{WORKLOAD}, zipf": Ratio(0.22, 0.2)}
