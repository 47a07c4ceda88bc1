"""A whole plan rehearsed: agreement with the plan's probability, every fault, what is said."""

import json
import time

import numpy as np
import pytest

from capacity.errors import InputError, UsageError
from capacity.plan import Plan
from capacity.rehearsal import FAULTS, rehearse
from capacity.rehearsal.build import fleet_of
from capacity.rehearsal.faults import parse_faults
from capacity.rehearsal.script import build_script
from capacity.rehearsal.stage import set_stage


@pytest.fixture(scope="module")
def zone_loss(plan):
    return rehearse(plan, faults=["zone-loss"], n_paths=25)


def test_overload_with_a_zone_gone_and_limits_lifted_agrees_with_the_plan(plan):
    found = rehearse(plan, faults=["zone-loss"], n_paths=300, limits="none", noise=False, mend=False)
    said = plan.document["core_overload_probability"]
    assert found.n_paths == 300
    assert abs(found.overload_fraction - said) < 0.025  # two standard errors of 300 futures


def test_limits_do_not_change_the_share_of_overloads(plan, zone_loss):
    lifted = rehearse(plan, faults=["zone-loss"], n_paths=25, limits="none", mend=False)
    assert lifted.overload_fraction == zone_loss.overload_fraction
    assert lifted.turned_away_fraction == 0
    assert len(lifted.breaks) >= len(zone_loss.breaks)


def test_without_fault_nothing_core_is_overloaded(plan):
    assert rehearse(plan, n_paths=25, mend=False).overload_fraction == 0


def test_same_seed_same_rehearsal(plan, zone_loss):
    again = rehearse(plan, faults=["zone-loss"], n_paths=25)
    assert json.dumps(again.to_document()) == json.dumps(zone_loss.to_document())
    other = rehearse(plan, faults=["zone-loss"], n_paths=25, seed=5, mend=False)
    assert other.to_document() != zone_loss.to_document()


@pytest.mark.parametrize(
    ("faults", "first"),
    [
        (["third-party-down=payco"], {"payco"}),
        (["slow-downstream=payment"], {"payment"}),
        (["late-scale-up"], {"web", "render", "checkout", "recommend"}),
        (["demand=2", "limiter-loss"], None),
        (["cold-cache", "limiter-loss"], {"catalog"}),
    ],
)
def test_faults_break_what_they_are_aimed_at(plan, faults, first):
    found = rehearse(plan, faults=faults, n_paths=10, mend=False)
    assert found.first_break is not None
    assert first is None or found.first_break in first
    row = found.breaks.set_index("service").loc[found.first_break]
    assert row["share"] > 0.5
    assert any(found.first_break in text for text in found.why)
    json.dumps(found.to_document(), allow_nan=False)


def test_a_downed_third_party_reaches_those_who_require_it(plan):
    found = rehearse(plan, faults=["third-party-down=payco"], n_paths=5)
    spread = found.breaks.set_index("service").loc["payco", "spread"].split(", ")
    assert {"payment", "checkout"} <= set(spread)
    assert "search" not in spread


def test_a_retry_storm_without_limits_is_metastable(plan):
    found = rehearse(plan, faults=["retry-storm", "limiter-loss", "zone-loss"], n_paths=10)
    assert "metastable" in " ".join(found.why)
    held = rehearse(plan, faults=["zone-loss"], n_paths=10)
    assert "metastable" not in " ".join(held.why)


def test_limits_protect_from_twice_the_demand(plan):
    with_limits = rehearse(plan, faults=["demand=2"], n_paths=15, mend=False)
    without = rehearse(plan, faults=["demand=2", "limiter-loss"], n_paths=15, mend=False)
    worst = lambda r: float(r.breaks["share"].max()) if len(r.breaks) else 0.0  # noqa: E731
    assert worst(with_limits) < 0.35 < worst(without)
    assert with_limits.turned_away_fraction > 0.01


def test_more_instances_mend_what_they_are_said_to(plan):
    found = rehearse(plan, faults=["demand=1.6", "limiter-loss", "zone-loss"], n_paths=15)
    assert found.tried["mends"].any()
    best = found.tried.iloc[0]
    assert best["mends"]
    assert best["breaks"] <= 0.05 < best["breaks_before"]
    assert any(best["change"] in text for text in found.why)
    assert found.breaks.set_index("service").loc[found.first_break, "mend"] == best["change"]


def test_every_fault_can_be_played_together(plan):
    given = [
        {"slow-downstream": "slow-downstream=search", "third-party-down": "third-party-down=payco"}.get(f, f)
        for f in FAULTS
    ]
    given = ["demand=1.2" if f == "demand" else f for f in given]
    found = rehearse(plan, faults=given, n_paths=5)
    assert found.faults == tuple(given)
    assert found.overload_fraction == 1.0


def test_what_cannot_be_played_is_told_all_at_once(plan):
    with pytest.raises(UsageError) as caught:
        rehearse(plan, faults=["zone-lost", "slow-downstream=chekout", "demand=-1", "demand=nan", "hot-key=x"])
    text = str(caught.value)
    assert len(caught.value.problems) == 5
    assert "zone-loss" in text
    assert "checkout" in text


def test_a_plan_without_samples_cannot_be_rehearsed(plan):
    bare = Plan.from_document(json.loads(plan.to_json()))
    with pytest.raises(InputError, match="without its samples"):
        rehearse(bare)
    with pytest.raises(InputError, match="at least 1"):
        rehearse(plan, n_paths=0)


def test_a_rehearsal_shows_itself(zone_loss):
    assert "zone-loss" in repr(zone_loss)
    assert "<table" in zone_loss._repr_html_()
    chart = zone_loss.plot()
    assert chart.alt.startswith("Demand")
    assert set(zone_loss.timeline["service"]) == set(zone_loss.services)
    assert np.isfinite(zone_loss.timeline["demand_q50"]).all()


def test_a_hundred_paths_in_seconds(plan):
    began = time.perf_counter()
    rehearse(plan, n_paths=100)
    assert time.perf_counter() - began < 15


def test_what_is_not_known_is_null_in_the_document(plan):
    found = rehearse(plan, faults=["demand=3", "limiter-loss"], n_paths=4)
    assert len(found.breaks)
    json.dumps(found.to_document(), allow_nan=False)


def test_counts_wobble_around_their_rate_where_it_is_level(plan):
    """Only a phase's worst second bounds them: a bound by what is played would cut the upper half of every wobble."""
    fleet, sample = fleet_of(plan), np.arange(40)
    stage = set_stage(plan.peaks, plan.document)
    level = np.flatnonzero((stage.seconds > 20_000) & (stage.seconds < 90_000))  # a third of those phases' worst
    assert len(level) > 60
    given = parse_faults([], services=plan.services.names)
    noisy, still = (
        build_script(plan, fleet, stage, sample, given, noise=noise, seed=1).arrivals[:, :, level]
        for noise in (True, False)
    )
    assert noisy.mean() == pytest.approx(still.mean(), rel=0.002)
