"""Lessons: one event moves the next forecast a little, and rightly so on average."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from capacity.lessons import parse_lessons
from capacity.retrospective.learning import PRIOR_SD, shrink


def test_shrunk_correction_beats_none_and_full_on_simulated_years() -> None:
    rng = np.random.default_rng(11)
    spread = 0.15
    bias = rng.normal(0.0, PRIOR_SD, 20_000)  # what returns next year
    shown = bias + rng.normal(0.0, spread, 20_000)  # what one event showed of it
    learnt = np.array([shrink(ratio, spread)[0] for ratio in shown])
    next_year = bias + rng.normal(0.0, spread, 20_000)
    errors = {name: np.mean((next_year - guess) ** 2) for name, guess in
              {"none": 0.0, "full": shown, "shrunk": learnt}.items()}  # fmt: skip
    assert errors["shrunk"] < 0.97 * errors["none"]
    assert errors["shrunk"] < 0.9 * errors["full"]
    sd = shrink(0.0, spread)[1]
    inside = np.mean(np.abs(bias - learnt) < 1.6449 * sd)
    assert inside == pytest.approx(0.9, abs=0.01)


def test_a_wider_forecast_learns_less_from_the_same_miss() -> None:
    means = [shrink(0.3, spread)[0] for spread in (0.02, 0.1, 0.3, 1.0)]
    assert means == sorted(means, reverse=True)
    assert 0.0 < means[-1] < 0.01
    assert means[0] < 0.3


def test_lessons_name_what_missed_with_prior_evidence_and_day(build_world: Callable[..., Any]) -> None:
    review = build_world({"peak_share": 1.3, "dau": 0.9}).review()
    found = {(le.parameter, le.scope.get("service")): le for le in review.lessons if "capacity" not in le.parameter}
    assert set(found) == {("dau", None), ("peak_share", "shop"), ("peak_share", "search")}
    lesson = found["peak_share", "shop"]
    assert lesson.scope == {"kind": "double11", "service": "shop"}
    assert lesson.promotion == "2026-double11"
    assert lesson.learned_at == date(2026, 11, 11)
    spread = np.log(build_world().peaks.factors.to_numpy()[:, 0, 3]).std()
    weight = PRIOR_SD**2 / (PRIOR_SD**2 + spread**2)
    assert lesson.quantiles.q50 == pytest.approx(1.3**weight, rel=1e-6)
    assert lesson.quantiles.q05 < lesson.quantiles.q50 < lesson.quantiles.q95
    assert "1.3 times" in lesson.evidence
    assert "prior: 1 ± 10%" in lesson.evidence
    assert found["dau", None].quantiles.q50 < 1.0


def test_a_forecast_that_was_right_teaches_nothing(world: Any) -> None:
    world.traffic["p99_ms"] = np.nan
    assert len(world.review().lessons) == 0


def test_lessons_survive_their_file(build_world: Callable[..., Any]) -> None:
    lessons = build_world({"burst": 1.4}).review().lessons
    assert lessons
    assert parse_lessons(lessons.to_yaml()) == lessons
