"""Where a forecast's width comes from and what would narrow it: against what the model does when it is so."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from capacity.forecast import forecast_demand
from capacity.promotion import Expectation, Promotions

AS_OF = date(2025, 10, 20)
NEARER = "forecasting it again 7 days before it begins"
MORE = "one more past double11 promotion, before the first that is known"


def _forecast(site, *, as_of=AS_OF, **options):
    options = {"n_samples": 2000, "promotions": site.promotions} | options
    coming = options["promotions"]["2025-double11"]
    return forecast_demand(site.activity.before(as_of), coming, **options)


def _told(demand, metric, option):
    frame = demand.doubt.options
    return frame[(frame["metric"] == metric) & (frame["option"] == option)].iloc[0]


def _ends_apart(demand, metric):
    samples = (demand.total_dau if metric == "dau" else demand.total_dat).sel(date="2025-11-11")
    low, high = np.quantile(samples, [0.05, 0.95])
    return high / low


@pytest.fixture(scope="module")
def demand(site):
    return _forecast(site)


def _estimate(site, mid):
    expected = Expectation.model_validate({"dau": {"low": 0.9 * mid, "mid": mid, "high": 1.1 * mid}})
    return Promotions(
        [
            p.model_copy(update={"expected": expected}) if p.id == "2025-double11" else p
            for p in site.promotions.values()
        ]
    )


def test_shares_add_up_and_the_day_is_that_of_most_orders(demand):
    sums = demand.doubt.sources.groupby("metric")["share"].sum()
    np.testing.assert_allclose(sums, 1)
    assert pd.Timestamp(AS_OF) + pd.Timedelta(days=demand.doubt.day) == pd.Timestamp("2025-11-11")


@pytest.mark.parametrize("metric", ["dau", "dat"])
def test_sources_are_those_of_the_samples(demand, metric):
    samples = (demand.total_dau if metric == "dau" else demand.total_dat).sel(date="2025-11-11")
    now = _told(demand, metric, MORE)["ends_apart_now"]
    assert now == pytest.approx(_ends_apart(demand, metric))
    # The parts are variances of the log: together they give the width that the samples show.
    assert np.log(now) / np.log(samples).std() == pytest.approx(3.29, rel=0.12)


def test_what_is_told_of_a_nearer_day_is_what_comes_of_it(site, demand):
    nearer = _forecast(site, as_of=date(2025, 11, 4))
    told = _told(demand, "dat", NEARER)
    assert told["ends_apart_then"] < told["ends_apart_now"]
    assert np.log(told["ends_apart_then"]) == pytest.approx(np.log(_ends_apart(nearer, "dat")), rel=0.15)


def test_what_is_told_of_one_more_promotion_is_what_comes_of_it(site, demand):
    """Forecast from one promotion of the kind, told what the one before it would bring; then given it."""
    last_only = Promotions([p for p in site.promotions.values() if p.id != "2023-double11"])
    fewer = _forecast(site, promotions=last_only)
    told = _told(fewer, "dat", MORE)
    assert 1 < told["ends_apart_then"] < told["ends_apart_now"]
    gained = np.log(told["ends_apart_then"]) / np.log(told["ends_apart_now"])
    measured = np.log(_ends_apart(demand, "dat")) / np.log(_ends_apart(fewer, "dat"))
    assert gained == pytest.approx(measured, abs=0.15)  # the spread, which the second promotion teaches, is not told


def test_an_estimate_narrows_by_what_it_was_told_to(site, demand):
    told = _told(demand, "dau", "an estimate of DAU by the business")
    agreeing = _estimate(site, float(demand.total_dau.sel(date="2025-11-11").median()))
    heard = _forecast(site, promotions=agreeing)
    assert np.log(told["ends_apart_then"]) == pytest.approx(np.log(_ends_apart(heard, "dau")), rel=0.05)
    share = heard.doubt.sources.set_index(["metric", "source"])["share"]
    assert share["dau", "business"] == pytest.approx(heard.business.weights["dau"])
    assert share["dat", "business"] == 0


def test_why_names_the_largest_source_and_measured_options(demand):
    line = next(line for line in demand.why if "the doubt about orders" in line)
    sources = demand.doubt.sources.query("metric == 'dat'").sort_values("share", ascending=False)
    assert f"({sources['share'].iloc[0]:.0%})" in line
    line = next(line for line in demand.why if "measured by asking the model again" in line)
    for row in demand.doubt.options.query("metric == 'dat'").itertuples():
        assert f"{row.option}: {row.ends_apart_then:.2f}" in line


def test_evidence_says_each_promotions_weight(demand):
    weight = demand.evidence.set_index(["metric", "promotion"])["weight"]
    own = weight["dau"].filter(like="double11").sum()
    assert 0.5 < own < 1.1
    line = next(line for line in demand.why if line.startswith("weights in the day of most orders"))
    assert (
        f"2024-double11 {weight['dau', '2024-double11']:.0%} and {weight['dat_per_dau', '2024-double11']:.0%}" in line
    )


def test_a_promotion_on_closed_days_alone_has_no_doubt(make_promotion, make_activity):
    dates = pd.date_range("2025-01-01", "2026-05-31")
    opened = dates.day_of_week != 5
    dau = np.random.default_rng(0).poisson(5000 * opened)
    frame = pd.DataFrame({"date": dates, "segment": "total", "dau": dau, "dat": dau // 20})
    coming = make_promotion(2026, "618", "06-20")
    assert pd.Timestamp(coming.dates[0]).day_of_week == 5
    shut = forecast_demand(make_activity(frame), coming, promotions=Promotions([coming]), n_samples=100)
    assert shut.doubt is None
    assert (shut.total_dat.sel(date="2026-06-20") == 0).all()
