"""Limits, capacity, instances and money against closed forms."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from capacity.retrospective.headroom import needed_instances


def of(review: Any, service: str) -> Any:
    return review.capacity.set_index("service").loc[service]


@pytest.mark.parametrize(
    ("load", "zones", "losses", "ceiling", "needed"),
    [
        (200.0, 3, 1, 1.0, 30),   # 20 instances carry it, 3 zones of 10 leave 20 after a loss
        (200.0, 3, 0, 1.0, 20),
        (200.0, 3, 1, 0.5, 60),
        (201.0, 3, 0, 1.0, 21),
        (200.0, 1, 1, 1.0, 20),   # one zone: no reserve can be held
        (0.0, 3, 1, 1.0, 0),
    ],
)  # fmt: skip
def test_needed_instances(load: float, zones: int, losses: int, ceiling: float, needed: int) -> None:
    got = needed_instances(np.array([load]), 10.0, zones=zones, zone_losses=losses, ceiling=ceiling)
    assert got.tolist() == [needed]


def test_peak_against_limit_and_capacity(world: Any) -> None:
    row = of(world.review(), "shop")
    peak = world.traffic.loc[world.traffic["service"] == "shop", "peak_qps"].max()
    assert row["peak_of_limit"] == pytest.approx(peak / 5400.0)
    assert row["peak_of_planned_capacity"] == pytest.approx(peak / 600.0)
    world.traffic.loc[world.rows("shop", "20:00", "20:01"), "instances"] = 25.0
    assert of(world.review(), "shop")["peak_of_used_capacity"] == pytest.approx(peak / 500.0)


def test_idle_instances_cost_what_they_cost(world: Any) -> None:
    at = world.traffic["service"] == "rec"
    world.traffic.loc[at, "instances"] = 50.0
    world.traffic.loc[at, ["requests", "peak_qps"]] = [60.0 * 90.0, 100.0]
    row = of(world.review(), "rec")
    need = np.ceil(100.0 / (18.0 * 2 / 3))
    assert row["instances_needed"] == need == 9.0
    hours = (world.promotion.phases[-1].ends_at - world.promotion.phases[0].starts_at).total_seconds() / 3600.0
    assert row["wasted_instance_hours"] == pytest.approx((50.0 - need) * hours)
    assert row["wasted_cost"] == pytest.approx((50.0 - need) * hours * 2.0)
    assert row["idle_cost"] == pytest.approx(row["wasted_cost"])
    assert row["short_hours"] == 0.0


def test_apis_of_one_pool_share_its_instances_and_its_bill(world: Any) -> None:
    rec = world.catalog["rec"]
    hosted = type(rec).model_validate(
        {"name": "rec", "tier": "degradable", "runs_on": "search", "entry": {"per_dau": 0.0}}
    )
    world.catalog = type(world.catalog).from_services(
        [hosted if name == "rec" else service for name, service in world.catalog.items()]
    )
    both = world.traffic["service"].isin(["rec", "search"])
    world.traffic.loc[both, ["requests", "peak_qps"]] = [60.0 * 90.0, 90.0]
    review = world.review()
    assert of(review, "search")["instances_needed"] == np.ceil((90.0 / 18.0 + 90.0 / 18.0) * 1.5)
    assert np.isnan(of(review, "rec")["instances_planned"])
    assert np.isnan(of(review, "rec")["wasted_cost"])


def test_rejections_below_safe_capacity_are_wrong_ones(world: Any) -> None:
    early, opening = world.rows("shop", "16:00", "16:05"), world.rows("shop", "20:00", "20:02")
    world.traffic.loc[early, "rejected"] = 10.0  # the busiest second is far below 30 × 18
    world.traffic.loc[opening, "rejected"] = 1000.0
    world.traffic.loc[opening, "peak_qps"] = 700.0
    row = of(world.review(), "shop")
    assert row["rejected"] == 2050.0
    assert row["wrongly_rejected"] == 50.0
    assert row["limited_minutes"] == 7.0
    assert row["limited_seconds_at_most"] == 420.0


def test_where_only_minutes_are_known_a_wrong_rejection_is_only_possible(world: Any) -> None:
    world.traffic["peak_qps"] = np.nan
    world.traffic.loc[world.rows("shop", "16:00", "16:05"), "rejected"] = 10.0
    row = of(world.review(), "shop")
    assert np.isnan(row["wrongly_rejected"])
    assert row["possibly_wrongly_rejected"] == 50.0


def test_a_limit_that_protects_others_is_not_wrong_below_its_services_own_capacity(world: Any) -> None:
    at = world.rows("shop", "16:00", "16:05")
    world.traffic.loc[at, "rejected"] = 10.0
    world.traffic.loc[at, "peak_qps"] = 300.0
    said = world.document["services"]["shop"]
    said["limited_by"], said["cluster_limit_qps"] = ["db"], 250.0
    assert of(world.review(), "shop")["wrongly_rejected"] == 0.0
    said["limited_by"] = ["shop"]
    assert of(world.review(), "shop")["wrongly_rejected"] == 50.0


def test_unknown_capacity_leaves_judgement_open(world: Any) -> None:
    world.document["services"]["shop"]["instance_capacity_qps"] = {"q05": None, "q50": None, "q95": None}
    world.traffic.loc[world.rows("shop", "16:00", "16:05"), "rejected"] = 10.0
    row = of(world.review(), "shop")
    for column in ("wrongly_rejected", "instances_needed", "wasted_cost", "peak_of_used_capacity"):
        assert np.isnan(row[column]), column


def test_no_rejected_column_is_unknown_and_not_zero(world: Any) -> None:
    world.traffic["rejected"] = np.nan
    review = world.review()
    assert review.capacity["rejected"].isna().all()
    assert "whether limits turned requests away is not in the traffic" in review.verdict[1]
    assert any("does not say what was turned away" in line for line in review.missing)


def test_slo_minutes_count_latency_and_errors_of_what_was_let_in(world: Any) -> None:
    at = world.rows("search", "20:00", "20:07")
    world.traffic.loc[at, "p99_ms"] = 450.0
    row = of(world.review(), "search")
    assert row["slo_minutes_broken"] == 7.0
    assert row["slo_minutes_judged"] == len(world.traffic[world.traffic["service"] == "search"]) - 1200


@pytest.mark.parametrize(("served", "lesson"), [(14.0, None), (23.0, "up")])
def test_more_than_believed_within_the_slo_teaches_capacity(
    build_world: Callable[..., Any], served: float, lesson: str | None
) -> None:
    world = build_world()
    both = world.traffic["service"].isin(["search", "shop"])
    world.traffic.loc[both, ["requests", "peak_qps"]] = [60.0 * 30.0 * 10.0, 300.0]
    at = world.rows("search", "20:00", "20:05")
    world.traffic.loc[at, "requests"] = 60.0 * 30.0 * served
    found = [le for le in world.review().lessons if le.parameter == "instance_capacity_qps"]
    assert [le.scope for le in found] == ([{"service": "search"}] if lesson else [])
    if found:
        assert 1.0 < found[0].quantiles.q50 < served / 20.0


@pytest.mark.parametrize("blame", ["search", "db"])
def test_less_than_believed_is_learnt_only_from_the_service_itself(build_world: Callable[..., Any], blame: str) -> None:
    world = build_world()
    world.traffic[["requests", "peak_qps"]] = [60.0 * 30.0 * 8.0, 240.0]
    for service in {"shop", blame} if blame == "db" else {"shop"}:
        at = world.rows(service, "20:00", "20:05")
        world.traffic.loc[at, ["requests", "p99_ms"]] = [60.0 * 30.0 * 12.0, 900.0]
    found = [le for le in world.review().lessons if le.parameter == "instance_capacity_qps"]
    assert [le.scope["service"] for le in found] == ([] if blame == "db" else ["shop"])
    if found:
        assert 12.0 / 20.0 < found[0].quantiles.q50 < 1.0


def test_what_waits_in_a_queue_is_judged_by_its_mean_over_the_wait(world: Any) -> None:
    shop = world.catalog["shop"]
    calls = [
        {"to": "db", "per_request": 2.0},
        {"to": "rec", "per_request": 0.5, "mode": "async", "max_delay_s": 1800.0},
    ]
    queued = type(shop).model_validate(shop.model_dump(exclude_unset=True) | {"calls": calls})
    world.catalog = type(world.catalog).from_services(
        [queued if name == "shop" else service for name, service in world.catalog.items()]
    )
    at = world.traffic["service"] == "rec"
    world.traffic.loc[at, ["requests", "peak_qps"]] = [60.0 * 10.0, 20.0]
    world.traffic.loc[world.rows("rec", "20:00", "20:01"), ["requests", "peak_qps"]] = [60.0 * 310.0, 900.0]
    row = of(world.review(), "rec")
    assert row["judged_by"] == "mean of 1800 s"
    assert row["peak_qps"] == pytest.approx((29 * 10.0 + 310.0) / 30.0)
    assert row["instances_needed"] == np.ceil(20.0 / 18.0 * 1.5)
    assert row["peak_of_used_capacity"] == pytest.approx(20.0 / 600.0)
    assert row["instances_used"] == 30.0
    shop = of(world.review(), "shop")
    assert (shop["judged_by"], shop["instances_used"]) == ("peak", 30.0)


def test_a_limit_that_turned_nobody_away_was_not_in_force(world: Any) -> None:
    world.document["services"]["search"]["cluster_limit_qps"] = 700.0
    review = world.review()
    says = review.findings.loc[review.findings["kind"] == "limit_not_in_force", "says"]
    assert any(text.startswith("search: 1256/s came, 179% of its planned cluster limit") for text in says)
    world.traffic.loc[world.rows("search", "20:00", "20:01"), "rejected"] = 100.0
    review = world.review()
    assert "search" not in set(review.findings.loc[review.findings["kind"] == "limit_not_in_force", "service"])
