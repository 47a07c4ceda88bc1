"""Gates that speak of bad runs and keep silent on good ones."""

from capacity.loadtest.gates import check_steps
from capacity.loadtest.steps import to_frame


def named(rows: list[dict[str, float]], name: str) -> list[tuple[str, int | None]]:
    return [(g.verdict, g.step) for g in check_steps(to_frame(rows)) if g.name == name]


def closed_rows(users: tuple[int, ...], rates: tuple[float, ...]) -> list[dict[str, float]]:
    return [
        {"concurrency": n, "achieved_qps": x, "mean_ms": 1e3 * n / x, "seconds": 60.0}
        for n, x in zip(users, rates, strict=True)
    ]


def test_a_jump_between_steps_that_both_reach_the_plateau_hides_nothing() -> None:
    users, rates = (2, 6, 10, 14, 20, 32), (26.0, 81.0, 137.0, 165.0, 165.0, 167.1)
    assert ("flagged", 5) not in named(closed_rows(users, rates), "load_raised_too_fast")
    # From below the plateau onto it, and down from it, the end lies in between.
    assert named(closed_rows((2, 6, 9, 16), (26.0, 81.0, 130.0, 165.0)), "load_raised_too_fast") == [("flagged", 3)]
    falling = closed_rows((8, 12, 14, 40), (110.0, 163.0, 165.0, 130.0))
    assert named(falling, "load_raised_too_fast") == [("flagged", 3)]


def test_one_load_repeated_is_one_load() -> None:
    rows = [{"offered_qps": q, "achieved_qps": q, "seconds": 60.0} for q in (100.0, 99.6, 100.5, 100.2, 99.9)]
    assert named(rows, "too_few_steps") == [("bounded", None)]
    rows = [{"offered_qps": q, "achieved_qps": q, "seconds": 60.0} for q in (100.0, 110.0, 120.0, 130.0)]
    assert named(rows, "too_few_steps") == [("ok", None)]


def test_steps_that_answered_nothing_are_not_usable() -> None:
    rows = [{"concurrency": float(n), "achieved_qps": 0.0, "error_fraction": 1.0} for n in (1, 2, 4, 8)]
    found = [g for g in check_steps(to_frame(rows)) if g.name == "too_few_steps"]
    assert [(g.verdict, g.value) for g in found] == [("bounded", 0)]
    assert "nothing is known" in found[0].says


def test_steps_hours_apart_are_not_of_one_run() -> None:
    rows = closed_rows((2, 4, 8, 12), (20.0, 40.0, 79.0, 115.0))
    together = [row | {"begins_s": 70.0 * i} for i, row in enumerate(rows)]
    assert named(together, "appended_runs") == []
    apart = [row | {"begins_s": 70.0 * i + 90_000.0 * (i > 1)} for i, row in enumerate(rows)]
    assert named(apart, "appended_runs") == [("flagged", None)]


def test_where_the_server_was_full_the_knee_was_reached() -> None:
    rows = [
        {"offered_qps": q, "achieved_qps": x, "p95_ms": p, "seconds": 60.0}
        for q, x, p in ((10.0, 10.0, 5.0), (20.0, 20.0, 6.0), (40.0, 40.0, 7.0), (80.0, 60.0, 90.0))
    ]
    assert named(rows, "knee_reached") == [("ok", None)]
    assert named(rows[:3], "knee_reached") == [("bounded", None)]
