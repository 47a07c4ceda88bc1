"""One target of a panel followed day by day: what was forecast from every past origin, and the state at the end.

Rules (bands, persistence, spread) are learnt anew each time history has grown by a fifth; between, filters go on
with every interval. So all origins of a long history cost little more than one fit, and none sees what came after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.peaks.intraday import course as courses
from capacity.peaks.intraday import persistence as persist
from capacity.peaks.intraday.course import Course, CourseRule
from capacity.peaks.intraday.persistence import PersistenceRule
from capacity.peaks.intraday.shape import Floats, Ints
from capacity.peaks.intraday.uncertainty import Spread, learn_spread, shape_of, student_shape, tabulate_ladder

GROWTH = 2.0**0.25
FIRST_DAYS = 7


@dataclass(frozen=True)
class Rules:
    """All that was learnt as of one day."""

    course: CourseRule
    persistence: PersistenceRule
    spread: Spread


@dataclass(frozen=True)
class State:
    """Filters run over all days under one set of rules."""

    rules: Rules
    course: Course
    memories: Floats

    def centre(self, origin: Ints, horizon: Ints) -> Floats:
        """Middle forecast, (series, …), of intervals after origins; origin and horizon are broadcast."""
        n_slots = self.course.ahead.shape[3]
        base = persist.course_at(self.course.ahead, origin, horizon, n_slots)
        flat = self.rules.persistence.shares(np.asarray(horizon).ravel())
        shares = flat.reshape(*np.shape(horizon), flat.shape[1])
        location, _ = self.rules.spread.at(origin, horizon)
        return np.asarray(base + (self.memories[:, origin] * shares).sum(-1) + location)

    def scale(self, origin: Ints, horizon: Ints) -> Floats:
        """Scale of its error, the same shape."""
        return self.rules.spread.at(origin, horizon)[1]


@dataclass(frozen=True)
class Track:
    """Forecasts from every origin.

    Attributes
    ----------
    knots : ndarray of int, shape (knot,)
        Horizons they were made for.
    centre, scale : ndarray, shape (knot, series, interval)
        Of each target interval, made so many intervals before; NaN where there was no forecast.
    tables : ndarray, shape (knot, day + 1, score)
        Quantiles of scaled errors as of each day's start.
    states : tuple of (first day, stop day, State)
        What the origins of these days went by.
    state : State
        At the end, under rules learnt from all.
    """

    knots: Ints
    centre: Floats
    scale: Floats
    tables: Floats
    states: tuple[tuple[int, int, State], ...]
    state: State

    def table(self, day: int, horizon: Ints) -> Floats:
        """Tables (horizon, score) as of a day, of the nearest knots."""
        return np.asarray(self.tables[nearest_knot(self.knots, horizon), day])

    def quantiles(self, state: State, origin: int, horizon: Ints) -> Floats:
        """Quantiles at `SCORES`, shape (series, horizon, score), from one origin."""
        at = np.full(horizon.size, origin)
        n_slots = state.course.ahead.shape[3]
        table = self.table(origin // n_slots, horizon)
        return np.asarray(state.centre(at, horizon)[..., None] + state.scale(at, horizon)[..., None] * table)


def nearest_knot(knots: Ints, horizon: Ints) -> Ints:
    """Position of the knot nearest to each horizon, by the logarithm."""
    at, known = np.log2(1.0 + horizon), np.log2(1.0 + knots)
    return np.asarray(np.abs(at[:, None] - known).argmin(1), dtype=np.int64)


def refit_days(n_days: int) -> list[int]:
    """Days at which rules are learnt, the first after a week, or half of a shorter history.

    Examples
    --------
    >>> refit_days(30), refit_days(5)
    ([7, 9, 11, 14, 17, 21, 25], [2, 3, 4])
    """
    day, days = min(FIRST_DAYS, max(n_days // 2, 1)), []
    while day < n_days:
        days.append(day)
        day = max(day + 1, int(np.ceil(day * GROWTH)))
    return days


def learn_rules(values: Floats, weekday: Ints, holiday: NDArray[np.bool_], *, longest: int, leads: int) -> Rules:
    """Learn all rules from days, shape (series, day, slot)."""
    n_slots = values.shape[2]
    rule = courses.learn_course(values, weekday, holiday)
    course = courses.follow_course(values, weekday, holiday, rule, leads=leads)
    residual = persist.errors_of_course(values, course.ahead, 0)
    size = _size(residual)
    persistence = persist.learn_persistence(values, course.ahead, size, longest=longest)
    memories = persist.recent_means(residual, persistence.half_lives, persistence.clip)[:, :-1]
    first = min(FIRST_DAYS, values.shape[1] // 2) * n_slots
    errors = np.stack(
        [
            persist.errors_of_course(values, course.ahead, int(h)) - memories @ share
            for h, share in zip(persistence.knots, persistence.weights, strict=True)
        ]
    )
    return Rules(rule, persistence, learn_spread(errors[:, :, first:], persistence.knots, n_slots))


def _size(residual: Floats) -> Floats:
    known = np.isfinite(residual)
    out = np.array(
        [np.median(np.abs(row[here])) if here.any() else 0.0 for row, here in zip(residual, known, strict=True)]
    )
    return np.maximum(out * 1.4826, 1e-6)


def run_filters(values: Floats, weekday: Ints, holiday: NDArray[np.bool_], rules: Rules, *, leads: int) -> State:
    """Run the filters over days under rules."""
    course = courses.follow_course(values, weekday, holiday, rules.course, leads=leads)
    residual = persist.errors_of_course(values, course.ahead, 0)
    memories = persist.recent_means(residual, rules.persistence.half_lives, rules.persistence.clip)
    return State(rules, course, memories)


def follow(views: Sequence[Floats], weekday: Ints, holiday: NDArray[np.bool_], *, longest: int) -> Track:
    """Follow a target over its whole history.

    Parameters
    ----------
    views : sequence of ndarray, shape (series, day, slot)
        The target on the even scale, NaN where unknown: what the origins from each of `refit_days` on see, and last
        what is seen at the end. All the same where nothing in them is learnt.
    weekday, holiday : ndarray, shape (day + leads,)
    longest : int
        Horizon in intervals.
    """
    n_series, n_days, n_slots = views[-1].shape
    leads = -(-longest // n_slots) + 1
    n = n_days * n_slots
    knots = persist.horizon_knots(longest)
    scaled, centre, scale = (np.full((knots.size, n_series, n), np.nan) for _ in range(3))
    days = refit_days(n_days)
    states = []
    for first, stop, values in zip(days, [*days[1:], n_days], views[:-1], strict=True):
        rules = learn_rules(values[:, :first], weekday, holiday, longest=longest, leads=leads)
        state = run_filters(values[:, :stop], weekday, holiday, rules, leads=leads)
        states.append((first, stop, state))
        flat = values.reshape(n_series, n)
        origin = np.arange(first * n_slots, stop * n_slots)
        for k, horizon in enumerate(knots):
            use = origin[origin + horizon < n]
            ahead = np.full(use.size, horizon)
            centre[k][:, use + horizon] = state.centre(use, ahead)
            scale[k][:, use + horizon] = state.scale(use, ahead)
            scaled[k] = np.where(_columns(n, use + horizon), (flat - centre[k]) / scale[k], scaled[k])
    rules = learn_rules(views[-1], weekday, holiday, longest=longest, leads=leads)
    final = run_filters(views[-1], weekday, holiday, rules, leads=leads)
    tables = tabulate_ladder(scaled, knots, n_slots, first=_first_shape(views[0], states))
    return Track(knots, centre, scale, tables, tuple(states), final)


def _first_shape(values: Floats, states: Sequence[tuple[int, int, State]]) -> Floats:
    """Shape of the errors inside the days that the first rules were learnt from: before others are known."""
    if not states:
        return student_shape()
    first, _, state = states[0]
    n_slots = values.shape[2]
    origin = np.arange(min(FIRST_DAYS, first // 2) * n_slots, first * n_slots)
    none = np.zeros(origin.size, dtype=np.int64)
    error = values.reshape(len(values), -1)[:, origin] - state.centre(origin, none)
    return shape_of(error / state.scale(origin, none))


def _columns(n: int, places: Ints) -> NDArray[np.bool_]:
    out = np.zeros(n, dtype=bool)
    out[places] = True
    return out
