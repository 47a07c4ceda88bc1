"""The frontier: on the plan's own point, never falling, true to a closed form, and honest about where it ends."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from capacity.catalog import Catalog, Service
from capacity.plan import make_plan
from capacity.plan.frontier import Frontier
from capacity.settings import Risk


def _costs(rows):
    return [row["cost_per_hour"] for row in rows]


def test_the_plan_is_a_point_of_both_curves(plan):
    frontier = plan.frontier
    cost = plan.document["cost"]["per_hour_peak"]
    own = [row for row in frontier.by_risk if row["overload_probability"] == 0.05]
    assert _costs(own) == [cost]
    own = [row for row in frontier.by_admitted_tps if row["admitted_tps"] == frontier.carried_tps]
    assert len(own) == 1
    assert own[0]["cost_per_hour"] <= cost


@pytest.mark.parametrize("probability", [0.01, 0.03, 0.15, 0.6])
def test_a_plan_at_another_risk_costs_what_the_frontier_said(plan, shop, probability):
    catalog, peaks, curves = shop
    other = make_plan(peaks, curves, services=catalog, risk=Risk(overload_probability=probability))
    own = [row for row in other.frontier.by_risk if row["overload_probability"] == probability]
    assert _costs(own) == [other.document["cost"]["per_hour_peak"]]
    for row in other.frontier.by_risk:
        same = [r for r in plan.frontier.by_risk if r["overload_probability"] == row["overload_probability"]]
        if same and probability <= 0.5:
            assert same[0]["cost_per_hour"] == row["cost_per_hour"]


def test_neither_curve_falls_and_prices_are_differences(plan):
    for rows, key, price in (
        (plan.frontier.by_risk, "overload_probability", "price_per_nine"),
        (plan.frontier.by_admitted_tps, "admitted_tps", "price_per_1000_tps"),
    ):
        assert _costs(rows) == sorted(_costs(rows))
        assert rows[0][price] is None
        for before, row in itertools.pairwise(rows):
            width = np.log10(before[key] / row[key]) if price == "price_per_nine" else (row[key] - before[key]) / 1000.0
            assert row[price] == pytest.approx((row["cost_per_hour"] - before["cost_per_hour"]) / width, rel=1e-6)
            assert width > 0


def test_orders_per_second_cost_what_one_service_needs_for_them(bench):
    """One service of 10 requests/s an instance in three zones, exactly twice the orders."""
    catalog = Catalog.from_services(
        [Service.model_validate(
            {"name": "pay", "tier": "core", "zones": 3, "instance_cost": 2.0, "instances": 1, "entry": {"per_dat": 1.0},
             "counts_as": "transaction"}
        )]
    )  # fmt: skip
    peaks = bench.peaks_of(catalog, {"pay": 200.0}, n=500)
    exact = 2.0 * peaks.peak_tps
    load = exact[:, None, None] * np.array([0.1, 1.0, 0.3, 0.6, 0.1])[None, :, None]
    peaks = replace(peaks, peak_qps=peaks.peak_qps.copy(data=load), entry_peak=exact[:, None])
    plan = make_plan(peaks, bench.curves_of(catalog, {"pay": 10.0}, n=500, sd=0.0), services=catalog, risk=Risk())
    rows = plan.frontier.by_admitted_tps
    assert len(rows) >= 6
    for row in rows:
        left = np.ceil(2.0 * row["admitted_tps"] / 10.0 - 1e-6)
        assert row["cost_per_hour"] == 2.0 * (left + np.ceil(left / 2.0))
    # Without any uncertainty but that of orders, the plan carries what its instances take.
    assert plan.frontier.carried_tps == pytest.approx(plan.document["services"]["pay"]["surviving_instances"] * 5.0)


def test_the_curve_of_orders_ends_where_something_takes_no_more(plan, shop):
    """The gateway takes 4,000/s, one a checkout and one checkout in ten orders a second, whatever is run."""
    _, peaks, _ = shop
    frontier = plan.frontier
    last = frontier.by_admitted_tps[-1]
    column = list(peaks.services).index("payco")
    ratio = peaks.peak_qps.values[:, 1, column] / peaks.peak_tps
    assert last["admitted_tps"] == plan.document["frontier"]["ends_at_tps"]
    assert (ratio * last["admitted_tps"] > 4000).mean() <= 0.05
    assert (ratio * last["admitted_tps"] * 1.05 > 4000).mean() > 0.05
    assert any("payco takes" in reason for reason in frontier.why)


def test_few_futures_cannot_show_a_small_probability(shop, bench):
    catalog, _, _ = shop
    peaks, curves = bench.peaks_of(catalog, bench.entry_qps, n=150), bench.curves_of(catalog, bench.capacity, n=150)
    frontier = make_plan(peaks, curves, services=catalog, risk=Risk(overload_probability=0.1)).frontier
    told = [row["overload_probability"] for row in frontier.by_risk]
    assert min(told) >= 0.01
    assert any("more samples" in reason for reason in frontier.why)


def test_what_instances_do_not_mend_ends_the_curve_of_risk(shop, bench):
    catalog, peaks, _ = shop
    services = [
        Service.model_validate(
            {k: getattr(s, k) for k in s.model_fields_set} | ({"max_qps": 1150.0} if s.name == "payco" else {})
        )
        for s in catalog.values()
    ]
    small = Catalog.from_services(services)
    plan = make_plan(peaks, bench.curves_of(small, bench.capacity), services=small, risk=Risk())
    assert not plan.feasible
    assert plan.document["cost"]["per_hour_bound"] is None
    assert min(row["overload_probability"] for row in plan.frontier.by_risk) >= 0.1
    assert any("whatever is run" in reason for reason in plan.frontier.why)


def test_without_orders_there_is_no_curve_of_them_and_the_reason_is_said(shop):
    catalog, peaks, curves = shop
    plan = make_plan(replace(peaks, peak_tps=peaks.peak_tps * 0.0), curves, services=catalog, risk=Risk())
    assert plan.frontier.by_admitted_tps == ()
    assert any("not known in every future" in reason for reason in plan.frontier.why)
    assert plan.frontier.plot().figure is not None


def test_the_frontier_shows_itself(plan):
    frontier = plan.frontier
    assert "a nine" in repr(frontier)
    assert "1,000 orders/s" in repr(frontier)
    frame = frontier.to_frame()
    assert set(frame["against"]) == {"risk", "admitted_tps"}
    chart = frontier.plot()
    assert "Line of cost against the core overload probability" in chart.alt
    assert len(chart.frame) == len(frame)
    assert "<table" in frontier._repr_html_()


def test_a_plan_written_without_a_frontier_says_so(plan):
    document = {key: value for key, value in plan.document.items() if key != "frontier"}
    frontier = Frontier.from_document(document)
    assert frontier.by_risk == ()
    assert "make it again" in frontier.summary()


def test_the_gap_is_certified_and_told(plan):
    cost = plan.document["cost"]
    assert cost["per_hour_bound"] <= cost["per_hour_on_samples_alone"] <= cost["per_hour_peak"]
    assert cost["gap_fraction"] == pytest.approx(cost["per_hour_peak"] / cost["per_hour_bound"] - 1.0, abs=1e-6)
    assert cost["gap_fraction"] < 0.05
