"""What the sample company is made of, and that it is always the same."""

import hashlib
import io

import numpy as np
import pandas as pd
import pytest

from capacity.demo import make_company
from capacity.demo.services import NAMES

START = pd.Timestamp("2026-11-10T20:00", tz="Asia/Shanghai")


def digest(frame):
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


def test_same_seed_same_company_to_the_byte(other_company):
    again = make_company(7)
    assert again.texts == other_company.texts
    for name in ("daily_activity", "traffic", "calls"):
        assert digest(getattr(again, name)) == digest(getattr(other_company, name))


def test_other_seed_other_company(company, other_company):
    assert company.truth.peak_tps != other_company.truth.peak_tps
    assert company.texts["data/services.yaml"] != other_company.texts["data/services.yaml"]


def test_sizes_stay_small(company):
    size = 0
    for frame in (company.daily_activity, company.traffic, company.calls):
        buffer = io.BytesIO()
        frame.to_parquet(buffer)
        size += buffer.tell()
    assert size < 12e6
    assert len(company.texts["truth/truth.json"]) < 2e6
    assert sum(len(text) for path, text in company.texts.items() if not path.startswith("truth/")) < 100_000


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="seed is -1"):
        make_company(-1)
    with pytest.raises(ValueError, match="2026-double12"):
        make_company(0, promotion="2026-double12")


def test_daily_activity_follows_its_contract(company):
    frame = company.daily_activity
    assert list(frame.columns) == ["date", "segment", "dau", "dat"]
    assert not frame.duplicated(["date", "segment"]).any()
    assert (frame[["dau", "dat"]] >= 0).all().all()
    wide = frame.set_index(["date", "segment"])["dau"].unstack()  # noqa: PD010
    assert (wide["total"] < wide.drop(columns="total").sum(axis=1)).all()
    orders = frame.set_index(["date", "segment"])["dat"].unstack()  # noqa: PD010
    assert (orders["total"] == orders.drop(columns="total").sum(axis=1)).all()
    days = pd.date_range("2023-10-01", "2026-11-15", unit="us")
    assert len(days.difference(pd.DatetimeIndex(wide.index))) == 1  # the day of lost logs


def test_traffic_follows_its_contract(company):
    frame = company.traffic
    assert set(frame["service"]) == set(NAMES)
    assert not frame.duplicated(["ts", "service"]).any()
    assert str(frame["ts"].dt.tz) == "Asia/Shanghai"
    others = frame["errors"] + frame["rejected"]
    assert (others <= frame["requests"]).all()
    assert (frame["test_requests"] + frame["bot_requests"] <= frame["requests"]).all()
    assert ((frame["p50_ms"] <= frame["p95_ms"]) & (frame["p95_ms"] <= frame["p99_ms"]) | frame["p50_ms"].isna()).all()
    assert frame["cpu_fraction"].dropna().between(0, 1).all()


def test_largest_second_is_never_below_the_mean(company):
    frame = company.traffic
    width = frame.groupby("service")["ts"].diff(-1).dt.total_seconds().abs()
    minutes = frame[width == 60]
    assert (minutes["peak_qps"] >= np.floor(minutes["requests"] / 60)).all()
    hours = frame[(width == 3600) & (frame["test_requests"] == 0)]
    assert (hours["peak_qps"] >= np.floor(hours["requests"] / 3600 * 0.97)).all()


def test_orders_of_a_day_are_the_requests_of_checkout(company):
    checkout = company.traffic[company.traffic["service"] == "checkout"]
    done = checkout["requests"] - checkout["rejected"] - checkout["errors"] - checkout["test_requests"]
    by_day = done.groupby(checkout["ts"].dt.tz_localize(None).dt.floor("D")).sum()
    total = company.daily_activity.query("segment == 'total'").set_index("date")["dat"]
    for day in ("2026-11-10", "2026-11-11", "2025-11-11", "2026-10-15"):
        assert by_day[pd.Timestamp(day)] == pytest.approx(total[pd.Timestamp(day)], rel=2e-3)


def test_limits_hid_demand(company):
    truth = company.truth
    limited = [name for name, count in truth.process["rejected"].items() if count and name != "2026-double11"]
    assert limited
    total = company.daily_activity.query("segment == 'total'").set_index("date")["dat"]
    for name in limited:
        hidden = sum(truth.dat[name].values()) - sum(total[pd.Timestamp(day)] for day in truth.dat[name])
        assert hidden >= truth.process["rejected"][name]


def test_orders_rise_far_more_than_users(company, other_company):
    for one in (company, other_company):
        total = one.daily_activity.query("segment == 'total'").set_index("date")[["dau", "dat"]]
        usual = total.loc["2025-10-21":"2025-10-28"].mean()
        peak = total.loc["2025-11-11"]
        assert peak["dat"] / usual["dat"] > 1.8 * peak["dau"] / usual["dau"]
        before = total.loc["2025-11-04":"2025-11-08", "dat"].mean()
        assert before < 0.97 * usual["dat"]


def test_opening_spike_is_not_the_evening_peak(company):
    checkout = company.traffic[company.traffic["service"] == "checkout"].set_index("ts")
    event = checkout.loc[START : START + pd.Timedelta("27h")]
    assert event["peak_qps"].idxmax() < START + pd.Timedelta("5min")
    mean = company.truth.dat["2026-double11"]["2026-11-11"] / 86400
    assert 8 < company.truth.peak_tps["2026-double11"] / mean < 50


def test_new_service_has_no_past(company):
    rows = company.traffic[company.traffic["service"] == "risk-check"]
    assert rows["ts"].min() == pd.Timestamp("2026-07-01", tz="Asia/Shanghai")


def test_forgotten_feature_stays_off(company):
    edges = company.calls[(company.calls["caller"] == "product-detail") & (company.calls["callee"] == "recommend")]
    assert edges["window_end"].max() <= pd.Timestamp("2026-11-11T00:00", tz="Asia/Shanghai")
    assert '"degrade_on"' in company.texts["data/journal/2026-double11.jsonl"]
