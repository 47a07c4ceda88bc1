"""Zones, clock changes, intervals, gaps, counters, duplicates."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from capacity.history import Traffic

CSV = "ts,service,requests\n"


def stamps(shop):
    return [str(ts) for ts in shop.rows()["ts"]]


def test_times_with_and_without_offset_in_one_file(shop):
    report = shop.take(
        CSV
        + "2026-11-10 20:00,a,1\n2026-11-10T12:01:00Z,a,1\n2026-11-10T05:32-06:30,a,1\n2026-11-10 20:03:00+08,a,1\n"
        + "2026-11-10t20:04:00.250+0800,a,1\n"
    )
    assert stamps(shop) == [
        "2026-11-10 20:00:00+08:00",
        "2026-11-10 20:01:00+08:00",
        "2026-11-10 20:02:00+08:00",
        "2026-11-10 20:03:00+08:00",
        "2026-11-10 20:04:00.250000+08:00",
    ]
    assert "Times without an offset were taken as Asia/Shanghai; 4 rows said their own offset" in str(report)


def test_a_source_in_another_zone_and_the_busiest_hour(shop):
    hours = [f"2026-11-10T{h:02d}:00:00,a,{1000 if h == 12 else 10}\n" for h in range(24)]
    report = shop.take(CSV + "".join(hours), source_timezone="UTC")
    assert report.timezone_assumed == "UTC"
    assert report.busiest_hour.startswith("20:00–21:00 Asia/Shanghai")
    assert not report.warnings
    wrong = shop.take(CSV + "".join(hours), source_timezone="America/New_York")
    assert wrong.busiest_hour.startswith("01:00–02:00 Asia/Shanghai")
    assert any("is the source in another zone?" in warning for warning in wrong.warnings)


def test_an_hour_that_comes_twice_is_told_apart_by_order(shop_in):
    shop = shop_in("Europe/London")
    local = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    report = shop.take(CSV + "".join(f"2026-10-25 {t},a,{n}\n" for n, t in enumerate(local)))
    assert report.rows_kept == 6
    assert report.clock_changes == {"first_pass": 2, "second_pass": 2, "alone_taken_as_first": 0}
    assert [s[11:] for s in stamps(shop)] == [
        "00:30:00+01:00",
        "01:00:00+01:00",
        "01:30:00+01:00",
        "01:00:00+00:00",
        "01:30:00+00:00",
        "02:00:00+00:00",
    ]
    assert shop.rows()["requests"].tolist() == [0, 1, 2, 3, 4, 5]
    daily = shop.store.traffic().daily()
    assert daily["covered_fraction"].iloc[0] == pytest.approx(3 / 25)


def test_a_lone_row_of_a_doubled_hour_is_the_first_pass_and_said(shop_in):
    shop = shop_in("Europe/London")
    report = shop.take(CSV + "2026-10-25 00:00,a,1\n2026-10-25 01:00,a,2\n2026-10-25 02:00,a,3\n")
    assert stamps(shop)[1] == "2026-10-25 01:00:00+01:00"
    assert any("stand alone at local times that came twice" in warning for warning in report.warnings)
    assert report.inspection.n_gaps == 1


def test_local_times_that_do_not_exist_are_rejected(shop_in):
    shop = shop_in("Europe/London")
    rows = "".join(f"2026-03-29 0{h}:{m:02d},a,1\n" for h in range(4) for m in (0, 30))
    report = shop.take(CSV + rows)
    assert report.rejected["reason"].tolist() == ["ts: this local time does not exist in Europe/London (clock change)"]
    assert report.rejected["rows"].tolist() == [2]
    assert report.rejected["first_line"].iloc[0].endswith(":4")
    assert report.inspection.n_gaps == 0
    assert shop.store.traffic().daily()["covered_fraction"].iloc[0] == pytest.approx(3 / 23)


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "America/Sao_Paulo"])
def test_days_are_local_days_in_any_zone(zone):
    ts = pd.date_range("2018-10-30", "2018-11-08", freq="30min", tz="UTC", inclusive="left")
    traffic = Traffic.from_frame(pd.DataFrame({"ts": ts, "service": "a", "requests": 1}), timezone=zone)
    daily = traffic.daily()
    # Kathmandu is 5:45 off: midnight cuts a row in two.
    quarters = pd.date_range("2018-10-30", "2018-11-08", freq="15min", tz="UTC", inclusive="left").tz_convert(zone)
    expected = pd.Series(0.5, index=quarters).groupby(quarters.date).sum()
    assert daily["date"].dt.date.tolist() == list(expected.index)
    assert daily["requests"].tolist() == expected.round().tolist()
    assert np.allclose(daily["covered_fraction"].iloc[1:-1], 1.0)


def hours_of_utc(zone, as_of=None):
    """Twenty days in hours of UTC, ten times busier from 12:00 to 13:00 local time."""
    minutes = pd.date_range("2026-10-01", "2026-10-21", freq="min", tz="UTC", inclusive="left")
    rate = np.where(minutes.tz_convert(zone).hour == 12, 10, 1)
    counts = pd.Series(rate, index=minutes).resample("h").sum()
    rows = pd.DataFrame({"ts": counts.index, "service": "a", "requests": counts.to_numpy()})
    return Traffic.from_frame(rows, timezone=zone, as_of=as_of)


@pytest.mark.parametrize(("zone", "step", "shift"), [("Asia/Dhaka", 60, 0), ("Asia/Kolkata", 30, 30)])
def test_an_hour_of_utc_that_midnight_cuts_is_shared_out(zone, step, shift):
    traffic = hours_of_utc(zone)
    assert set(traffic.interval_s()) == {3600}
    daily = traffic.daily().iloc[1:-1]
    assert set(daily["requests"]) == {23 * 60 + 600}
    assert np.allclose(daily["covered_fraction"], 1.0)
    known = traffic.daily().iloc[[0, -1]]
    assert known["covered_fraction"].sum() == pytest.approx(1.0)
    typical = traffic.typical_day(before=date(2026, 10, 20))
    assert typical["minute_of_day"].tolist() == list(range(0, 1440, step))
    # The busy hour is where it is, as far as hours of UTC can tell.
    busy = typical.loc[typical["share"] > 2 * typical["share"].median(), "minute_of_day"]
    assert busy.tolist() == list(range(720 - shift, 780 + shift, step))
    day = traffic.daily()["date"].iloc[3].date()
    early = hours_of_utc(zone, as_of=day).daily()
    assert early["date"].max().date() == day - timedelta(days=1)


def intervals(*parts):
    frame = pd.concat([pd.DataFrame({"ts": pd.DatetimeIndex(part).tz_localize("UTC")}) for part in parts])
    frame = frame.assign(service="a", requests=1).sort_values("ts")
    traffic = Traffic.from_frame(frame, timezone="UTC")
    return traffic.window(pd.Timestamp(0, tz="UTC"), pd.Timestamp("2099-01-01", tz="UTC"))["interval_s"].to_numpy()


@pytest.mark.parametrize("width", [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600])
def test_a_regular_series_has_its_width(width):
    rng = np.random.default_rng(width)
    ts = pd.date_range("2026-11-10 00:00", periods=max(6, min(4000, 6 * 3600 // width)), freq=f"{width}s")
    assert set(intervals(ts)) == {width}
    # A fifth of the rows lost: gaps widen nothing.
    keep = rng.random(len(ts)) < 0.8
    if width <= 900:
        assert set(intervals(ts[keep])) == {width}


def test_widths_change_within_a_series():
    hours = pd.date_range("2026-11-09 00:00", "2026-11-10 18:00", freq="h", inclusive="left")
    minutes = pd.date_range("2026-11-10 18:00", "2026-11-10 22:00", freq="min", inclusive="left")
    fives = pd.date_range("2026-11-10 22:00", "2026-11-11 01:00", freq="5min", inclusive="left")
    later = pd.date_range("2026-11-11 01:00", "2026-11-12 00:00", freq="h", inclusive="left")
    found = intervals(hours, minutes, fives, later)
    expected = np.repeat([3600, 60, 300, 3600], [len(hours), len(minutes), len(fives), len(later)])
    assert found.tolist() == expected.tolist()


def test_gaps_widen_nothing():
    minutes = pd.date_range("2026-11-10 10:00", "2026-11-10 16:00", freq="min")
    lost = ((minutes >= "2026-11-10 11:20") & (minutes < "2026-11-10 13:00")) | (minutes.minute == 30)
    assert set(intervals(minutes[~lost])) == {60}
    hours = pd.date_range("2026-11-10", periods=48, freq="h")
    assert set(intervals(hours[(hours.hour < 5) | (hours.hour > 9)])) == {3600}


def test_rare_requests_leave_minutes_unlogged_but_minutes_they_are():
    rng = np.random.default_rng(0)
    minutes = pd.date_range("2026-11-10", periods=3 * 1440, freq="min")
    for share in (0.6, 0.3, 0.1):
        found = intervals(minutes[rng.random(len(minutes)) < share])
        assert (found == 60).mean() > 0.99


def test_stamps_that_wobble():
    rng = np.random.default_rng(0)
    ts = pd.date_range("2026-11-10", periods=600, freq="min") + pd.to_timedelta(rng.integers(0, 4, 600), unit="s")
    assert set(intervals(ts)) == {60}


def test_rows_regularly_wider_than_an_hour_are_no_traffic(shop):
    days = "".join(f"2026-11-{d:02d} 00:00,daily,86400\n" for d in range(1, 9))
    hours = "".join(f"2026-11-10 {h:02d}:00,hourly,3600\n" for h in range(24))
    report = shop.take(CSV + days + hours)
    assert report.rejected["reason"].tolist() == ["ts: rows are 86400 s apart; an interval is at most 1 h"]
    assert shop.store.traffic().services == ("hourly",)


def test_a_lone_row_is_taken_as_an_hour_and_said(shop):
    report = shop.take(CSV + "2026-11-10 20:00,a,3600\n")
    assert shop.rows()["interval_s"].tolist() == [3600]
    assert any("one row only" in warning for warning in report.warnings)


def test_gaps_are_reported_per_service(shop):
    kept = [m for m in range(120) if not 30 <= m < 50]
    rows = [f"2026-11-10 {20 + m // 60}:{m % 60:02d},a,1\n" for m in kept]
    rows += [f"2026-11-10 {20 + m // 60}:{m % 60:02d},b,1\n" for m in range(120)]
    report = shop.take(CSV + "".join(rows))
    assert report.inspection.n_gaps == 1
    gap = report.gaps.iloc[0]
    assert (gap["service"], gap["missing_s"]) == ("a", 1200)
    assert str(gap["starts_at"]) == "2026-11-10 20:30:00+08:00"
    assert str(gap["ends_at"]) == "2026-11-10 20:50:00+08:00"


def test_a_running_counter_is_told_and_a_busy_evening_is_not(shop):
    counter = np.concatenate([np.arange(100), np.arange(80)]) * 50 + 1000
    traffic = np.random.default_rng(0).poisson(np.linspace(100, 4000, 180))
    rows = [f"2026-11-10 {20 + m // 60}:{m % 60:02d},counter,{n}\n" for m, n in enumerate(counter)]
    rows += [f"2026-11-10 {20 + m // 60}:{m % 60:02d},rising,{n}\n" for m, n in enumerate(traffic)]
    report = shop.take(CSV + "".join(rows))
    assert report.resets.to_dict("records") == [{"service": "counter", "rows": 180, "falls": 1}]
    assert any("running counter" in warning for warning in report.warnings)


def test_equal_rows_are_one_and_rows_that_differ_are_all_rejected(shop):
    report = shop.take(
        "ts,service,requests,errors\n2026-11-10 20:00,a,5,\n2026-11-10 20:01,a,6,1\n2026-11-10 20:00,a,5,\n"
        "2026-11-10 12:01Z,a,6,2\n2026-11-10 20:02,a,7,\n2026-11-10 20:00,b,5,\n"
    )
    assert report.duplicates == 1
    assert report.rows_kept == 3
    assert report.rejected["reason"].tolist() == ["same ts and service as another row, other values: sum or choose one"]
    aside = pd.read_csv(shop.root / report.rejected_path)
    assert aside["line"].tolist() == [3, 5]
    assert aside["requests"].tolist() == [6, 6]
