"""Past forecasts as they would have been: what each origin sees, the rules beside it, and the scores."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from capacity.errors import NotCoveredError
from capacity.forecast import backtest_demand, forecast_demand, rules
from capacity.forecast.activity import daily_arrays
from capacity.forecast.scores import QUANTILES, by_chance, interval_scores
from capacity.lessons import Lesson, Lessons
from capacity.promotion import Actual, Expectation, Promotions

ORIGINS = [date(2025, 3, 1), date(2025, 5, 28), date(2025, 10, 21)]
LAST = ORIGINS[-1]


def _backtest(site, *, activity=None, origins=ORIGINS, **options):
    options = {"promotions": site.promotions, "n_samples": 200} | options
    return backtest_demand(activity or site.activity, origins=origins, **options)


def _own(result, method="forecast"):
    rows = result.forecasts[result.forecasts["method"] == method]
    return rows.sort_values(["as_of", "metric", "date"]).reset_index(drop=True)


def _changed(promotions, promotion_id, **changes):
    return Promotions([p.model_copy(update=changes) if p.id == promotion_id else p for p in promotions.values()])


def _expected(mid, signed_at=None):
    given = {"low": 0.8 * mid, "mid": mid, "high": 1.2 * mid}
    return Expectation.model_validate(
        {"dau": given, "dat": {k: v / 10 for k, v in given.items()}, "signed_at": signed_at}
    )


@pytest.fixture(scope="module")
def result(site):
    return _backtest(site)


@pytest.fixture(scope="module")
def latest(site):
    return _backtest(site, origins=[LAST])


# ------------------------------------------------------------------ table


def test_table_has_every_method_horizon_and_score(result):
    frame = result.to_frame()
    assert set(frame["method"]) == {"forecast", "seasonal_naive", "last_year_times_growth"}
    assert set(frame["days"]) == {"ordinary", "event"}
    assert {"all", "1–7", "8–14", "15–28", "29+"} <= set(frame["days_ahead"])
    own = frame[frame["method"] == "forecast"]
    scores = [f"{name}_{percent}" for name in ("coverage", "width", "interval_score") for percent in (80, 90, 95)]
    assert own[["wape", "bias", "pinball", "pinball_99", *scores]].notna().all(axis=None)
    assert (own["coverage_80"] <= own["coverage_90"]).all()
    assert (own["coverage_90"] <= own["coverage_95"]).all()
    rules_have = frame[(frame["method"] != "forecast") & (frame["days"] == "ordinary")]
    assert (
        rules_have[["coverage_90", "interval_score_90", "error_ratio", "interval_score_ratio"]].notna().all(axis=None)
    )


def test_forecast_beats_the_rules_of_thumb_on_event_days(result):
    frame = result.to_frame()
    event = frame[(frame["days"] == "event") & (frame["days_ahead"] == "all")].set_index(["method", "metric"])
    assert (event.loc["seasonal_naive", "error_ratio"] < 0.5).all()
    assert (event.loc["seasonal_naive", "interval_score_ratio"].dropna() < 1).all()


def test_scores_are_those_of_the_definitions():
    actual = np.array([10.0, 20.0])
    q = {level: np.array([9.0, 21.0]) if level < 0.5 else np.array([12.0, 24.0]) for level in QUANTILES}
    scores = interval_scores(actual, q)
    assert scores["coverage_90"] == 0.5
    assert scores["width_90"] == pytest.approx(6 / 30)
    assert scores["interval_score_90"] == pytest.approx((6 + 1 / 0.05) / 30)
    assert scores["interval_score_80"] == pytest.approx((6 + 1 / 0.1) / 30)


def test_ratios_are_taken_on_the_days_that_both_have(site):
    short = type(site.activity)(site.activity.frame[site.activity.frame["date"] >= "2024-03-01"])
    found = _backtest(site, activity=short, origins=[date(2025, 2, 1), date(2025, 7, 1)])
    own, rule = _own(found), _own(found, "last_year_times_growth")
    known = rule[0.5].notna() & (rule["metric"] == "dau") & (rule["promotion"] == "")
    assert 0 < known.sum() < (own["metric"] == "dau").sum()
    both = [(part[0.5] - part["actual"])[known].abs().sum() for part in (own, rule)]
    frame = found.to_frame()
    told = frame.query("metric == 'dau' and days == 'ordinary' and days_ahead == 'all'").set_index("method")
    assert told.loc["last_year_times_growth", "error_ratio"] == pytest.approx(both[0] / both[1])
    assert told.loc["last_year_times_growth", "n"] == known.sum()


def test_by_chance_narrows_with_more_independent_units():
    assert by_chance(0.9, 5)[0] < by_chance(0.9, 50)[0] < 0.9 < by_chance(0.9, 50)[1]


# -------------------------------------------------------- what origins see


def test_no_forecast_sees_its_own_future(site, latest):
    cut = site.activity.frame.copy()
    cut.loc[cut["date"] >= pd.Timestamp(LAST), ["dau", "dat"]] *= 3
    again = _own(_backtest(site, activity=type(site.activity)(cut), origins=[LAST]))
    pd.testing.assert_frame_equal(again[list(QUANTILES)], _own(latest)[list(QUANTILES)])


def test_what_was_signed_learnt_or_remembered_later_is_hidden(site, latest):
    """The forecast of an origin is blind to later estimates, outcomes and lessons, and hears earlier ones."""
    later, earlier = LAST, date(2025, 10, 20)
    truth = site.truth.loc["2025-11-11"]
    promotions = _changed(site.promotions, "2025-double11", expected=_expected(2 * truth["dau"], later))
    promotions = _changed(promotions, "2025-double11", actual=Actual(dau=3 * truth["dau"], dat=3 * truth["dat"]))
    quantiles = {"q05": 1.4, "q50": 1.5, "q95": 1.6}
    lesson = Lesson(parameter="dau", quantiles=quantiles, promotion="2025-618", learned_at=later)
    blind = _own(_backtest(site, origins=[LAST], promotions=promotions, lessons=Lessons([lesson])))
    pd.testing.assert_frame_equal(blind[list(QUANTILES)], _own(latest)[list(QUANTILES)])

    promotions = _changed(site.promotions, "2025-double11", expected=_expected(2 * truth["dau"], earlier))
    heard = _backtest(site, origins=[LAST], promotions=promotions)
    largest = (_own(heard)["date"] == "2025-11-11") & (_own(heard)["metric"] == "dau")
    assert (_own(heard).loc[largest, 0.5] > 1.05 * _own(latest).loc[largest, 0.5]).all()
    taught = Lessons([lesson.model_copy(update={"learned_at": earlier})])
    assert (_own(_backtest(site, origins=[LAST], lessons=taught))[0.5] != _own(latest)[0.5]).any()


def test_rejections_of_a_promotion_are_unknown_before_it(site, latest):
    days = pd.DatetimeIndex(site.promotions["2025-double11"].dates)
    rows = pd.DataFrame({"date": site.activity.frame["date"], "service": "checkout", "covered_fraction": 1.0})
    orders = site.activity.frame["dat"].astype(int)
    rows = rows.assign(requests=orders, rejected=orders.where(rows["date"].isin(days), 0).astype(float), per_dat=1.0)
    limited = type(site.activity)(site.activity.frame, order_requests=rows)
    found = _backtest(site, activity=limited, origins=[LAST])
    pd.testing.assert_frame_equal(_own(found)[list(QUANTILES)], _own(latest)[list(QUANTILES)])
    told = found.events.query("metric == 'dat'")["actual"].item()
    assert told > 1.2 * latest.events.query("metric == 'dat'")["actual"].item()
    assert any("half of what was turned away" in line for line in found.assumptions)


def test_a_promotion_is_forecast_as_the_program_would_have(site, latest):
    coming = site.promotions["2025-double11"]
    demand = forecast_demand(site.activity.before(LAST), coming, promotions=site.promotions, n_samples=200)
    largest = demand.total_dat.sel(date=[np.datetime64(day) for day in coming.dates]).max("date")
    told = latest.events.set_index("metric").loc["dat"]
    # A longer horizon draws other futures: the same forecast up to sampling.
    assert told["q50"] == pytest.approx(float(largest.median()), rel=0.06)
    assert told["known_of_kind"] == 2


def test_days_of_a_promotion_that_had_begun_are_left_out(site):
    coming = site.promotions["2025-618"]
    found = _backtest(site, origins=[coming.dates[-1]])
    assert "2025-618" not in set(found.forecasts["promotion"])
    assert pd.Timestamp(coming.dates[-1]) not in set(found.forecasts["date"])


def test_by_default_each_past_promotion_is_forecast_three_weeks_before(site):
    recent = type(site.activity)(site.activity.frame[site.activity.frame["date"] >= "2025-01-01"])
    found = backtest_demand(recent, promotions=site.promotions, n_samples=50)
    starts = {name: pd.Timestamp(site.promotions[name].dates[0]) for name in found.events["promotion"]}
    assert set(starts) == {"2025-618", "2025-double11", "2025-double12"}
    ahead = {row.promotion: starts[row.promotion] - row.as_of for row in found.events.itertuples()}
    assert set(ahead.values()) == {pd.Timedelta(days=21)}


# -------------------------------------------------------------- the rules


def test_the_business_is_judged_beside_history_alone_on_the_days_it_was_heard(site):
    truth = site.truth["dau"]
    promotions = Promotions(
        [p.model_copy(update={"expected": _expected(truth[str(p.dates[-1])])}) for p in site.promotions.values()]
    )
    found = _backtest(site, origins=[LAST], promotions=promotions)
    alone = _own(found, "history_alone")
    assert set(alone["promotion"]) == {"2025-double11"}
    event = found.to_frame().query("method == 'history_alone' and days == 'event' and days_ahead == 'all'")
    assert event["error_ratio"].notna().all()
    assert any("without signed_at" in line for line in found.assumptions)


def test_last_year_times_growth_is_what_a_spreadsheet_says(site):
    past = np.concatenate([np.full(400, 100.0), np.full(100, 150.0)])
    seen = daily_arrays(site.activity)
    np.testing.assert_allclose(rules.last_year_times_growth(past, 3, [], seen), 150)


def test_last_year_times_growth_takes_the_kinds_last_promotion(site):
    seen = daily_arrays(site.activity)
    past = seen.whole[0][: seen.day_of(date(2025, 10, 20))]
    said = rules.last_year_times_growth(past, 42, list(site.promotions.values()), seen)
    at, model = seen.day_of(date(2025, 11, 11)), seen.day_of(date(2024, 11, 11))
    before = model - (site.promotions["2024-double11"].dates[-1] - site.promotions["2024-double11"].dates[0]).days - 7
    growth = np.median(past[-28:]) / np.median(past[before - 28 : before])
    assert said[at - len(past)] == pytest.approx(past[model] * growth)
    unknown = rules.last_year_times_growth(past[-200:], 42, list(site.promotions.values())[-2:], seen)
    assert np.isnan(unknown).all()


def test_rules_intervals_hold_what_they_claim_and_see_no_future(site):
    seen = daily_arrays(site.activity)
    promotions = list(site.promotions.values())
    rng = np.random.default_rng(0)
    actual = np.exp(np.cumsum(rng.normal(0, 0.01, 1000)) + rng.normal(0, 0.05, 1000))
    errors = rules.past_errors("seasonal_naive", actual, 42, promotions, seen, fewest=60)
    held = []
    for begin in range(400, 950, 7):
        said = rules.seasonal_naive(actual[:begin], 42)
        low, middle, high = rules.intervals(said, errors, begin, (0.05, 0.5, 0.95))
        plain = rules.days_of(promotions, seen, begin + 42)[begin:] < 0
        np.testing.assert_array_equal(middle, said)
        held.append(((actual[begin : begin + 42] >= low) & (actual[begin : begin + 42] <= high))[plain].mean())
    assert 0.84 <= np.mean(held) <= 0.96
    later = actual.copy()
    later[500:] *= 3
    again = rules.past_errors("seasonal_naive", later, 42, promotions, seen, fewest=60)
    said = rules.seasonal_naive(actual[:500], 42)
    np.testing.assert_array_equal(
        rules.intervals(said, errors, 500, (0.05, 0.95)), rules.intervals(said, again, 500, (0.05, 0.95))
    )


def test_too_few_past_promotions_give_a_rule_no_interval_there(site):
    seen = daily_arrays(site.activity)
    promotions = list(site.promotions.values())[:2]
    errors = rules.past_errors("seasonal_naive", seen.whole[0], 42, promotions, seen, fewest=60)
    begin = seen.day_of(promotions[1].dates[0]) - 10
    spread = rules.intervals(rules.seasonal_naive(seen.whole[0][:begin], 42), errors, begin, (0.05, 0.95))
    inside = rules.days_of(promotions, seen, begin + 42)[begin:] >= 0
    assert np.isnan(spread[:, inside]).all()
    assert np.isfinite(spread[:, ~inside]).any()


# ------------------------------------------------------------------ shown


def test_why_names_misses_and_says_what_so_few_can_show(result):
    assert any("true intervals hold" in line for line in result.why)
    missed = result.events[~result.events["inside_90"].astype(bool)]
    for row in missed.itertuples():
        assert any(f"{row.promotion} came at" in line for line in result.why)


def test_figure_says_its_numbers(result):
    chart = result.plot()
    assert "90 % interval" in chart.alt
    assert set(chart.frame["panel"]) == {"coverage", "error", "promotions"}
    assert "<svg" in chart.to_svg().decode()


def test_too_short_a_history_is_not_covered(site):
    short = type(site.activity)(site.activity.frame.head(40))
    with pytest.raises(NotCoveredError):
        backtest_demand(short, promotions=site.promotions)


def test_a_history_without_promotions_is_judged_on_ordinary_days(site):
    found = _backtest(site, origins=[date(2025, 3, 1)], promotions=Promotions())
    assert found.events.empty
    assert set(found.to_frame()["days"]) == {"ordinary"}
    assert found.why
    assert "origins" in found.summary()
    assert set(found.plot().frame["panel"]) == {"coverage", "error"}
