"""Prometheus: what each series is, counters before rates, load from users or requests in progress."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from capacity.errors import InputError
from capacity.loadtest.readers import recognize
from capacity.loadtest.readers.prometheus import read
from capacity.loadtest.readers.prometheus.document import Series
from capacity.loadtest.readers.prometheus.kinds import kind_of
from capacity.loadtest.reading import Reading
from tests.loadtest.readers.written import prometheus_answer, throughput

USERS = (1, 2, 4, 8, 16, 24)
TRUTH = [throughput(n) for n in USERS]
MEAN_S = [n / x for n, x in zip(USERS, TRUTH, strict=True)]
EVERY_S, SAMPLES = 5, 8
"""Eight samples a step; a load that changes shows at the sample after the change."""


def held(values: list[float]) -> np.ndarray:
    return np.repeat(np.array(values, dtype=float), SAMPLES)


def counter(rates: list[float]) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(held(rates) * EVERY_S)])[:-1]


def lagging(values: list[float], *, samples: int = 3) -> np.ndarray:
    """A mean over a window of the last samples, as rate() over some time gives."""
    whole = np.concatenate([np.full(samples, values[0]), held(values)])
    return np.array([whole[i : i + samples].mean() for i in range(len(whole) - samples)])


def reading_of(folder: Path, answers: dict[str, str]) -> Reading:
    paths = []
    for name, text in answers.items():
        paths.append(folder / f"{name}.json")
        paths[-1].write_text(text)
        found = recognize(paths[-1])
        assert found is not None
        assert found.NAME == "prometheus"
    return read(paths)


def named(name: str, **labels: str) -> dict[str, str]:
    return {"__name__": name, **labels}


def test_a_counter_with_users(tmp_path: Path) -> None:
    answers = {
        "a": prometheus_answer(counter(TRUTH), labels=named("http_requests_total", code="200")),
        "b": prometheus_answer(held(list(USERS)), labels=named("k6_vus")),
        "c": prometheus_answer(
            counter([x * r for x, r in zip(TRUTH, MEAN_S, strict=True)]),
            labels=named("http_request_duration_seconds_sum"),
        ),
    }
    reading = reading_of(tmp_path, answers)
    assert reading.steps["concurrency"].tolist() == list(USERS)
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.01)
    np.testing.assert_allclose(reading.steps["mean_ms"], [1e3 * r for r in MEAN_S], rtol=0.01)
    assert reading.steps["error_fraction"].tolist() == [0.0] * len(USERS)
    assert reading.errors_counted is False
    assert any("samples every 5 s" in note for note in reading.notes)


def test_rates_lag_and_are_read_late(tmp_path: Path) -> None:
    answers = {
        "rate": prometheus_answer(lagging(TRUTH)),
        "inprogress": prometheus_answer(held(list(USERS))),
        "mean": prometheus_answer(lagging(MEAN_S)),
        "p95": prometheus_answer(lagging([1.5 * r for r in MEAN_S])),
    }
    reading = reading_of(tmp_path, answers)
    assert reading.steps["concurrency"].tolist() == list(USERS)
    np.testing.assert_allclose(reading.steps["achieved_qps"], TRUTH, rtol=0.02)
    np.testing.assert_allclose(reading.steps["mean_ms"], [1e3 * r for r in MEAN_S], rtol=0.02)
    np.testing.assert_allclose(reading.steps["p95_ms"], [1.5e3 * r for r in MEAN_S], rtol=0.02)
    assert reading.steps["error_fraction"].isna().all()
    assert reading.errors_counted is True


def test_latencies_in_milliseconds_are_told_by_littles_law(tmp_path: Path) -> None:
    answers = {
        "rate": prometheus_answer(lagging(TRUTH)),
        "vus": prometheus_answer(held(list(USERS))),
        "p95": prometheus_answer(lagging([1.5e3 * r for r in MEAN_S])),
    }
    reading = reading_of(tmp_path, answers)
    np.testing.assert_allclose(reading.steps["p95_ms"], [1.5e3 * r for r in MEAN_S], rtol=0.02)
    assert any("p95 is read in milliseconds" in note for note in reading.notes)


def test_counters_that_were_reset(tmp_path: Path) -> None:
    counts = counter(TRUTH)
    counts[20:] -= counts[20]
    answers = {
        "a": prometheus_answer(counts, labels=named("http_requests_total")),
        "vus": prometheus_answer(held(list(USERS))),
    }
    np.testing.assert_allclose(reading_of(tmp_path, answers).steps["achieved_qps"], TRUTH, rtol=0.01)


def test_failures_by_status_and_several_instances(tmp_path: Path) -> None:
    begins = json.loads(prometheus_answer([0.0]))["data"]["result"][0]["values"][0][0]
    series = []
    for pod in ("a", "b"):
        for code, share in (("200", 0.45), ("503", 0.05)):
            values = [[begins + EVERY_S * i, str(share * v)] for i, v in enumerate(counter(TRUTH))]
            series.append({"metric": named("http_requests_total", code=code, pod=pod), "values": values})
    answer = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": series}})
    reading = reading_of(tmp_path, {"a": answer, "vus": prometheus_answer(held(list(USERS)))})
    np.testing.assert_allclose(reading.steps["achieved_qps"], [0.9 * x for x in TRUTH], rtol=0.01)
    np.testing.assert_allclose(reading.steps["error_fraction"], 0.1, atol=1e-9)


def test_percentiles_out_of_buckets(tmp_path: Path) -> None:
    answers = {
        "a": prometheus_answer(counter(TRUTH), labels=named("rpc_handled_total")),
        "vus": prometheus_answer(held(list(USERS))),
    }
    for bound, share in (("0.1", 0.5), ("0.2", 1.0), ("+Inf", 1.0)):
        labels = named("rpc_duration_seconds_bucket", le=bound)
        answers[f"bucket{bound}"] = prometheus_answer(share * counter(TRUTH), labels=labels)
    paths = list(answers)
    merged = [json.loads(answers[name])["data"]["result"][0] for name in paths if name.startswith("bucket")]
    kept = {name: text for name, text in answers.items() if not name.startswith("bucket")}
    kept["buckets"] = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": merged}})
    steps = reading_of(tmp_path, kept).steps
    np.testing.assert_allclose(steps["p95_ms"], 190.0, rtol=1e-6)
    np.testing.assert_allclose(steps["p50_ms"], 100.0, rtol=1e-6)


def test_without_load_the_busiest_half_minute_is_a_lower_bound(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, {"rate": prometheus_answer(lagging(TRUTH))})
    (step,) = reading.steps.to_dict("records")
    assert step["achieved_qps"] == pytest.approx(max(TRUTH), rel=0.02)
    assert np.isnan(step["offered_qps"])
    assert np.isnan(step["concurrency"])
    assert ("load_unknown", "bounded") in {(g.name, g.verdict) for g in reading.gates}


def test_numbers_that_are_none_are_missing(tmp_path: Path) -> None:
    p95 = lagging([0.2] * len(USERS))
    p95[::2] = np.nan
    answers = {
        "a": prometheus_answer(counter(TRUTH), labels=named("http_requests_total")),
        "vus": prometheus_answer(held(list(USERS))),
        "p95": prometheus_answer(p95),
    }
    np.testing.assert_allclose(reading_of(tmp_path, answers).steps["p95_ms"], 200.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"status":"success","data":["up","http_requests_total"]}', "no series"),
        ('{"status":"error","errorType":"bad_data","error":"parse error"}', "an error: parse error"),
        ('{"status":"success","data":{"resultType":"vector","result":[]}}', "query_range"),
        (prometheus_answer([0.1] * 9), "a counter of requests or their rate"),
    ],
)
def test_what_is_no_throughput_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        reading_of(tmp_path, {"file": text})


def test_an_answer_that_was_cut_off_gives_what_stands_before(tmp_path: Path) -> None:
    text = prometheus_answer(counter(TRUTH), labels=named("http_requests_total"))
    answers = {"a": text[: len(text) - 200], "vus": prometheus_answer(held(list(USERS)))}
    reading = reading_of(tmp_path, answers)
    np.testing.assert_allclose(reading.steps["achieved_qps"].iloc[:5], TRUTH[:5], rtol=0.01)
    assert "what stands before was read" in str(reading.broken[0])


@pytest.mark.parametrize(
    ("name", "labels", "kind"),
    [
        ("http_server_requests_seconds_count", {}, "count of requests"),
        ("http_requests_total", {}, "count of requests"),
        ("k6_http_reqs_total", {}, "count of requests"),
        ("k6_iterations_total", {}, None),
        ("k6_vus", {}, "users"),
        ("k6_vus_max", {}, None),
        ("locust_users", {}, "users"),
        ("http_requests_in_progress", {}, "requests in progress"),
        ("nginx_inflight_requests", {}, "requests in progress"),
        ("http_request_duration_seconds_sum", {}, "sum of latencies"),
        ("http_request_duration_seconds", {"quantile": "0.99"}, "99th percentile of latency"),
        ("http_request_duration_seconds_bucket", {"le": "0.5"}, "latency histogram"),
        ("k6_http_req_duration_p95", {}, "a percentile or mean since the start of the test"),
        ("http_errors_total", {}, "count of failures"),
        ("process_cpu_seconds_total", {}, None),
        ("scrape_duration_seconds", {}, None),
        ("up", {}, None),
    ],
)
def test_what_a_metric_is(name: str, labels: dict[str, str], kind: str | None) -> None:
    series = Series({"__name__": name, **labels}, "file", np.arange(9.0), np.linspace(1, 2, 9))
    assert kind_of(series) == kind


def files(shared_data: Path, *names: str) -> list[Path]:
    return [shared_data / "loadtests" / "prometheus" / f"{name}.json" for name in names]


@pytest.mark.parametrize(
    "names",
    [
        ("count_raw", "inprogress", "p95", "mean"),
        ("rate", "inprogress", "p95", "mean"),
        ("rate", "inprogress", "p95", "mean", "count_raw", "k6_p95", "k6_reqs", "k6_vus", "names"),
        ("k6_reqs", "k6_vus"),
    ],
)
def test_the_capture_of_the_known_service(shared_data: Path, names: tuple[str, ...]) -> None:
    steps = read(files(shared_data, *names)).steps
    steps = steps.assign(load=steps["concurrency"].round(0))
    assert set(steps["load"]) >= {1, 4, 8, 12, 16, 24, 40, 64}
    assert steps["achieved_qps"].max() == pytest.approx(147.6, rel=0.03)
    if "p95" in names:
        assert 28 <= np.interp(300.0, steps["p95_ms"].iloc[-4:], steps["load"].iloc[-4:]) <= 32
    else:
        # The generator's own percentile counts from the start of the test: it is not used.
        assert steps["p95_ms"].isna().all()
