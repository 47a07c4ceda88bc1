"""Widths of rows, known, are read back from their timestamps alone."""

import itertools
from datetime import date

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capacity.history import Traffic
from capacity.history.interval import interval_sql

HOUR, MINUTE = 3600, 60
MONDAY = int(pd.Timestamp("2026-11-09", tz="UTC").timestamp())


def rows_of(seconds, *, service="a", requests=1):
    ts = pd.to_datetime(MONDAY + np.asarray(seconds), unit="s", utc=True)
    return pd.DataFrame({"ts": ts, "service": service, "requests": requests})


def widths(*series):
    """Return the intervals of each series of seconds, all judged in one table."""
    parts = [rows_of(np.sort(seconds), service=f"service-{k}") for k, seconds in enumerate(series)]
    rows = pd.concat(parts)
    rows["ts"] = rows["ts"].dt.tz_localize(None).astype("datetime64[us]")
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        con.register("rows", rows)
        found = con.execute(f"{interval_sql(('requests',), table='rows')} ORDER BY service, ts").df()
    return [found.loc[found["service"] == f"service-{k}", "interval_s"].tolist() for k in range(len(series))]


def span(first, last, width):
    """Return the starts of a width's rows from one hour to another."""
    return np.arange(round(first * HOUR), round(last * HOUR), width)


def runs(found):
    return [(int(width), len(list(same))) for width, same in itertools.groupby(found)]


def tells_apart(before, gap, after):
    """Whether a gap leaves it open, to which of two stretches the row before it belongs."""
    return before > after or min((before + gap) % after, -(before + gap) % after) > 30


@st.composite
def stretches(draw, fewest, widths, gaps):
    """Draw the starts and widths of a service's rows: stretches of one width, one after another or a gap apart."""
    at = draw(st.integers(0, 47)) * HOUR + draw(st.sampled_from([0, 900, 1800, 2700]))
    starts, true, before = [], [], None
    for _ in range(draw(st.integers(1, 5))):
        width = draw(st.sampled_from([w for w in widths if w != before]))
        count = draw(st.integers(fewest, 40))
        if before is not None and gaps and draw(st.booleans()):
            gap = draw(st.integers(1, 300).filter(lambda m, b=before, w=width: tells_apart(b, m * MINUTE, w)))
            at += gap * MINUTE
        starts += range(at, at + count * width, width)
        true += [width] * count
        at, before = at + count * width, width
    return starts, true


@settings(max_examples=40, deadline=None)
@given(st.lists(stretches(8, (30, 60, 300, 900, 3600), gaps=True), min_size=1, max_size=8))
def test_widths_come_back_from_any_mixture(services):
    assert widths(*(starts for starts, _ in services)) == [true for _, true in services]


@settings(max_examples=40, deadline=None)
@given(st.lists(stretches(3, (60, 3600), gaps=True), min_size=1, max_size=8))
def test_three_rows_tell_hours_from_minutes(services):
    assert widths(*(starts for starts, _ in services)) == [true for _, true in services]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 20_000), min_size=1, max_size=60), st.sampled_from([(), (60,) * 20, (3600,) * 20]))
def test_no_row_reaches_into_the_next(steps, before):
    starts = np.cumsum([0, *before, *steps])
    (found,) = widths(starts)
    # Stamps may wobble by a tenth of the width.
    assert (np.array(found[:-1]) * 0.9 <= np.diff(starts)).all()
    assert min(found) >= 1
    assert max(found) <= 3600


@settings(max_examples=25, deadline=None)
@given(stretches(8, (60, 300, 3600), gaps=True), st.sampled_from([0, 900, 1800, 2700]), st.integers(0, 30))
def test_widths_hang_on_no_hour(stretch, offset, days):
    starts, _ = stretch
    assert widths(starts) == widths(np.array(starts) + offset + days * 86_400)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0.05, 0.2, 0.5]), st.sampled_from([0, 900, 1800, 2700]))
def test_losses_at_random_widen_little(seed, share, offset):
    rng = np.random.default_rng(seed)
    minutes = span(20, 44, 60)[rng.random(1440) >= share]
    starts = np.concatenate([span(0, 20, HOUR), minutes, span(44, 70, HOUR)])
    (found,) = widths(starts + offset)
    true = np.repeat([HOUR, MINUTE, HOUR], [20, len(minutes), 26])
    assert (np.array(found) != true).mean() < 0.02
    assert (np.array(found) >= true).all()


@pytest.mark.parametrize("offset", [0, 900, 1800, 2700, 1234])
def test_minutes_of_an_evening_in_hours(offset):
    starts = np.concatenate([span(0, 20, HOUR), span(20, 23, 60), span(23, 48, HOUR)]) + offset
    (found,) = widths(starts)
    assert runs(found) == [(HOUR, 20), (MINUTE, 180), (HOUR, 25)]


@pytest.mark.parametrize("count", [2, 3, 12])
def test_five_minutes_around_an_outage(count):
    end = 20 + count / 12
    (found,) = widths(np.concatenate([span(10, 20, 60), span(20, end, 300), span(end, 24, 60)]))
    assert runs(found) == [(60, 600), (300, count), (60, 240 - 5 * count)]


@pytest.mark.parametrize(("begins", "ends"), [(20.25, 22.75), (20 + 1 / 60, 21 + 59 / 60), (20.5, 20.75)])
def test_minutes_that_begin_or_end_within_an_hour_beside_a_gap(begins, ends):
    (found,) = widths(np.concatenate([span(0, 20, HOUR), span(begins, ends, 60), span(23, 48, HOUR)]))
    assert runs(found) == [(HOUR, 20), (60, round((ends - begins) * 60)), (HOUR, 25)]


def test_an_outage_within_minutes_widens_nothing():
    for lost in (5, 17, 29, 59, 61, 119, 600):
        (found,) = widths(np.concatenate([span(10, 20.2, 60), span(20.2, 26, 60) + lost * 60]))
        assert set(found) == {60}
    # The clock of the logger, too, may have changed meanwhile.
    (found,) = widths(np.concatenate([span(10, 20.2, 60), span(20.3, 26, 60) + 17]))
    assert set(found) == {60}


def test_an_hour_without_minutes_that_the_hourly_table_fills():
    starts = np.concatenate([span(0, 10, HOUR), span(10, 20, 60), [20 * HOUR], span(21, 30, 60), span(30, 40, HOUR)])
    (found,) = widths(starts + 1800)
    assert runs(found) == [(HOUR, 10), (60, 600), (HOUR, 1), (60, 540), (HOUR, 10)]
    # Where no hour stands elsewhere, it is an outage of 59 minutes.
    (found,) = widths(starts[10:-10])
    assert set(found) == {60}


def test_a_row_that_the_next_one_cuts_ends_there():
    (found,) = widths(np.concatenate([span(0, 18, HOUR), span(17 + 37 / 60, 22, 60), span(22, 30, HOUR)]))
    assert runs(found) == [(HOUR, 17), (37 * 60, 1), (60, 263), (HOUR, 8)]
    (found,) = widths(np.concatenate([span(10, 20, 60), [15 * HOUR + 1]]))
    assert runs(found) == [(60, 300), (1, 1), (60, 300)]


def test_rare_requests_beside_hours_are_minutes():
    rng = np.random.default_rng(3)
    minutes = span(100, 200, 60)
    minutes = minutes[rng.random(len(minutes)) < 0.1]
    (found,) = widths(np.concatenate([span(0, 100, HOUR), minutes, span(200, 300, HOUR)]) + 1800)
    assert found[:99] == [HOUR] * 99
    assert found[-100:] == [HOUR] * 100
    # The last hour is cut by the first minute, or one of those; else minutes they are.
    assert (np.array(found[101:-100]) == 60).mean() > 0.99


def test_rows_within_a_second_are_a_second_wide():
    ts = pd.to_datetime(["2026-11-09 20:00:00.1", "2026-11-09 20:00:00.6"], utc=True)
    traffic = Traffic.from_frame(pd.DataFrame({"ts": ts, "service": "a", "requests": 1}), timezone="UTC")
    assert traffic.interval_s().tolist() == [1]


def hours_and_an_evening(zone, day="2026-11-11"):
    """A month of hours with an evening of minutes at local times, the same whatever the zone; two services."""
    rng = np.random.default_rng(8)
    evening = pd.date_range(f"{day} 18:00", f"{day} 23:00", freq="min", inclusive="left")
    hours = pd.date_range("2026-10-25", "2026-12-01", freq="h", inclusive="left")
    hours = hours[~hours.isin(evening)]
    local = hours.append(evening).sort_values()
    parts = []
    for service, rate in (("cart", 5.0), ("search", 80.0)):
        seconds = np.where(local.isin(evening), 60, 3600)
        requests = rng.poisson(rate * seconds)
        part = pd.DataFrame({"ts": local.tz_localize(zone), "service": service, "requests": requests})
        parts.append(part.assign(width=seconds, peak_qps=np.ceil(requests / seconds * 1.4)))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide"])
def test_a_company_of_another_offset_has_the_same_numbers(zone):
    def ask(zone):
        traffic = Traffic.from_frame(hours_and_an_evening(zone).drop(columns="width"), timezone=zone)
        blocks = traffic.block_maxima("1h")
        for name in ("block_at", "max_at"):
            blocks[name] = blocks[name].dt.tz_localize(None)
        typical = traffic.typical_day(before=date(2026, 12, 1))
        return traffic.daily(), blocks, typical, traffic.dispersion()

    for here, there in zip(ask(zone), ask("Asia/Dhaka"), strict=True):
        pd.testing.assert_frame_equal(here, there)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Europe/London"])
@pytest.mark.parametrize("day", ["2026-11-11", "2026-11-30"])
def test_the_stored_table_has_true_widths(shop_in, zone, day):
    shop = shop_in(zone)
    frame = hours_and_an_evening(zone, day) if zone != "Europe/London" else hours_and_an_evening("UTC", day)
    shop.store.write("traffic", frame.drop(columns="width"))
    # On the last day of the month its end says that the row at 23:00 is an hour's.
    expected = frame.sort_values(["ts", "service"])["width"].tolist()
    assert shop.rows()["interval_s"].tolist() == expected


def test_hours_of_utc_do_not_end_with_a_local_month(shop_in):
    shop = shop_in("Asia/Kolkata")
    ts = pd.date_range("2026-11-25", "2026-12-05", freq="h", tz="UTC")
    shop.store.write("traffic", pd.DataFrame({"ts": ts, "service": "a", "requests": 3600}))
    assert set(shop.rows()["interval_s"]) == {3600}


def take(shop, *parts, rate=5):
    """Take in counts of a steady rate: seconds of starts, and the width of the interval that they count."""
    frames = [rows_of(starts, requests=np.full(len(starts), round(rate * width))) for starts, width in parts]
    frame = pd.concat(frames).drop_duplicates("ts").sort_values("ts")
    return [w for w in shop.take(frame.to_csv(index=False)).warnings if "times too high" in w]


def test_ingest_tells_of_hours_mixed_with_minutes(shop):
    hours, evening = (span(0, 30, HOUR), HOUR), (span(20, 22, 60), MINUTE)
    assert take(shop, evening, hours) == []
    cut, held = take(shop, (evening[0] + 30, MINUTE), hours)
    assert cut.startswith("2 rows are followed before an interval like those before them is over")
    assert "up to 120 times too high" in cut
    assert "The first: a at 2026-11-09 20:00:00 UTC" in cut
    assert held.startswith("1 rows count what a far longer interval would")
    (held,) = take(shop, (span(10, 20, 60), 60), ([20 * HOUR], HOUR), (span(21, 30, 60), 60))
    assert "up to 60 times too high" in held


def test_ingest_is_silent_where_widths_merely_change(shop):
    assert take(shop, (span(0, 20, HOUR), HOUR), (span(20, 24, 60), 60), (span(24, 40, HOUR), HOUR)) == []
    assert take(shop, (span(0, 20, 60), 60), (span(21.3, 30, 60), 60)) == []
    assert take(shop, (span(0, 20, HOUR), HOUR), (span(40, 60, HOUR), HOUR)) == []
    opening = (span(20, 21, 60), 60 * 30)
    assert take(shop, (span(0, 20, HOUR), HOUR), opening, (span(21, 40, HOUR), HOUR)) == []
