"""The generated Locust file's own judgement, second by second, without Locust."""

from __future__ import annotations

import csv
import json
import math
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.export.conftest import RATES, hard_limit, make_test

Load = Callable[..., SimpleNamespace]
WELL: dict[str, float] = {}


def second(file: SimpleNamespace, step: int, at: int, **what: float) -> None:
    """Put one second of a step into the books, all answered in the same time unless told otherwise."""
    rate = round(RATES[step])
    ms, failed, share = what.get("ms", 40.0), what.get("failed", 0.0), what.get("share", 1.0)
    answered = round(rate * share)
    bad = round(answered * failed)
    shelf = math.floor(math.log(ms) / file.FINENESS)
    good = answered - bad
    counts, latencies, recent = file.TALLY.at(step, at)
    counts.update(
        arrivals=rate,
        late=round(rate * what.get("late", 0.0)),
        ok=good,
        failed=bad,
        ok_ms=good * ms,
        all_ms=answered * ms,
        done=answered,
        done_ok=good,
        done_failed=bad,
        busy_s=answered * ms / 1000,
    )
    latencies[shelf] += good
    recent[shelf] += good


def run(file: SimpleNamespace, trouble: dict[int, dict[str, float]], *, onset: int = 0, limit: int = 2000) -> list[int]:
    """Tick once a second until the test ends; return the step of each second that offered load."""
    shape = file.Staircase()
    offered = []
    for _ in range(limit):
        if shape.tick() is None:
            assert shape.stop is not None
            return offered
        step, age = file.OFFER.step, math.floor(file.clock.now - file.OFFER.started)
        if file.OFFER.rate > 0:
            offered.append(step)
            second(file, step, age, **(trouble.get(step, WELL) if age >= onset else WELL))
        file.clock.now += 1.0
    raise AssertionError("it never ended")


def stop_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out" / "stop.json").read_text(encoding="utf-8"))
    return found


def test_without_trouble_every_step_is_run_for_its_length(load_file: Load, tmp_path: Path) -> None:
    offered = run(load_file(make_test()), {})
    assert [offered.count(k) for k in range(4)] == pytest.approx([60] * 4, abs=1)
    assert stop_of(tmp_path)["rule"] == "offered_qps"
    rows = list(csv.DictReader((tmp_path / "out" / "steps.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["achieved_qps"]) for row in rows] == pytest.approx(RATES)
    assert [float(row["p95_ms"]) for row in rows] == pytest.approx([40.0] * 4, rel=0.005)
    assert {float(row["seconds"]) for row in rows} == {45.0}
    for row in rows:
        little = float(row["achieved_qps"]) * float(row["mean_ms"]) / 1000 / float(row["concurrency"])
        assert little == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("trouble", "rule", "soonest", "latest"),
    [
        ({"ms": 200.0}, "p95_ms", 35, 37),  # far above: as soon as it is sustained after the warm-up
        ({"ms": 120.0}, "p95_ms", 59, 61),  # above: the step is finished, and not followed
        ({"failed": 0.3}, "error_fraction", 0, 2),  # errors: at once, also in the warm-up
        ({"share": 0.8}, "achieved_share", 35, 37),
        ({"late": 0.05}, "generator_late_fraction", 25, 27),
    ],
)
def test_each_rule_ends_the_test_in_its_step(
    load_file: Load, tmp_path: Path, trouble: dict[str, float], rule: str, soonest: int, latest: int
) -> None:
    offered = run(load_file(make_test()), {2: trouble})
    assert max(offered) == 2
    assert soonest <= offered.count(2) <= latest
    assert stop_of(tmp_path)["rule"] == rule
    assert stop_of(tmp_path)["step"] == 3


def test_a_few_errors_more_than_the_objective_are_chance_and_many_are_not(load_file: Load, tmp_path: Path) -> None:
    file = load_file(make_test())
    for at in range(60):
        second(file, 0, at)
    file.TALLY.at(0, 30)[0].update(ok=-3, failed=3)
    assert file.after_step(0) is None
    file.TALLY.at(0, 31)[0].update(ok=-9, failed=9)
    assert file.after_step(0)["rule"] == "error_fraction"


def test_a_single_slow_request_is_no_percentile(load_file: Load) -> None:
    file = load_file(make_test(p99_ms=100.0))
    for at in range(60):
        file.TALLY.at(0, at)[0].update(arrivals=1, done=1, done_ok=1, ok=1)
        file.TALLY.at(0, at)[2][2000] += 1  # seconds long, but one a second
    assert file.at_once(0, 50.0) is None


def test_a_stated_limit_downstream_is_not_passed_unless_it_is_mocked(load_file: Load, tmp_path: Path) -> None:
    offered = run(load_file(make_test(), hard_limit("bank", 105.0)), {})
    assert max(offered) == 1
    assert stop_of(tmp_path)["rule"] == "downstream_limit"
    mocked = load_file(make_test(), hard_limit("bank", 105.0), MOCKED="cdn, bank", OUT=str(tmp_path / "second"))
    assert max(run(mocked, {})) == 3
    told = yaml.safe_load((tmp_path / "second" / "run.yaml").read_text(encoding="utf-8"))
    assert told["mocked"] == ["cdn", "bank"]


def test_one_key_takes_only_so_much(load_file: Load, tmp_path: Path) -> None:
    test = replace(make_test(), hot_key_qps=105.0)
    assert max(run(load_file(test), {})) == 1
    assert stop_of(tmp_path)["rule"] == "hot_key"
    assert max(run(load_file(test, HOT_SHARE="0.5", OUT=str(tmp_path / "second")), {})) == 3


def test_where_nothing_is_answered_the_load_is_not_raised(load_file: Load, tmp_path: Path) -> None:
    assert max(run(load_file(make_test()), {0: {"share": 0.0}})) == 0
    file = load_file(make_test())
    assert file.after_step(0)["rule"] == "no_answers"


@pytest.mark.parametrize(
    ("bad", "rule"), [({"failed": 1, "ok": -1}, "error_fraction"), ({"done": -1, "done_ok": -1}, "achieved_share")]
)
def test_requests_so_rare_that_no_second_tells_are_judged_over_the_step(
    load_file: Load, bad: dict[str, int], rule: str
) -> None:
    file = load_file(make_test(p95_ms=100.0))
    for at in range(60):
        counts, latencies, _ = file.TALLY.at(0, at)
        counts.update(arrivals=2, done=2, done_ok=2, ok=2, ok_ms=80, all_ms=80)
        latencies[700] += 2
    assert file.at_once(0, 60.0) is None
    assert file.after_step(0) is None
    for at in range(16, 60, 4):
        counts = file.TALLY.at(0, at)[0]
        counts.update(bad)
        counts.update(done_failed=int("failed" in bad))
    assert file.at_once(0, 60.0)["rule"] == rule
    assert file.after_step(0)["rule"] == rule


def test_latencies_of_a_late_generator_are_not_written(load_file: Load, tmp_path: Path) -> None:
    run(load_file(make_test()), {2: {"late": 0.05}})
    rows = list(csv.DictReader((tmp_path / "out" / "steps.csv").read_text(encoding="utf-8").splitlines()))
    assert [float(row["offered_qps"]) for row in rows] == pytest.approx(RATES[:2])


def test_what_the_monitoring_sees_ends_the_test(load_file: Load) -> None:
    file = load_file(make_test())
    file.OFFER.step = 1
    file.WATCH["cpu_fraction"] += [(0, 0.99), (1, 0.99), (1, 0.99)]
    assert file.watched() is None  # sustained within the step that runs
    file.WATCH["cpu_fraction"].append((1, 0.97))
    assert file.watched()["rule"] == "cpu_fraction"
    file.WATCH["cpu_fraction"].append((1, 0.5))
    assert file.watched() is None
    file.SILENT.update(times=3, because="URLError")
    assert file.watched()["rule"] == "monitoring"


def test_prometheus_is_asked_and_its_largest_value_counts(load_file: Load) -> None:
    asked: list[str] = []
    result = [{"value": [0, "0.2"]}, {"value": [0, "0.7"]}, {"value": [0, "NaN"]}]

    class Prometheus(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(parse_qs(urlsplit(self.path).query)["query"][0])
            body = json.dumps({"status": "success", "data": {"result": result}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    query = 'max(rate(cpu{job="a&b"}[1m]))'
    with HTTPServer(("127.0.0.1", 0), Prometheus) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        file = load_file(make_test(), PROMETHEUS=url, CPU_QUERY=query)
        assert file.look() == []
        result.clear()
        assert file.look() == ["cpu_fraction"]
        worker = SimpleNamespace(runner=None)
        with pytest.raises(SystemExit, match="has no value of cpu_fraction"):
            file.connect(worker)
        server.shutdown()
    assert asked == [query] * 3
    assert file.WATCH["cpu_fraction"] == [(-1, 0.7)]
    assert not file.WATCH["gc_pause_fraction"]
    with pytest.raises(OSError, match="refused"):
        file.look()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bad=st.integers(0, 3),
    onset=st.integers(0, 20),
    trouble=st.sampled_from([{"ms": 110.0}, {"ms": 1e4}, {"failed": 0.05}, {"share": 0.5}, {"late": 0.5}]),
)
def test_no_step_after_trouble(load_file: Load, bad: int, onset: int, trouble: dict[str, float]) -> None:
    offered = run(load_file(make_test()), dict.fromkeys(range(bad, 4), trouble), onset=onset)
    assert max(offered) == bad
    assert (np.diff(offered) >= 0).all()


@given(st.lists(st.floats(0.5, 5e4), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_percentiles_are_right_to_half_a_percent(load_file: Load, values: list[float], share: float) -> None:
    file = load_file(make_test())
    shelves: dict[int, int] = {}
    for value in values:
        shelf = math.floor(math.log(value) / file.FINENESS)
        shelves[shelf] = shelves.get(shelf, 0) + 1
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert file.percentile(shelves, share) == pytest.approx(exact, rel=0.0026)


def test_time_under_way_is_added_up_exactly(load_file: Load) -> None:
    file = load_file(make_test())
    file.OFFER.set(0, 50.0, 3)
    file.clock.now += 0.5
    file.TALLY.flight(2)
    file.clock.now += 2.0
    file.TALLY.flight(-1)
    file.clock.now += 0.25
    file.TALLY.flight(-1)
    busy = [file.TALLY.over(0, k, k + 1)[0]["busy_s"] for k in range(3)]
    assert busy == pytest.approx([1.0, 2.0, 1.25])
    file.TALLY.flight(1, since=file.clock.now - 0.125)  # due before it left
    assert file.TALLY.over(0, 2, 3)[0]["busy_s"] == pytest.approx(1.375)


def test_workers_add_up(load_file: Load) -> None:
    master, worker = load_file(make_test()), load_file(make_test())
    for at in range(3):
        second(worker, 0, at)
    sent: dict[str, Any] = {}
    worker.report("w1", sent)
    master.hear("w1", sent)
    assert master.TALLY.over(0, 0, 3)[0]["arrivals"] == 150
    assert worker.TALLY.over(0, 0, 3)[0]["arrivals"] == 0
