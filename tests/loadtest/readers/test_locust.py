"""Locust: cumulative numbers differenced, resets, percentiles of a window told from those since the start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.locust import read
from capacity.loadtest.reading import Reading
from capacity.loadtest.run import judge
from tests.loadtest.readers import written

TRUTH = [written.throughput(n) for n in written.USERS]
# With eight slots of 0.1 s each.
LATENCY_MS = [100.0, 100.0, 100.0, 100.0, 200.0]


def reading_of(folder: Path, *, only: list[str] | None = None, **texts: str) -> Reading:
    paths = []
    for name, text in texts.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(text)
        found = recognize(paths[-1])
        assert found is not None
        assert found.NAME == "locust"
    return read(paths, only=only)


@pytest.mark.parametrize("every_s", [1.0, 2.0])
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("full", [False, True])
def test_steps_of_a_history(tmp_path: Path, full: bool, resets: bool, every_s: float) -> None:
    reading = reading_of(tmp_path, history=written.locust_history(full=full, resets=resets, every_s=every_s))
    assert reading.steps["concurrency"].tolist() == list(written.USERS)
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.04)
    np.testing.assert_allclose(reading.steps["mean_ms"], LATENCY_MS, rtol=0.02)
    assert reading.errors_counted is False
    tails = reading.steps["p95_ms"]
    if full or resets:
        np.testing.assert_allclose(tails, LATENCY_MS, rtol=0.02)
    else:
        # Since the start: known of the first step only, of which it is all there is.
        assert tails.notna().tolist() == [True, False, False, False, False]
        assert {g.name: g.value for g in reading.gates}["percentiles_cumulative"] == 4


def test_rows_that_skip_a_second_now_and_then(tmp_path: Path) -> None:
    # Rows every 1.03 s, dated to the whole second: two thirds of a second would be missing at some window's end.
    reading = reading_of(tmp_path, history=written.locust_history(full=True, resets=False, every_s=1.03))
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.03)


def test_zero_and_unknown_percentiles_are_missing(tmp_path: Path) -> None:
    lines = written.locust_history(full=True, resets=True).splitlines()
    cells = [line.split(",") for line in lines]
    at = cells[0].index("95%")
    for number, row in enumerate(cells[1:]):
        row[at] = ("0", "N/A", "")[number % 3]
    reading = reading_of(tmp_path, history="\n".join(",".join(row) for row in cells))
    assert reading.steps["p95_ms"].isna().all()
    assert reading.steps["p50_ms"].notna().all()


def test_failures_are_no_throughput(tmp_path: Path) -> None:
    lines = [line.split(",") for line in written.locust_history(full=False, resets=False).splitlines()]
    count, failures = lines[0].index("Total Request Count"), lines[0].index("Total Failure Count")
    for row in lines[1:]:
        row[failures] = str(int(row[count]) // 5)
    steps = reading_of(tmp_path, history="\n".join(",".join(row) for row in lines)).steps
    np.testing.assert_allclose(steps["error_fraction"], 0.2, atol=0.02)
    np.testing.assert_allclose(steps["achieved_qps"], [0.8 * x for x in TRUTH], rtol=0.05)


def test_more_failures_than_answers_are_not_believed(tmp_path: Path) -> None:
    lines = [line.split(",") for line in written.locust_history(full=False, resets=False).splitlines()]
    lines[50][lines[0].index("Total Failure Count")] = "1000"
    steps = reading_of(tmp_path, history="\n".join(",".join(row) for row in lines)).steps
    assert steps["error_fraction"].tolist() == [0.0] * len(written.USERS)
    np.testing.assert_allclose(steps["achieved_qps"], TRUTH, rtol=0.04)


def test_requests_are_read_before_histories_and_say_the_same(tmp_path: Path) -> None:
    requests = written.locust_requests()
    without_users = "\n".join(line.rsplit(",", 1)[0] + "," for line in requests.splitlines()[1:])
    texts = {
        "requests": f"{requests.splitlines()[0]}\n{without_users}",
        "history": written.locust_history(full=True, resets=True),
    }
    reading = reading_of(tmp_path, **texts)
    assert any("users were taken from history.csv" in note for note in reading.notes)
    alone = reading_of(tmp_path, requests=requests)
    np.testing.assert_allclose(reading.steps["achieved_qps"], alone.steps["achieved_qps"], rtol=0.01)
    assert reading.steps["concurrency"].tolist() == alone.steps["concurrency"].tolist()
    np.testing.assert_allclose(alone.steps["achieved_qps"], TRUTH, rtol=0.03)
    assert dict(alone.requests) == {"/": len(written.closed_requests())}


def test_only_some_requests_need_a_full_history(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, history=written.locust_history(full=True, resets=False), only=["/"])
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.03)
    with pytest.raises(InputError, match="--csv-full-history"):
        reading_of(tmp_path, history=written.locust_history(full=False, resets=False), only=["/"])


def test_json_is_one_bounded_step(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, statistics=written.locust_json())
    (step,) = reading.steps.to_dict("records")
    took = [t for *_, t in written.closed_requests()]
    assert step["achieved_qps"] == pytest.approx(len(took) / (len(written.USERS) * written.STEP_S))
    assert step["mean_ms"] == pytest.approx(np.mean(took))
    assert step["p95_ms"] == pytest.approx(np.quantile(took, 0.95))
    assert {g.name for g in judge(reading) if g.verdict == "bounded"} >= {"whole_run", "too_few_steps"}


def test_statistics_are_one_bounded_step_and_errors_none(tmp_path: Path) -> None:
    header = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Requests/s,50%,95%,99%"
    text = f"{header}\nGET,/,200,50,10,12.0,20.0,10,0,30\n,Aggregated,200,50,10,12.0,20.0,10,0,30\n"
    errors = "Method,Name,Error,Occurrences,First Seen,Last Seen\nGET,/,503,50,,\n"
    reading = reading_of(tmp_path, statistics=text, failures=errors)
    (step,) = reading.steps.to_dict("records")
    assert (step["achieved_qps"], step["error_fraction"], step["seconds"]) == (15.0, 0.25, 10.0)
    assert np.isnan(step["p95_ms"])
    with pytest.raises(InputError, match=r"no measurements, expected \*_stats_history.csv"):
        reading_of(tmp_path, failures=errors)


@pytest.mark.parametrize("text", ["[{]", '[{"num_requests": 0}]', '[{"num_requests": 1e999, "start_time": 1}]'])
def test_json_without_numbers_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"a\.json"):
        read([path])


def test_the_capture_against_its_requests(shared_data: Path) -> None:
    folder = shared_data / "loadtests" / "locust"
    truth = read([folder / "requests.csv.gz"]).steps
    found = read([folder / "steps_stats_history.csv"]).steps
    assert found["concurrency"].tolist() == truth["concurrency"].tolist() == [1, 2, 4, 8, 12, 16, 24, 32, 48, 64]
    busy = truth["concurrency"] >= 8
    np.testing.assert_allclose(found["achieved_qps"][busy], truth["achieved_qps"][busy], rtol=0.012)
    np.testing.assert_allclose(found["mean_ms"], truth["mean_ms"], rtol=0.03)
    np.testing.assert_allclose(found["p95_ms"][busy], truth["p95_ms"][busy], rtol=0.03)
    for steps in (truth, found):
        assert steps["achieved_qps"].max() == pytest.approx(147.6, rel=0.03)
        assert 28 <= np.interp(300.0, steps["p95_ms"].iloc[5:], steps["concurrency"].iloc[5:]) <= 32
