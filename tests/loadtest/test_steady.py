"""Steps from requests: simulated runs whose load, throughput and latency are known."""

import heapq

import numpy as np
import pytest

from capacity.loadtest.pace import check_pace
from capacity.loadtest.requests import RequestTally
from capacity.loadtest.segments import changes, plateaus
from capacity.loadtest.steady import Span, steady_steps
from capacity.loadtest.steps import to_frame

BEGINS_S = 1.7e9


def closed_pool(
    users: list[int], *, slots: int, service_s: float, think_s: float = 0.0, step_s: float = 30.0, seed: int = 0
) -> list[tuple[float, float, int]]:
    """Requests (start, latency, users) of users who wait for answers from a first-in-first-out pool."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, float, int]] = []
    for step, count in enumerate(users):
        begins, ends = BEGINS_S + step * step_s, BEGINS_S + (step + 1) * step_s
        free = [begins] * slots
        arrivals = [(begins + think_s * rng.random(), user) for user in range(count)]
        heapq.heapify(arrivals)
        while arrivals:
            start, user = heapq.heappop(arrivals)
            if start >= ends:
                continue
            done = max(heapq.heappop(free), start) + service_s * rng.gamma(4.0, 0.25)
            heapq.heappush(free, done)
            rows.append((start, done - start, count))
            heapq.heappush(arrivals, (done + think_s * rng.exponential(), user))
    return rows


def tally_of(rows: list[tuple[float, float, int]], *, with_users: bool = True) -> RequestTally:
    start, latency, users = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    tally = RequestTally()
    tally.add(start, latency, failed=np.zeros(len(start), dtype=bool), users=users if with_users else None)
    return tally


@pytest.mark.parametrize("with_users", [True, False])
def test_closed_steps_are_found_with_and_without_the_tools_user_count(with_users: bool) -> None:
    steps = steady_steps(tally_of(closed_pool([2, 4, 8, 16, 32], slots=8, service_s=0.1), with_users=with_users)).steps
    assert steps["concurrency"].round().tolist() == [2, 4, 8, 16, 32]
    # A pool of 8 slots of 0.1 s: N/S below, 8/S above.
    assert steps["achieved_qps"].to_numpy() == pytest.approx([20, 40, 80, 80, 80], rel=0.04)
    assert steps["offered_qps"].isna().all()
    little = steps["achieved_qps"] * steps["mean_ms"] / 1e3 / steps["concurrency"]
    assert little.to_numpy() == pytest.approx(1.0, abs=0.03)


def test_users_who_think_are_not_in_service() -> None:
    steady = steady_steps(tally_of(closed_pool([20, 40, 60], slots=8, service_s=0.1, think_s=1.0)))
    busy = steady.steps["concurrency"].to_numpy()
    assert busy == pytest.approx([20 * 0.1 / 1.1, 40 * 0.1 / 1.1, 60 * 0.1 / 1.1], rel=0.2)
    told = [g for g in steady.gates if g.name == "users_think"]
    assert len(told) == 3
    assert told[0].value == pytest.approx(1.0, rel=0.1)


def test_open_steps_are_found_on_what_was_offered_and_not_on_throughput() -> None:
    rng = np.random.default_rng(1)
    tally = RequestTally()
    free = BEGINS_S
    rows: list[tuple[float, float]] = []
    for step, rate in enumerate((20, 60, 90, 150, 200)):  # one server of 10 ms: full at 100/s
        for start in np.sort(BEGINS_S + 30 * step + 30 * rng.random(rng.poisson(30 * rate))):
            free = max(free, start) + 0.01
            rows.append((start, free - start))
    start, latency = np.array(rows).T
    tally.add(start, latency, failed=np.zeros(len(start), dtype=bool))
    steady = steady_steps(tally)
    offered = steady.steps["offered_qps"].to_numpy()
    assert offered == pytest.approx([20, 60, 90, 150, 200], rel=0.1)
    assert steady.steps["achieved_qps"].to_numpy()[3:] == pytest.approx(100.0, rel=0.02)
    grew = {g.step for g in steady.gates if g.name == "unsteady_step" and g.verdict == "flagged"}
    assert {3, 4} <= grew


def test_failures_are_not_throughput_and_do_not_look_fast() -> None:
    tally = RequestTally()
    start = BEGINS_S + np.arange(4000) / 100
    failed = np.arange(4000) % 4 == 0
    tally.add(start, np.where(failed, 0.001, 0.2), failed=failed)
    step = steady_steps(tally).steps.iloc[0]
    assert step["achieved_qps"] == pytest.approx(75, rel=0.01)
    assert step["error_fraction"] == pytest.approx(0.25, abs=0.01)
    assert step["p50_ms"] == pytest.approx(200, rel=0.01)
    tally = RequestTally()
    tally.add(start, np.where(failed, 5.0, 0.2), failed=failed)
    assert steady_steps(tally).steps.iloc[0]["p95_ms"] == pytest.approx(5000, rel=0.01)


def test_a_ramp_is_cut_into_slices_and_said_to_be_one() -> None:
    second = np.arange(240)
    tally = RequestTally()
    start = BEGINS_S + np.repeat(second, 1 + second) + np.concatenate([np.arange(n) / n for n in 1 + second])
    users = np.repeat(1.0 + second, 1 + second)
    tally.add(start, np.full(len(start), 0.5), failed=np.zeros(len(start), dtype=bool), users=users)
    steady = steady_steps(tally, model="closed")
    assert len(steady.steps) >= 8
    assert all(g.verdict == "flagged" for g in steady.gates if g.name == "load_raised_too_fast")
    assert any(g.name == "load_raised_too_fast" for g in steady.gates)


def test_the_tools_own_steps_are_kept_when_they_follow_one_another_and_not_when_they_run_side_by_side() -> None:
    tally = RequestTally()
    start = BEGINS_S + np.arange(6000) / 100
    tally.add(start, np.full(6000, 0.05), failed=np.zeros(6000, dtype=bool))
    spans = [Span(BEGINS_S, BEGINS_S + 29.99, "a"), Span(BEGINS_S + 30, BEGINS_S + 60, "b")]
    assert len(steady_steps(tally, model="open", spans=spans).steps) == 2
    beside = [Span(BEGINS_S, BEGINS_S + 60, "a"), Span(BEGINS_S + 1, BEGINS_S + 60, "b")]
    assert len(steady_steps(tally, model="open", spans=beside).steps) == 1


def test_a_pause_is_a_gate() -> None:
    start = BEGINS_S + np.arange(6000) / 100
    # The service stands still for two seconds and answers what waited after them.
    waits = np.clip(BEGINS_S + 32.0 - start, 0.0, None) * (start >= BEGINS_S + 30.0)
    tally = RequestTally()
    tally.add(start, 0.02 + waits, failed=np.zeros(6000, dtype=bool))
    gates = [g for g in steady_steps(tally, model="open").gates if g.name == "pauses"]
    assert gates
    assert "2 of" in gates[0].says


def test_nothing_of_any_size_breaks_the_tally() -> None:
    tally = RequestTally()
    bad = np.array([np.nan, np.inf, -np.inf, 1e30, BEGINS_S, BEGINS_S])
    tally.add(bad, np.array([1.0, 1.0, 1.0, 1.0, -1.0, np.nan]), failed=np.zeros(6, dtype=bool))
    assert tally.requests == 0
    assert steady_steps(tally).steps.empty


def test_a_long_run_keeps_its_percentiles_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capacity.loadtest.requests._MOST_CELLS", 2000)
    rng = np.random.default_rng(2)
    tally, latency = RequestTally(), rng.lognormal(-3, 0.5, (40, 1000))
    for block in range(40):
        tally.add(BEGINS_S + 10 * block + 10 * rng.random(1000), latency[block], failed=np.zeros(1000, dtype=bool))
    assert tally.percentile_s(0.95, begins_s=0, ends_s=2e9) == pytest.approx(np.quantile(latency, 0.95), rel=0.01)


def test_changes_are_found_where_they_are_and_not_where_they_are_not() -> None:
    rng = np.random.default_rng(3)
    assert changes(rng.normal(size=500), noise=1.0).tolist() == [0]
    jump = np.concatenate([rng.normal(size=100), rng.normal(4.0, size=100)])
    assert changes(jump, noise=1.0).tolist() == [0, 100]
    assert plateaus(np.arange(0), np.zeros(0), counts=True) == ()


def test_pace_is_judged() -> None:
    rows = [
        {"concurrency": float(n), "achieved_qps": min(10.0 * n, 100.0), "seconds": s, "mean_ms": 100.0, "p99_ms": p99}
        for n, s, p99 in ((6, 60.0, 200.0), (8, 3.0, 200.0), (10, 60.0, 900.0), (12, 900.0, 200.0))
    ]
    found = {(g.name, g.step) for g in check_pace(to_frame(rows)) if g.verdict == "flagged"}
    assert found == {("load_raised_too_fast", 1), ("coordinated_omission", 2), ("high_load_held_too_long", None)}


def test_a_rate_that_is_not_sent_is_a_closed_step() -> None:
    rows = [
        {"offered_qps": o, "achieved_qps": min(o, 90.0), "concurrency": c} for o, c in ((80, 9), (110, 20), (130, 20))
    ]
    assert [(g.name, g.step) for g in check_pace(to_frame(rows))] == [("closed_step_posing_as_open", 2)]
