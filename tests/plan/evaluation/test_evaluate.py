"""The evaluation table: facts from the catalogue and tests, forecast against capacity from the plan, gaps."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from capacity.catalog import Catalog, parse_services
from capacity.loadtest import LoadTest
from capacity.plan import make_plan
from capacity.plan.evaluation import evaluate
from capacity.plan.evaluation.gaps import KINDS
from capacity.plan.evaluation.layout import place_services
from capacity.settings import Risk

OPEN = """
- name: shop
  tier: core
  owner: a
  zones: 3
  slo: {p99_ms: 300}
  entry: {per_dau: 1}
  calls: [{to: pay}, {to: mail, timeout_ms: 100, required: false}]
- {name: pay, tier: core, zones: 1, slo: {p99_ms: 300}, calls: [{to: bank, timeout_ms: 900}], version: "2"}
- {name: bank, tier: core, third_party: true}
- {name: mail, tier: degradable, owner: b, zones: 2, calls: [{to: sms, mode: async, max_delay_s: 60}]}
- {name: sms, tier: non_core, third_party: true, max_qps: 10}
"""


def run(service, day, **more):
    steps = pd.DataFrame({"achieved_qps": [10.0]})
    return LoadTest(f"{service}-{day}", service, 1, steps, started_at=datetime(2026, 9, day, tzinfo=UTC), **more)


@pytest.fixture(scope="module")
def planned(bench):
    catalog = bench.shop()
    peaks, curves = bench.peaks_of(catalog, bench.entry_qps), bench.curves_of(catalog, bench.capacity)
    plan = make_plan(peaks, curves, services=catalog, risk=Risk())
    return plan, evaluate(catalog, plan=plan)


def test_gaps_are_found_and_the_gravest_of_core_services_come_first():
    tests = [run("shop", 1, environment="production", version="1"), run("pay", 2, environment="staging", version="1")]
    found = evaluate(parse_services(OPEN), tests=tests, zone_losses=1)
    kinds = {(gap.service, gap.kind) for gap in found.gaps}
    assert kinds == {
        ("shop", "leans_on_external"), ("shop", "no_timeout"),
        ("pay", "unowned"), ("pay", "single_zone"), ("pay", "test_outside_production"), ("pay", "test_outdated"),
        ("bank", "third_party_without_sla"), ("bank", "third_party_without_fallback"),
        ("mail", "untested"),
    }  # fmt: skip
    way = next(gap for gap in found.gaps if gap.kind == "leans_on_external")
    assert "shop → pay → bank" in way.says
    order = [(["core", "non_core", "degradable"].index(gap.tier), KINDS.index(gap.kind)) for gap in found.gaps]
    assert order == sorted(order)
    assert found.table.set_index("service")["open"]["pay"] == 4
    assert found.table.set_index("service")["load_test"]["shop"] == "tested 2026-09-01"
    assert found.table.set_index("service")["load_test"]["pay"] == "tested outside production 2026-09-02"


def test_a_company_without_gaps_has_none():
    text = "[{name: shop, tier: core, owner: a, zones: 3, slo: {p99_ms: 300}, entry: {per_dau: 1}}]"
    found = evaluate(parse_services(text), tests=[run("shop", 1, environment="production")])
    assert found.gaps == ()
    assert "0 gaps" in repr(found)


def test_forecast_stands_against_capacity_today_and_as_planned(planned):
    plan, found = planned
    table = found.table.set_index("service")
    entry = plan.document["services"]["checkout"]
    row = table.loc["checkout"]
    assert row["peak_q95"] == entry["peak_qps"]["q95"]
    assert row["takes_planned"] == entry["safe_capacity_qps"]
    assert row["verdict"] == entry["decision"]
    # Eight instances in three zones: five are left; what one takes is the 5 % quantile of its samples.
    at = plan.services.names.index("checkout")
    each = plan.curves.instance_capacity_qps.to_numpy()[:, at]
    low = float(np.quantile(each, 0.05))
    assert row["takes_now"] == pytest.approx(5 * low)
    peaks = plan.peaks.peak_qps.to_numpy()[:, :, at].max(axis=1)
    assert row["overload_now"] == pytest.approx(np.mean(peaks / each > 5))
    assert row["overload_planned"] <= row["overload_now"]


def test_a_service_that_came_after_the_plan_has_no_forecast(planned):
    plan, _ = planned
    newer = Catalog([*plan.services.values(), parse_services("[{name: gift, tier: core}]")["gift"]])
    table = evaluate(newer, plan=plan).table.set_index("service")
    assert pd.isna(table.loc["gift", "verdict"])
    assert table.loc["checkout", "verdict"] == plan.document["services"]["checkout"]["decision"]


def test_neighbours_carry_the_load_of_their_calls(planned):
    plan, found = planned
    around = found.neighbours("inventory")
    up = around[around["direction"] == "upstream"].set_index("service")
    entry = plan.document["services"]
    assert list(up.index) == ["checkout"]
    assert up.loc["checkout", "peak_q50"] == pytest.approx(2.0 * entry["checkout"]["peak_qps"]["q50"])
    assert up.loc["checkout", "share_of_callee"] == pytest.approx(1.0)
    assert set(around[around["direction"] == "downstream"]["service"]) == {"order-db"}
    payco = found.neighbours("payco")
    assert dict(zip(payco["service"], payco["steps"], strict=True)) == {"payment": 1, "checkout": 2}


def test_the_graph_is_drawn_with_its_bottleneck_named(planned):
    _, found = planned
    chart = found.plot()
    worst = chart.frame.sort_values("use_now").iloc[-1]["service"]
    assert worst in chart.title
    assert len(chart.frame) == len(found.services)
    assert set(found.plot("payment").frame["service"]) == {"checkout", "payment", "payco"}
    assert chart.to_svg().startswith(b"<?xml")


def test_a_large_graph_shows_the_bottlenecks_and_what_leads_to_them(bench):
    services = parse_services(
        "".join(
            f"- {{name: s{i:02d}, tier: core, zones: 3, instances: 4, max_instances: 4000"
            + (f", calls: [{{to: s{i + 10:02d}}}]" if i < 60 else "")
            + (", entry: {per_dau: 1}" if i < 10 else "")
            + "}\n"
            for i in range(70)
        )
    )
    entries = {f"s{i:02d}": 100.0 * (i + 1) for i in range(10)}
    plan = make_plan(
        bench.peaks_of(services, entries, n=100), bench.curves_of(services, dict.fromkeys(services, 50.0), n=100),
        services=services, risk=Risk(),
    )  # fmt: skip
    chart = evaluate(services, plan=plan).plot()
    assert len(chart.frame) <= 40
    assert {"s09", "s19", "s69"} <= set(chart.frame["service"])
    assert "not drawn" in chart.title


def test_callers_stand_left_of_callees_and_crossings_are_untangled():
    calls = [(0, 3), (1, 4), (2, 5), (0, 4)]
    place = place_services(6, calls)
    assert all(place[i, 0] < place[j, 0] for i, j in calls)
    crossed = [
        (a, b)
        for a in calls
        for b in calls
        if (place[a[0], 1] - place[b[0], 1]) * (place[a[1], 1] - place[b[1], 1]) < 0
    ]
    assert crossed == []
    reversed_calls = [(0, 5), (1, 4), (2, 3)]
    y = place_services(6, reversed_calls)[:, 1]
    assert (y[0] > y[1]) == (y[5] > y[4])
