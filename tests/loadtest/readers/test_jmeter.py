"""JMeter: columns by their names, what times mean, what is counted twice, runs that were appended."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.jmeter import read
from capacity.loadtest.reading import Reading
from tests.loadtest.readers import written

TRUTH = [written.throughput(n) for n in written.USERS]
TRANSACTION = "Number of samples in transaction : 2, number of failing samples : 0"


def reading_of(tmp_path: Path, *texts: str, only: list[str] | None = None) -> Reading:
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"run{number}.jtl")
        paths[-1].write_text(text)
    found = recognize(paths[0])
    assert found is not None
    assert found.NAME == "jmeter"
    return read(paths, only=only)


def gate(reading: Reading, name: str) -> float | None:
    return {g.name: g.value for g in reading.gates}[name]


def is_the_truth(steps: pd.DataFrame) -> None:
    assert steps["concurrency"].tolist() == list(written.USERS)
    np.testing.assert_allclose(steps["achieved_qps"], TRUTH, rtol=0.03)
    np.testing.assert_allclose(steps["achieved_qps"] * steps["mean_ms"] / 1e3, steps["concurrency"], rtol=0.03)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "columns",
    [
        ("timeStamp", "elapsed", "label", "responseCode", "threadName", "success", "allThreads"),
        ("allThreads", "success", "label", "elapsed", "timeStamp"),
        ("threadName", "elapsed", "responseCode", "timeStamp"),
        ("IdleTime", "URL", "timeStamp", "threadName", "bytes", "elapsed", "success", "allThreads", "Connect"),
    ],
)
def test_columns_are_found_by_name(tmp_path: Path, columns: tuple[str, ...], delimiter: str) -> None:
    reading = reading_of(tmp_path, written.jmeter_csv(columns=columns, delimiter=delimiter))
    is_the_truth(reading.steps)
    assert reading.errors_counted is False
    assert reading.started_s == written.BEGINS_MS / 1e3


@pytest.mark.parametrize("left_out", [(), ("failureMessage", "sentBytes", "URL", "IdleTime", "Connect")])
def test_default_columns_need_no_header(tmp_path: Path, left_out: tuple[str, ...]) -> None:
    """Those of 5.x, and those of 2.13."""
    columns = tuple(name for name in written.JMETER_DEFAULT if name not in left_out)
    reading = reading_of(tmp_path, written.jmeter_csv(columns=columns, header=False))
    is_the_truth(reading.steps)
    assert any("no header line" in note for note in reading.notes)


def test_other_columns_without_a_header_are_refused(tmp_path: Path) -> None:
    columns = ("timeStamp", "elapsed", "label", "success", "threadName")
    with pytest.raises(InputError, match=r"no header line: '1700000000000.*print_field_names=true"):
        reading_of(tmp_path, written.jmeter_csv(columns=columns, header=False))


def test_a_file_without_times_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('label,responseCode,responseMessage,success\n"a",200,OK,true\n')
    with pytest.raises(InputError, match=r"a.csv:1: got no column 'timeStamp'") as caught:
        read([path])
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("Label,# Samples,Average,Median,90% Line\nGET,10,1,1,1\n", "summary of the whole run"),
        ('{"Total" : {"transaction" : "Total", "sampleCount" : 1}}', "statistics of the whole run"),
    ],
)
def test_summaries_are_refused_by_name(tmp_path: Path, head: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        reading_of(tmp_path, head)


@pytest.mark.parametrize(
    "form", ["%Y/%m/%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%y %H:%M:%S"]
)
def test_times_in_any_format(tmp_path: Path, form: str) -> None:
    def stamp(ms: float) -> str:
        when = dt.datetime.fromtimestamp(ms / 1e3, tz=dt.UTC)
        return when.strftime(form)[: -3 if form.endswith("%f") else None]

    reading = reading_of(tmp_path, written.jmeter_csv(stamp=stamp))
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.1)
    assert reading.steps["concurrency"].round(0).tolist() == list(written.USERS)
    assert reading.started_s is None
    assert any("times are written as" in note for note in reading.notes)


def test_times_that_are_none_are_refused_by_example(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="timeStamp: got 'later', expected milliseconds since 1970"):
        reading_of(tmp_path, written.jmeter_csv(stamp=lambda _: "later"))


def test_times_that_are_ends_are_told_by_the_order_in_threads(tmp_path: Path) -> None:
    # Durations that differ: with all alike, both readings leave every sample its time.
    rng = np.random.default_rng(1)
    rows = {"start": ["timeStamp,elapsed,threadName,success"], "end": ["timeStamp,elapsed,threadName,success"]}
    for user in range(4):
        took = rng.integers(50, 400, 300)
        starts = written.BEGINS_MS + np.concatenate([[0], np.cumsum(took + 5)[:-1]])
        rows["start"] += [f"{s},{t},a 1-{user},true" for s, t in zip(starts, took, strict=True)]
        rows["end"] += [f"{s + t},{t},a 1-{user},true" for s, t in zip(starts, took, strict=True)]
    begin, end = (reading_of(tmp_path, "\n".join(rows[k])) for k in ("start", "end"))
    assert any("samples begin: within" in note for note in begin.notes)
    assert any("samples end: within" in note for note in end.notes)
    pd.testing.assert_frame_equal(begin.steps, end.steps)


def with_transactions(message: str, *, url: str = "http://host/", children: bool = True) -> str:
    rows = ["timeStamp,elapsed,label,responseMessage,threadName,success,allThreads,URL"]
    for user in range(4):
        for k in range(100):
            start = written.BEGINS_MS + k * 300
            if children:
                rows += [f"{start + 100 * i},100,part{i},OK,a 1-{user},true,4,{url}" for i in range(2)]
            rows.append(f"{start},200,both,{message},a 1-{user},true,4,null")
    return "\n".join(rows)


@pytest.mark.parametrize("message", [f'"{TRANSACTION}"', "OK"])
def test_transactions_are_not_counted_beside_their_samples(tmp_path: Path, message: str) -> None:
    reading = reading_of(tmp_path, with_transactions(message))
    assert gate(reading, "transactions_counted_twice") == 400
    assert dict(reading.requests) == {"part0": 400, "part1": 400}
    # Two requests of 0.1 s every 0.3 s by each of four users.
    np.testing.assert_allclose(reading.steps["achieved_qps"], 8 / 0.3, rtol=0.03)


def test_transactions_alone_count_as_requests_and_are_flagged(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, with_transactions(f'"{TRANSACTION}"', children=False))
    assert gate(reading, "transactions_as_requests") == 400
    np.testing.assert_allclose(reading.steps["achieved_qps"], 4 / 0.3, rtol=0.03)


def test_samples_without_url_that_sum_up_nothing_are_requests(tmp_path: Path) -> None:
    text = with_transactions("OK", url="null", children=False)
    reading = reading_of(tmp_path, text)
    assert [g.name for g in reading.gates if g.name.startswith("transactions")] == []
    assert dict(reading.requests) == {"both": 400}


def test_xml_says_the_same_as_csv(tmp_path: Path) -> None:
    by_csv = reading_of(tmp_path, written.jmeter_csv())
    by_xml = reading_of(tmp_path, written.jmeter_xml())
    pd.testing.assert_frame_equal(by_csv.steps, by_xml.steps)


def test_parts_of_samples_count_with_them(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, written.jmeter_xml(parts=True))
    is_the_truth(reading.steps)
    assert gate(reading, "parts_of_samples") == 2 * len(written.closed_requests())


def test_samples_inside_a_transaction_count_in_its_stead(tmp_path: Path) -> None:
    rows = ["<testResults>"]
    for k in range(200):
        ts = written.BEGINS_MS + 200 * k
        inner = "".join(f'<httpSample t="100" ts="{ts + 100 * i}" s="true" lb="p{i}" tn="a 1-1"/>' for i in range(2))
        rows.append(f'<sample t="200" ts="{ts}" s="true" lb="both" rm="{TRANSACTION}" tn="a 1-1">{inner}</sample>')
    reading = reading_of(tmp_path, "\n".join([*rows, "</testResults>"]))
    assert dict(reading.requests) == {"p0": 200, "p1": 200}
    assert gate(reading, "transactions_counted_twice") == 200
    np.testing.assert_allclose(reading.steps["achieved_qps"], 10.0, rtol=0.03)


def test_entities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jtl"
    path.write_text(
        '<?xml version="1.0"?><!DOCTYPE t [<!ENTITY a "aaaa">]><testResults><sample lb="&a;"/></testResults>'
    )
    with pytest.raises(InputError, match="a document type"):
        read([path])


def test_appended_runs_are_told(tmp_path: Path) -> None:
    text = written.jmeter_csv(groups=False)
    header, rows = text.split("\n", 1)
    later = "\n".join(
        ",".join([str(int(r.split(",")[0]) + 600_000), *r.split(",")[1:]]) for r in rows.splitlines() if r
    )
    reading = reading_of(tmp_path, text + later)
    assert gate(reading, "appended_runs") == 2
    assert len(reading.steps) == 2 * len(written.USERS)
    repeated = reading_of(tmp_path, text + header + "\n" + later)
    assert gate(repeated, "appended_runs") == 2
    assert repeated.broken == ()
    alone = reading_of(tmp_path, text)
    assert "appended_runs" not in {g.name for g in alone.gates}


def test_thread_groups_one_after_another_with_a_pause_are_one_run(tmp_path: Path) -> None:
    rows = written.jmeter_csv(groups=True).splitlines()
    cut = next(i for i, r in enumerate(rows) if "step2" in r)
    later = [",".join([str(int(r.split(",")[0]) + 300_000), *r.split(",")[1:]]) for r in rows[cut:]]
    reading = reading_of(tmp_path, "\n".join(rows[:cut] + later))
    assert "appended_runs" not in {g.name for g in reading.gates}
    is_the_truth(reading.steps)


def test_statistical_samples_are_refused(tmp_path: Path) -> None:
    rows = "\n".join(f"{written.BEGINS_MS + 100 * k},1000,a,true,a 1-1,10,0" for k in range(100))
    with pytest.raises(InputError, match=r"10 requests in one row.*single latencies are lost"):
        reading_of(tmp_path, "timeStamp,elapsed,label,success,threadName,SampleCount,ErrorCount\n" + rows)


def test_failures_by_success_by_count_or_by_code(tmp_path: Path) -> None:
    def text(column: str, good: str, bad: str) -> str:
        rows = [f"{written.BEGINS_MS + 100 * k},100,a 1-1,{bad if k % 4 == 0 else good},1" for k in range(300)]
        return "\n".join([f"timeStamp,elapsed,threadName,{column},allThreads", *rows])

    for column, good, bad in (("success", "true", "false"), ("ErrorCount", "0", "1"), ("responseCode", "302", "503")):
        steps = reading_of(tmp_path, text(column, good, bad)).steps
        np.testing.assert_allclose(steps["error_fraction"], 0.25, atol=0.01)
        np.testing.assert_allclose(steps["achieved_qps"], 7.5, rtol=0.03)
    unknown = reading_of(tmp_path, text("bytes", "1", "1"))
    assert unknown.errors_counted is True
    assert unknown.steps["error_fraction"].isna().all()


def test_generators_add_up(tmp_path: Path) -> None:
    header, *rows = written.jmeter_csv(groups=False).splitlines()
    hosts = ("one", "other")
    both = [f"{row},{host}" for row in rows for host in hosts]
    reading = reading_of(tmp_path, "\n".join([f"{header},Hostname", *both]))
    assert reading.steps["concurrency"].tolist() == [2 * n for n in written.USERS]
    np.testing.assert_allclose(reading.steps["achieved_qps"], [2 * x for x in TRUTH], rtol=0.03)
    apart = reading_of(tmp_path, written.jmeter_csv(groups=False), written.jmeter_csv(groups=False))
    pd.testing.assert_frame_equal(reading.steps, apart.steps)


def test_only_some_requests(tmp_path: Path) -> None:
    header, *rows = written.jmeter_csv().splitlines()
    odd = [row.replace("GET /", "other") if i % 2 else row for i, row in enumerate(rows)]
    reading = reading_of(tmp_path, "\n".join([header, *odd]), only=["other"])
    np.testing.assert_allclose(reading.steps["achieved_qps"], [x / 2 for x in TRUTH], rtol=0.1)
    with pytest.raises(InputError, match="labels that the files have"):
        reading_of(tmp_path, "\n".join([header, *odd]), only=["absent"])


def test_samples_that_arrive_at_a_rate_make_an_open_test(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows, at = [], 0.0
    for rate in (20.0, 40.0):
        arrivals = at + np.cumsum(rng.exponential(1 / rate, round(rate * 60)))
        at = float(arrivals[-1])
        rows += [(a, t) for a, t in zip(arrivals, rng.exponential(0.5, len(arrivals)), strict=True)]
    ends = np.sort([a + t for a, t in rows])
    lines = ["timeStamp,elapsed,threadName,success,allThreads"]
    for number, (a, t) in enumerate(rows):
        alive = np.searchsorted([r[0] for r in rows], a + t, side="right") - np.searchsorted(ends, a + t)
        lines.append(f"{written.BEGINS_MS + 1e3 * a:.0f},{1e3 * t:.0f},a 1-{number},true,{alive + 1}")
    reading = reading_of(tmp_path, "\n".join(lines))
    np.testing.assert_allclose(reading.steps["offered_qps"], [20.0, 40.0], rtol=0.1)


def test_an_open_quote_costs_a_row_and_not_the_file(tmp_path: Path) -> None:
    lines = written.jmeter_csv().splitlines()
    lines[400] = lines[400].replace("GET /", '"GET /')
    reading = reading_of(tmp_path, "\n".join(lines) + "\n")
    is_the_truth(reading.steps)
    assert [p.where for p in reading.broken] == ["run0.jtl:401"]


@pytest.mark.parametrize("name", ["steps.jtl.gz", "steps.xml.jtl.gz"])
def test_the_capture_of_the_known_service(shared_data: Path, name: str) -> None:
    steps = read([shared_data / "loadtests" / "jmeter" / name]).steps
    assert steps["concurrency"].tolist() == [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
    assert steps["achieved_qps"].max() == pytest.approx(147.6, rel=0.03)
    np.testing.assert_allclose(steps["achieved_qps"] * steps["mean_ms"] / 1e3 / steps["concurrency"], 1.0, atol=0.025)
    lost_at = np.interp(300.0, steps["p95_ms"].iloc[5:], steps["concurrency"].iloc[5:])
    assert 28 <= lost_at <= 32


@pytest.mark.parametrize("name", ["sample_log1.jtl", "sample_log1b.jtl", "sample_log1c.jtl", "sample_log2.jtl"])
def test_old_samples_have_ends_of_samples_as_times(shared_data: Path, name: str) -> None:
    reading = read([shared_data / "loadtests" / "jmeter" / name])
    assert any("samples end: within" in note for note in reading.notes)
    steps = reading.steps[reading.steps["seconds"] >= 10]
    np.testing.assert_allclose(steps["achieved_qps"] * steps["mean_ms"] / 1e3 / steps["concurrency"], 1.0, atol=0.15)
