"""The knowing planner's futures are the family's own process, and its sizes stand between plan and seer."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks.known_process import planners_table
from benchmarks.known_process.busy import busy_minutes
from benchmarks.known_process.first import FirstProcess
from benchmarks.known_process.planners import Site, chance_of_overload, size_knowing, size_seeing
from benchmarks.known_process.second import SecondProcess
from capacity.demo.events import seconds_of

RISK = SimpleNamespace(overload_probability=0.05, non_core_overload_probability=0.2)


@pytest.fixture(scope="module")
def first():
    return FirstProcess.of(3, "2026-double11", "2026-10-20")


def test_the_past_is_kept_and_the_future_drawn_anew(first):
    drawn = first._draw(np.random.default_rng(0))
    true = first.world.baseline.dau
    assert (drawn.rates.baseline.dau[: first.known_days - 1] == true[: first.known_days - 1]).all()
    assert (drawn.rates.baseline.dau[first.known_days :] != true[first.known_days :]).all()
    # A few weeks change little.
    assert np.abs(np.log(drawn.rates.baseline.dau / true)).max() < 0.3
    assert drawn.event.intensity == first.event.intensity
    assert drawn.event.log_dat != first.event.log_dat
    others = [event for event in drawn.rates.events if event.id != first.event.id]
    assert others == [event for event in first.world.events if event.id != first.event.id]


def test_intensity_is_known_and_moves_the_uplift(first):
    deeper = FirstProcess(first.world, vars_replaced(first.event, intensity=first.event.intensity + 0.5), 1115)
    usual = [first._draw(np.random.default_rng(k)).event.log_dat for k in range(4)]
    more = [deeper._draw(np.random.default_rng(k)).event.log_dat for k in range(4)]
    assert np.subtract(more, usual) == pytest.approx(0.5 * first.world.parameters.events.log_dat)


def vars_replaced(event, **changes):
    return type(event)(**{**vars(event), **changes})


def test_the_opening_is_among_the_busy_minutes(first):
    offered = first.offered(20, np.random.default_rng(1))
    assert offered.shape == (20, len(first.names))
    assert (offered > 0).all()
    assert 0.1 < np.log(np.quantile(offered, 0.95, axis=0) / np.quantile(offered, 0.05, axis=0)).mean() < 1.0
    assert seconds_of(first.event.starts_at) == first.event.starts_s


def test_a_feature_that_is_off_asks_nothing(first):
    on = np.median(first.offered(12, np.random.default_rng(1)), axis=0)
    off = np.median(first.offered(12, np.random.default_rng(1), off=("recommendations", "similar-items")), axis=0)
    place = first.names.index("recommend")
    assert on[place] > 0
    assert off[place] == 0


def test_second_family_keeps_the_past_and_the_told_depth():
    process = SecondProcess.of(4)
    drawn = process._draw(np.random.default_rng(0))
    known = process.world.setting.as_of_day
    assert np.allclose(drawn.days.total[: known - 1], process.world.days.total[: known - 1])
    assert not np.allclose(drawn.days.ordinary_orders[known:], process.world.days.ordinary_orders[known:], rtol=1e-6)
    assert drawn.target.starts_s == process.world.target.starts_s
    offered = process.offered(6, np.random.default_rng(0))
    assert offered.shape == (6, len(process.names))
    assert (offered.max(axis=0) > 0).all()


def test_busy_minutes_hold_every_service():
    means = np.array([[[1.0, 5.0], [9.0, 1.0], [1.0, 1.0]]])
    assert set(busy_minutes(means)) == {0, 1}


def site(capacity=10.0, now=3):
    two = np.array([1, 1])
    return Site(
        ("shop", "page"), np.array(["core", "core"]), now * two, 1000 * two, 3 * two, two, 1.0 * two, capacity * two,
        {"bank": 500.0}, {"bank": "core"},
    )  # fmt: skip


def test_the_seer_takes_the_fewest_that_survive():
    sizes = size_seeing(site(), {"shop": 40.0, "page": 41.0})
    assert sizes == {"shop": 6, "page": 8}
    assert site().cost_of(sizes) == 14


def test_the_knowing_planner_keeps_the_promise_of_the_process():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 1))
    offered = 400 * np.exp(0.2 * shared + 0.1 * rng.normal(size=(4000, 3)))
    names = ("shop", "page", "bank")
    wide = Site(**{**vars(site()), "fixed_qps": {"bank": 1e6}})
    sizes = size_knowing(wide, offered[:2000], names, risk=RISK)
    chance = chance_of_overload(wide, offered[2000:], names, sizes)
    assert 0.02 < chance <= 0.06
    seer = size_seeing(wide, dict(zip(names, np.median(offered, axis=0), strict=True)))
    assert wide.cost_of(seer) < wide.cost_of(sizes)
    assert chance_of_overload(wide, offered, names, seer) > 0.3


def test_the_table_sets_planners_side_by_side():
    def result(plan_cost, core, fixed=()):
        base = {"core": [], "fixed": [*fixed], "chance": 0.01}
        return {
            "plan": {**base, "cost": plan_cost, "core": core, "chance": 0.04},
            "rule": {**base, "cost": 5.0}, "knowing": {**base, "cost": 10.0}, "seer": {**base, "cost": 8.0},
        }  # fmt: skip

    table = planners_table([result(12.0, []), result(14.0, ["shop"], ["bank"])]).set_index("planner")
    assert table.loc["plan", "held"].startswith("1 of 2")
    assert table.loc["plan", "cost ÷ knowing"].startswith("1.30")
    assert table.loc["seer", "cost ÷ rule"].startswith("1.60")
    assert table.loc["plan", "fixed"] == 1
    assert isinstance(table, pd.DataFrame)
