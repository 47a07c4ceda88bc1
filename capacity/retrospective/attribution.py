"""The factors behind each entry service's worst second as they came, beside the forecast's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.retrospective.coverage import COVERED
from capacity.retrospective.decomposition import (
    FACTORS,
    LEVELS,
    combine_entries,
    forecast_levels,
    merged_names,
    split_miss,
)
from capacity.retrospective.frames import number, rows_of
from capacity.retrospective.observed import Observed

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.peaks import Peaks

Floats = NDArray[np.float64]

ALL_ENTRIES = "(all entries)"
_DAU, _DAT, _DAY, _MINUTE, _SECOND = range(len(LEVELS))
_HIDES = 0.8  # logs missing where the forecast reaches this share of the known peak may hide a larger one


@dataclass(frozen=True)
class Attribution:
    """Levels of forecast and actual by entry service.

    Attributes
    ----------
    entries
        Names.
    actual, forecast
        Logs of the levels, shape ``(entry, 5)``; NaN where unknown.
    spread
        Standard deviation of each forecast factor's log, shape ``(entry, 5)``.
    days
        Local day of each entry's worst second; ``None`` where it is not known.
    notes
        What a reader must know.
    """

    entries: tuple[str, ...]
    actual: Floats
    forecast: Floats
    spread: Floats
    days: tuple[date | None, ...]
    notes: tuple[str, ...]

    @property
    def terms(self) -> Floats:
        """Log terms by factor, shape ``(entry, 5)``."""
        return split_miss(self.actual, self.forecast)

    def factor_ratio(self, factor: str) -> Floats:
        """Return ln(actual ÷ forecast) of one factor by itself, NaN where it is merged with another."""
        place = FACTORS.index(factor)
        difference = self.actual - self.forecast
        return difference[:, place] - (difference[:, place - 1] if place else 0.0)

    def to_frame(self, floor_days: Mapping[date, float]) -> pd.DataFrame:
        """Return one row an entry and term, all entries together first.

        Columns ``entry, factor, forecast, actual, log_term, multiplier, note``. The ``log_term`` of one entry add up to
        ln(actual ÷ forecast) of its last known level; ``multiplier`` is their exponential.
        """
        usable = np.isfinite(self.actual - self.forecast).any(axis=1)
        columns = ["entry", "factor", "forecast", "actual", "log_term", "multiplier", "note"]
        if not usable.any():
            return pd.DataFrame(columns=columns)
        together, _, _ = combine_entries(self.actual[usable], self.forecast[usable])
        nothing = np.full(len(FACTORS), np.nan)
        rows = _rows(ALL_ENTRIES, together, nothing, nothing, "")
        for place in np.flatnonzero(usable):
            day = self.days[place]
            share = floor_days.get(day, 0.0) if day is not None else 0.0
            note = f"DAT is a floor: {share:.1%} of the day's requests were turned away" if share > 0 else ""
            rows += _rows(self.entries[place], self.terms[place], self.forecast[place], self.actual[place], note)
        return pd.DataFrame(rows, columns=columns)


def attribute_miss(
    observed: Observed, forecast_peaks: "Peaks", catalog: "Catalog | None", totals: pd.DataFrame, peaks: pd.DataFrame
) -> Attribution:
    """Find the levels of the entries' worst second in forecast and actual.

    Parameters
    ----------
    observed
        What came.
    forecast_peaks
        The plan's samples, whose ``factors`` are the forecast.
    catalog
        Whose calls are taken off what an entry was asked, to leave what came from outside.
    totals
        DAU and DAT by day: ``date, dau, dat``.
    peaks
        The comparison by phase: where logs are missing, and what was forecast there.
    """
    factors = forecast_peaks.factors.transpose("sample", "entry_service", "factor").sel(factor=list(FACTORS))
    entries = tuple(str(name) for name in factors["entry_service"].to_numpy())
    forecast, spread = forecast_levels(factors.to_numpy())
    inside, calls = _calls_into(entries, observed, catalog)
    moments, minute, second = _external(observed, entries, inside, calls)
    actual = np.full((len(entries), len(LEVELS)), np.nan)
    days: list[date | None] = [None] * len(entries)
    zone = ZoneInfo(observed.timezone)
    people = {pd.Timestamp(row["date"]).date(): row for row in rows_of(totals)}
    hidden = _hidden(peaks)
    for place, entry in enumerate(entries):
        if entry not in observed.services or not np.isfinite(minute[:, place]).any():
            continue
        top = second[:, place] if np.isfinite(second[:, place]).any() else minute[:, place]
        worst = int(np.nanargmax(top))
        moment = pd.Timestamp(int(moments[worst]), unit="s", tz="UTC").tz_convert(zone)
        day = days[place] = moment.date()
        person = people.get(day, {})
        requests = _day_requests(observed.daily, entry, day, inside, calls[:, place])
        values = np.array([number(person.get("dau")), number(person.get("dat")), requests, np.nan, np.nan])
        if entry not in hidden:
            values[_MINUTE], values[_SECOND] = minute[worst, place], second[worst, place]
        actual[place] = np.log(np.where(values > 0, values, np.nan))
    return Attribution(entries, actual, forecast, spread, tuple(days), _notes(entries, observed, hidden, inside))


def _rows(entry: str, terms: Floats, forecast: Floats, actual: Floats, note: str) -> list[tuple[object, ...]]:
    rows = []
    known = np.isfinite(terms)
    names = merged_names(known)
    last = -1
    for place in np.flatnonzero(known):
        # The levels' factors, as a share for the minute; several factors merged have the product's unit.
        scale = 60.0 if last < _MINUTE <= place else 1.0
        values = []
        for levels in (forecast, actual):
            below = levels[last] if last >= 0 else 0.0
            values.append(float(np.exp(levels[place] - below)) * scale)
        split = names[place] in ("dat_per_dau", "requests_per_dat")
        said = note if split else ""
        rows.append((entry, names[place], *values, float(terms[place]), float(np.exp(terms[place])), said))
        last = int(place)
    return rows


def _calls_into(
    entries: Sequence[str], observed: Observed, catalog: "Catalog | None"
) -> tuple[tuple[str, ...], Floats]:
    """Return the services that call entries, and calls per request of each to each entry."""
    if catalog is None:
        return (), np.zeros((0, len(entries)))
    wanted = {entry: place for place, entry in enumerate(entries)}
    found: dict[str, Floats] = {}
    for caller, service in catalog.items():
        for call in service.calls:
            if call.to in wanted and caller in observed.services:
                row = found.setdefault(caller, np.zeros(len(entries)))
                row[wanted[call.to]] += call.calls_reaching()
    return tuple(found), np.array(list(found.values())).reshape(len(found), len(entries))


def _external(
    observed: Observed, entries: Sequence[str], inside: Sequence[str], calls: Floats
) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return moments, and on them the mean and the busiest second of what came from outside, ``(moment, entry)``."""
    services = list(dict.fromkeys([*entries, *inside]))
    moments, rate = observed.minute_matrix("rate_qps", services)
    _, second = observed.minute_matrix("second_qps", services)
    place = [services.index(name) for name in inside]
    internal = np.nan_to_num(rate[:, place]) @ calls
    size = len(entries)
    return moments, np.maximum(rate[:, :size] - internal, 0.0), np.maximum(second[:, :size] - internal, 0.0)


def _day_requests(daily: pd.DataFrame, entry: str, day: date, inside: Sequence[str], calls: Floats) -> float:
    rows = {row["service"]: row for row in rows_of(daily[daily["date"] == day])}
    needed = [entry, *(name for name, rate in zip(inside, calls, strict=True) if rate > 0 and name in rows)]
    if entry not in rows or any(number(rows[name]["covered_fraction"]) < COVERED for name in needed):
        return float("nan")
    internal = sum(
        rate * number(rows[name]["requests"]) for name, rate in zip(inside, calls, strict=True) if name in rows
    )
    return float(number(rows[entry]["requests"]) - internal)


def _hidden(peaks: pd.DataFrame) -> set[str]:
    """Services whose missing logs may hold a larger peak than the known one."""
    largest = peaks.groupby("service")["actual"].transform("max")
    gap = peaks["peak_may_be_lost"] & ~(peaks["forecast_q50"] < _HIDES * largest)
    return set(peaks.loc[gap, "service"])


def _notes(entries: Sequence[str], observed: Observed, hidden: set[str], inside: Sequence[str]) -> tuple[str, ...]:
    notes = []
    absent = [entry for entry in entries if entry not in observed.services]
    if absent:
        notes.append(f"No traffic of the entry services {', '.join(absent)}: their miss cannot be split.")
    lost = [entry for entry in entries if entry in hidden]
    if lost:
        notes.append(f"Logs around the peak of {', '.join(lost)} are missing: only its day's volume is judged.")
    if inside:
        notes.append(
            "Calls from inside are taken off by the catalogue's calls per request, without retries: "
            f"from {', '.join(inside)}."
        )
    return tuple(notes)
