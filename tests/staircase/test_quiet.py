"""Windows: the quietest hours of the week of a service and of all that it calls."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capacity.history import Traffic
from capacity.staircase.quiet import AS_GOOD, HOURS_OF_WEEK, Week, find_window, typical_week

ZONE = "Asia/Shanghai"
SHANGHAI = ZoneInfo(ZONE)
HOURS = np.arange(HOURS_OF_WEEK)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def daily(quiet_hour: int) -> np.ndarray:
    """Traffic that is quietest in one hour of every day."""
    return 100.0 * (1.2 - np.cos((HOURS % 24 - quiet_hour) / 24 * 2 * np.pi))


def week(**rows: np.ndarray) -> Week:
    return Week(tuple(rows), np.array(list(rows.values())), ZONE)


def test_the_night_is_found_in_the_workspaces_zone() -> None:
    found = find_window(
        week(a=daily(4)), ["a"], duration_s=1800, earliest=at("2026-10-20T12:00"), latest=at("2026-11-08T00:00")
    )
    assert found is not None
    assert found.starts_at.isoformat() == "2026-10-21T04:00:00+08:00"
    assert found.ends_at - found.starts_at == timedelta(hours=1)
    assert found.business == pytest.approx(0.2 / 2.2)


def test_a_downstream_that_is_busy_at_night_moves_the_window() -> None:
    batch = np.where(HOURS % 24 == 4, 1000.0, 10.0)
    found = find_window(
        week(a=daily(4), batch=batch), ["a", "batch"],
        duration_s=1800, earliest=at("2026-10-20T12:00"), latest=at("2026-11-08T00:00"),
    )  # fmt: skip
    assert found is not None
    assert found.starts_at.hour in (3, 5)


def test_a_quiet_weekend_is_waited_for_and_a_slightly_quieter_one_is_not() -> None:
    sunday = np.where(HOURS // 24 == 6, 0.1, 1.0)
    span = {"duration_s": 600.0, "earliest": at("2026-10-20T00:00"), "latest": at("2026-11-08T00:00")}
    found = find_window(week(a=100 + 900 * sunday), ["a"], **span)  # type: ignore[arg-type]
    assert found is not None
    assert found.starts_at.date() == date(2026, 10, 25)
    near = find_window(week(a=1000 - 50 * (1 - sunday)), ["a"], **span)  # type: ignore[arg-type]
    assert near is not None
    assert near.starts_at.date() == date(2026, 10, 20)


def test_freezes_and_other_tests_are_not_touched() -> None:
    taken = [(at("2026-10-21T04:30"), at("2026-10-21T04:40")), (at("2026-10-22T00:00"), at("2026-10-24T00:00"))]
    found = find_window(
        week(a=daily(4)), ["a"],
        duration_s=5400, earliest=at("2026-10-20T12:00"), latest=at("2026-11-08T00:00"), taken=taken,
    )  # fmt: skip
    assert found is not None
    assert not found.touches(taken)
    assert found.ends_at - found.starts_at == timedelta(hours=2)
    nothing = find_window(
        week(a=daily(4)),
        ["a"],
        duration_s=5400,
        earliest=at("2026-10-22T01:00"),
        latest=at("2026-10-23T20:00"),
        taken=taken,
    )
    assert nothing is None


def test_without_traffic_the_night_is_taken_by_custom() -> None:
    found = find_window(
        week(b=daily(4)), ["a"], duration_s=60, earliest=at("2026-10-20T12:00"), latest=at("2026-10-22T12:00")
    )
    assert found is not None
    assert found.business is None
    assert found.starts_at == at("2026-10-21T03:00")


def test_an_hour_of_which_nothing_is_known_is_not_quiet() -> None:
    gap = daily(12)
    gap[HOURS % 24 == 12] = np.nan
    found = find_window(
        week(a=gap), ["a"], duration_s=60, earliest=at("2026-10-20T00:00"), latest=at("2026-10-22T00:00")
    )
    assert found is not None
    assert found.starts_at.hour in (11, 13)


@given(
    st.lists(st.floats(1.0, 1e5), min_size=HOURS_OF_WEEK, max_size=HOURS_OF_WEEK),
    st.floats(60.0, 4 * 3600.0),
    st.integers(5, 24 * 20),
)
def test_a_window_is_long_enough_inside_its_span_and_about_the_quietest(
    rates: list[float], duration_s: float, hours: int
) -> None:
    own = week(a=np.array(rates))
    earliest = at("2026-10-20T00:10")
    latest = earliest + timedelta(hours=hours + 2)
    found = find_window(own, ["a"], duration_s=duration_s, earliest=earliest, latest=latest)
    if found is None:
        assert hours + 2 < duration_s / 3600 + 3
        return
    assert found.starts_at >= earliest
    assert found.ends_at <= latest
    assert (found.ends_at - found.starts_at).total_seconds() >= duration_s
    length = round((found.ends_at - found.starts_at) / timedelta(hours=1))
    share = own.business(["a"])
    assert share is not None
    # Every start on the hour, counted anew: none is quieter by more than what is called as good.
    best = 2.0
    start = at("2026-10-20T01:00")
    while start + timedelta(hours=length) <= latest:
        first = start.weekday() * 24 + start.hour
        best = min(best, max(share[(first + k) % HOURS_OF_WEEK] for k in range(length)))
        start += timedelta(hours=1)
    assert found.business is not None
    assert best - 1e-12 <= found.business <= best + AS_GOOD + 1e-12


def test_a_clock_change_neither_skips_nor_doubles_a_window() -> None:
    berlin = Week(("a",), daily(2)[None, :], "Europe/Berlin")
    for day in ("2026-03-28", "2026-10-24"):  # clocks move in the night that follows
        begins = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("Europe/Berlin"), hour=12)
        found = find_window(berlin, ["a"], duration_s=5000, earliest=begins, latest=begins + timedelta(days=1))
        assert found is not None
        assert (found.ends_at.astimezone(UTC) - found.starts_at.astimezone(UTC)) == timedelta(hours=2)


def test_hours_begin_where_the_zones_do() -> None:
    kolkata = Week(("a",), daily(4)[None, :], "Asia/Kolkata")
    begins = datetime(2026, 10, 20, 12, tzinfo=ZoneInfo("Asia/Kolkata"))
    found = find_window(kolkata, ["a"], duration_s=60, earliest=begins, latest=begins + timedelta(days=3))
    assert found is not None
    assert found.starts_at.isoformat() == "2026-10-21T04:00:00+05:30"


def test_the_typical_week_is_a_median_of_local_hours() -> None:
    first = pd.Timestamp("2026-09-21", tz=ZONE)  # a Monday
    hours = pd.date_range(first, periods=4 * HOURS_OF_WEEK, freq="h")
    rows = pd.DataFrame({"ts": hours, "service": "a", "requests": 3600 * (10 + np.arange(len(hours)) % HOURS_OF_WEEK)})
    promotion = (rows["ts"] >= first + pd.Timedelta(days=7)) & (rows["ts"] < first + pd.Timedelta(days=9))
    rows.loc[promotion, "requests"] *= 50
    traffic = Traffic.from_frame(rows, timezone=ZONE)
    found = typical_week(traffic, before=date(2026, 10, 19))
    row = found.of("a")
    assert row is not None
    calm = np.r_[0:24, 48:HOURS_OF_WEEK]
    assert row[calm] == pytest.approx(10.0 + HOURS[calm])
    assert (row[24:48] < 3 * (10 + HOURS[24:48])).all()  # one promotion of four weeks weighs little
    assert found.of("unknown") is None
