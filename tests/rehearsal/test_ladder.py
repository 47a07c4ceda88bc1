"""Features that are switched off by a trigger or by the calendar, and come back."""

from dataclasses import replace

import numpy as np

from capacity.rehearsal.simulate import simulate
from capacity.rehearsal.world import Rung
from tests.rehearsal.worlds import by_second, script, world

LOW, HIGH = 50.0, 95.0
RATE = np.concatenate([np.full(100, LOW), np.full(100, HIGH), np.full(300, LOW)])


def shop(*rungs):
    """A front that calls a feature once a request; what arrives at the front is watched."""
    return replace(world([(0, 1, 1.0)], [1000, 200], size=2), rungs=rungs)


def rung(name="stars", **more):
    given = {"above_qps": 90.0, "for_s": 30.0, "takes_s": 10.0, "below_qps": 70.0, "calm_s": 60.0}
    return Rung(name, np.array([0]), 0, **{**given, **more})


def test_a_rung_is_pulled_after_its_time_and_put_back_after_its_calm():
    found = simulate(shop(rung()), script(RATE, size=2))
    # From second 100 on it is too much; 30 s of it pull the switch, which takes 10 s; from 200 on it is calm for 60 s.
    assert found.switched_on_s["stars"].tolist() == [140]
    assert found.switched_back_s["stars"].tolist() == [260]
    feature, _ = by_second(shop(rung()), script(RATE, size=2))
    assert (feature[:140] == RATE[:140]).all()
    assert (feature[140:260] == 0).all()
    assert (feature[260:] == LOW).all()


def test_a_trigger_that_is_not_held_long_enough_pulls_nothing():
    brief = np.concatenate([np.full(50, LOW), np.full(29, HIGH), np.full(50, LOW)])
    assert simulate(shop(rung()), script(brief, size=2)).switched_on_s["stars"].tolist() == [-1]


def test_later_rungs_come_back_first():
    first, second = rung("first", calm_s=20.0), rung("second", calm_s=60.0)
    found = simulate(shop(first, second), script(RATE, size=2))
    assert found.switched_back_s["second"][0] == 260
    assert found.switched_back_s["first"][0] >= found.switched_back_s["second"][0]


def test_planned_rungs_are_off_in_their_window():
    planned = rung(window_s=(120.0, 180.0))
    feature, _ = by_second(shop(planned), script(RATE, size=2))
    assert (feature[120:180] == 0).all()
    assert feature[119] == HIGH
    assert feature[180] == HIGH
    assert not simulate(shop(planned), script(RATE, size=2)).switched_on_s


def test_what_a_rung_frees_keeps_the_feature_from_breaking():
    flood = np.concatenate([np.full(20, LOW), np.full(200, HIGH)])
    tight = replace(world([(0, 1, 1.0)], [1000, 90], size=2))
    without = simulate(tight, script(flood, size=2))
    quick = rung(for_s=5.0, takes_s=1.0)
    helped = simulate(replace(tight, rungs=(quick,)), script(flood, size=2))
    assert without.broken_s[0, 1] > 150 > 20 > helped.broken_s[0, 1]


def test_calls_that_are_not_made_are_not_tried_again():
    """A feature that fails is switched off: only what was waiting for another try still comes to it."""
    flood = np.full(300, HIGH)
    weak = replace(
        world([(0, 1, 1.0)], [1000, 40], size=2, retries=[3]), rungs=(rung(for_s=5.0, takes_s=5.0, below_qps=0.0),)
    )
    arrived, _ = by_second(weak, script(flood, size=2, budget=np.inf))
    assert arrived[:10].max() > HIGH, "it is tried again while it is on"
    assert arrived[20:].max() < 1e-3 * HIGH
