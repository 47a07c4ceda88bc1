"""Regressors of a panel of daily series: one shared matrix, and one more a series where events differ by series.

Plain arrays: days are counted from the panel's first date, so nothing here knows a calendar but the weekday of day 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Widths, in log units, of what is plausible before any data: half of the effects lie within 0.67 of these. They matter
# only where data are few; where they are many the pool and the empirical-Bayes widths take over.
WEEK_SD = 0.3
YEAR_SD = 0.3
HOLIDAY_SD = 0.3
EVENT_SD = 0.7
EVENT_SIDE_SD = 0.15  # days before and after an event
EVENT_GROWTH_SD = 0.1  # change of an event's log uplift a year
KIND_SHARE = 0.5  # of an event effect's variance that is its kind's own; the rest is common to all kinds
SLOPE_SD = 0.3  # log units a year
YEAR_HARMONICS = 12  # waves of a month and longer; a single date is the business of `anniversary`
MONTH_SD = 0.1
MONTH_HARMONICS = 6  # waves of five days and longer: pay days and the ends of months
DAMPED = "damping of weekdays"
DAMPED_MEAN, DAMPED_SD = -0.4, 0.3  # share of the weekday's effect that one log unit of uplift takes away
EVENT_DAYS = 7  # days of an event with an effect of their own; later ones share one
BEFORE_DAYS = 3
AFTER_DAYS = 3


@dataclass(frozen=True)
class Columns:
    """Regressors of some days: ``values`` is (days, columns), or (series, days, columns) where series differ."""

    values: Floats
    names: tuple[str, ...]
    part: str
    prior_sd: Floats


@dataclass(frozen=True)
class Design:
    """All regressors of a panel, level first; ``shared`` (days, p1) and ``specific`` (series, days, p2) or ``None``.

    ``prior_mean`` and ``prior_sd`` (p,) are what is believed of the pool before any data; ``groups`` (p,) tells
    which columns are of one sort (weekdays, waves of the year, a kind of event): their width is learnt together.
    """

    shared: Floats
    specific: Floats | None
    names: tuple[str, ...]
    parts: npt.NDArray[np.str_]
    prior_mean: Floats
    prior_sd: Floats
    groups: npt.NDArray[np.intp]

    @property
    def n_columns(self) -> int:
        """Columns of a series, shared ones first."""
        return len(self.names)

    def rows(self, series: npt.NDArray[np.intp] | slice, days: slice) -> Floats:
        """(series, days, p) values of some series and days."""
        shared = self.shared[days]
        if self.specific is None:
            return shared[None]
        own = self.specific[series, days]
        return np.concatenate([np.broadcast_to(shared[None], (own.shape[0], *shared.shape)), own], axis=2)

    def of(self, series: npt.NDArray[np.intp]) -> "Design":
        """Return the design of some series only."""
        own = None if self.specific is None else self.specific[series]
        return replace(self, specific=own)

    def damped(self, mean: Floats) -> "Design":
        """Fill the column that damps weekdays within strong events, for pooled effects ``mean`` (p,).

        It is the weekday's effect times the events' log uplift: on a day that all wait for, weekdays matter less.
        """
        column = self.names.index(DAMPED)
        effects = mean[: self.shared.shape[1]] * (np.arange(self.shared.shape[1]) != column)
        shared_parts = self.parts[: self.shared.shape[1]]
        weekday = np.array([name.startswith("weekday ") for name in self.names[: self.shared.shape[1]]])
        uplift = self.shared @ (effects * (shared_parts == "event"))
        filled = self.shared.copy()
        filled[:, column] = (self.shared @ (effects * weekday)) * np.clip(uplift, 0.0, 2.0)
        return replace(self, shared=filled)

    def predict(self, theta: Floats, days: slice, parts: Sequence[str] | None = None) -> Floats:
        """(series, days) sum of the effects ``theta`` (series, p), of some parts only if asked."""
        keep = np.ones(self.n_columns) if parts is None else np.isin(self.parts, list(parts)).astype(float)
        effects = theta * keep
        n_shared = self.shared.shape[1]
        total = effects[:, :n_shared] @ self.shared[days].T
        if self.specific is not None:
            total = total + np.einsum("stp,sp->st", self.specific[:, days], effects[:, n_shared:])
        return np.asarray(total)


def join(columns: Sequence[Columns]) -> Design:
    """Join blocks of columns into a design; blocks that differ by series go last."""
    shared = [block for block in columns if block.values.ndim == 2]
    own = [block for block in columns if block.values.ndim == 3 and block.values.shape[2]]
    ordered = [*shared, *own]
    return Design(
        shared=np.concatenate([block.values for block in shared], axis=1),
        specific=np.concatenate([block.values for block in own], axis=2) if own else None,
        names=tuple(name for block in ordered for name in block.names),
        parts=np.array([block.part for block in ordered for _ in block.names]),
        prior_mean=np.array([DAMPED_MEAN if name == DAMPED else 0.0 for block in ordered for name in block.names]),
        prior_sd=np.concatenate([block.prior_sd for block in ordered]),
        groups=np.repeat(np.arange(len(ordered)), [len(block.names) for block in ordered]),
    )


def damping_column(n_days: int) -> Columns:
    """Return an empty column for `Design.damped` to fill; of the events' part, where it acts."""
    return Columns(np.zeros((n_days, 1)), (DAMPED,), "event", np.array([DAMPED_SD]))


def slope_column(n_history: int, n_days: int) -> Columns:
    """Return the drift of the level, in log units a year, up to the end of history; the level's rule carries it on."""
    years = (np.minimum(np.arange(n_days), n_history) - n_history) / 365.25
    return Columns(years[:, None], ("slope",), "level", np.array([SLOPE_SD]))


def season_columns(
    weekday: npt.NDArray[np.intp], day_of_year: Floats, month_fraction: Floats, n_history: int
) -> list[Columns]:
    """Six weekday contrasts, the days of a month, and the year, as waves whose prior narrows as they get shorter.

    ``month_fraction`` runs from 0 to 1 through every month: pay days come at the same place in each.

    The yearly terms are left out with less than a year of history: what they would say of days whose season nobody has
    seen is the noise of those that were seen, carried on.
    """
    week = (weekday[:, None] == np.arange(6)).astype(float) - (weekday[:, None] == 6)
    blocks = [Columns(week, tuple(f"weekday {k}" for k in range(6)), "season", np.full(6, WEEK_SD))]
    if n_history >= 60:
        blocks.append(_waves("month", month_fraction, MONTH_HARMONICS, MONTH_SD))
    if n_history >= 365:
        blocks.append(_waves("year", day_of_year / 365.25, YEAR_HARMONICS, YEAR_SD))
    return blocks


def _waves(name: str, fraction: Floats, harmonics: int, width: float) -> Columns:
    k = np.arange(1, harmonics + 1)
    angle = 2 * np.pi * fraction[:, None] * k[None]
    names = [f"{name} {wave} {i}" for wave in ("cos", "sin") for i in k]
    return Columns(np.hstack([np.cos(angle), np.sin(angle)]), tuple(names), "season", np.tile(width / k, 2))


def run_positions(inside: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Position of each day in its run of ``True`` (0, 1, …; −1 outside), and the run's length (0 outside)."""
    days = np.arange(len(inside))
    edge = np.flatnonzero(np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8)))
    position, length = np.full(len(inside), -1), np.zeros(len(inside), dtype=np.intp)
    for start, stop in zip(edge[::2], edge[1::2], strict=True):
        position[start:stop] = days[start:stop] - start
        length[start:stop] = stop - start
    return position, length


def event_names(kind: str) -> list[str]:
    """Names of the columns of one kind of event, in the order of `event_values`."""
    inside = [f"{kind} day {k}" for k in range(EVENT_DAYS)] + [f"{kind} later days", f"{kind} last day"]
    before = [f"{kind} {k} days before" for k in range(1, BEFORE_DAYS + 1)]
    after = [f"{kind} {k} days after" for k in range(1, AFTER_DAYS + 1)]
    return [*inside, *before, *after, f"{kind} growth"]


def event_prior() -> Floats:
    """Prior widths of the columns of one kind of event."""
    return np.array(
        [EVENT_SD] * (EVENT_DAYS + 1)
        + [EVENT_SIDE_SD]
        + [EVENT_SIDE_SD] * (BEFORE_DAYS + AFTER_DAYS)
        + [EVENT_GROWTH_SD]
    )


def event_values(starts: Sequence[int], ends: Sequence[int], intensity: Sequence[float], years: Floats) -> Floats:
    """(days, columns) regressors of one kind: days within the event, before it, after it, and growth over the years.

    Parameters
    ----------
    starts, ends : sequence of int
        First and last day of every event, both inside it; may lie outside the panel.
    intensity : sequence of float
        Depth of each event relative to others of its kind.
    years : (days,) array
        Years from the end of history, for the growth of the uplift.
    """
    n_days = len(years)
    values = np.zeros((n_days, len(event_prior())))
    n_inside = EVENT_DAYS + 2
    for start, end, depth in zip(starts, ends, intensity, strict=True):
        day = np.arange(max(start, 0), min(end + 1, n_days))
        values[day, np.minimum(day - start, EVENT_DAYS)] += depth
        if end - start >= 2 and 0 <= end < n_days:
            values[end, EVENT_DAYS + 1] += depth
        values[day, -1] += depth * years[day]
        for k in range(1, BEFORE_DAYS + 1):
            if 0 <= start - k < n_days:
                values[start - k, n_inside + k - 1] += depth
        for k in range(1, AFTER_DAYS + 1):
            if 0 <= end + k < n_days:
                values[end + k, n_inside + BEFORE_DAYS + k - 1] += depth
    return values


def holiday_columns(
    days: dict[str, npt.NDArray[np.intp]], n_days: int, moving: frozenset[str] = frozenset()
) -> Columns:
    """Effects of each holiday by its name and the day's place before, in and after it.

    Parameters
    ----------
    days : dict
        Days of every holiday, counted from the panel's first; days in a row are one occurrence.
    n_days : int
        Days of history and forecast.
    moving : frozenset of str
        Holidays whose date moves from year to year (lunar ones): the yearly terms cannot carry the weeks around
        them, so they have wider surroundings of their own.
    """
    blocks: list[Floats] = []
    names: list[str] = []
    prior: list[float] = []
    for name in sorted(days):
        places = _places(name in moving)
        block = np.zeros((n_days, len(places)))
        inside = np.zeros(n_days + 120, dtype=bool)
        inside[days[name][(days[name] >= -60) & (days[name] < n_days + 60)] + 60] = True
        position, length = run_positions(inside)
        for start in np.flatnonzero(position == 0):
            for column, (first, last, within) in enumerate(places):
                base = start if within else (start + length[start] - 1 if first > 0 else start)
                stop = min(base + last, start + length[start] - 1) if within else base + last
                span = np.arange(base + first, stop + 1) - 60
                block[span[(span >= 0) & (span < n_days)], column] = 1.0
        blocks.append(block)
        names += [f"{name} {_place_name(*place)}" for place in places]
        prior += [HOLIDAY_SD if place[2] else HOLIDAY_SD / 2 for place in places]
    values = np.concatenate(blocks, axis=1) if blocks else np.zeros((n_days, 0))
    used = np.flatnonzero(values.any(axis=0))
    return Columns(values[:, used], tuple(names[i] for i in used), "holiday", np.array(prior)[used])


def _places(moving: bool) -> list[tuple[int, int, bool]]:
    """(first, last, within) days of each column, from the start (within, before) or from the end (after)."""
    within = [(0, 0, True), (1, 1, True), (2, 3, True), (4, 30, True)]
    near = [(-1, -1, False), (-2, -2, False), (1, 1, False), (2, 2, False)]
    wide = [(-4, -3, False), (-7, -5, False), (-14, -8, False), (3, 4, False), (5, 7, False), (8, 14, False)]
    return within + near + (wide if moving else [])


def _place_name(first: int, last: int, within: bool) -> str:
    if within:
        return f"day {first}" if first == last else f"days {first}–{last}"
    return f"{first:+d}" if first == last else f"{first:+d} to {last:+d}"
