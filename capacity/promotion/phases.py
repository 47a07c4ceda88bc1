"""The phases of a promotion: which part of it a peak belongs to.

The default rule, for a promotion from S to E in local time:

- ``before``: the 24 hours before S;
- ``opening``: the first two hours;
- ``evening``: the last local 18:00–24:00 that the promotion reaches after its opening;
- ``day``: what lies between opening and evening (after the opening, when there is no evening);
- ``close``: what is left after the evening, when the promotion ends past midnight;
- ``after``: the 24 hours after E.

Phases that are given win: a default phase gives way where a given one stands, and disappears when
its name is given. So the phases never overlap and leave no second of the promotion out.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from capacity.document.contract import Contract, Fault, Moment, Name

MARGIN = timedelta(hours=24)
_Span = tuple[datetime, datetime]
_OPENING = timedelta(hours=2)
_EVENING_STARTS = time(18)


class Phase(Contract):
    """A named part of a promotion's time.

    Parameters
    ----------
    name
        Unique in its promotion.
    starts_at, ends_at
        Times with a zone; the end is not part of the phase.

    Examples
    --------
    >>> Phase(name="opening", starts_at="2026-11-10T20:00+08:00", ends_at="2026-11-10T22:00+08:00").duration
    datetime.timedelta(seconds=7200)
    """

    name: Name
    starts_at: Moment
    ends_at: Moment

    @property
    def duration(self) -> timedelta:
        """Elapsed time, also across a clock change."""
        return elapsed(self.starts_at, self.ends_at)

    def faults(self) -> Iterator[Fault]:
        """Yield an end that is not after the start."""
        yield from order_faults(self.starts_at, self.ends_at)


def elapsed(start: datetime, end: datetime) -> timedelta:
    """Time between two moments; Python's own difference within one zone ignores clock changes."""
    return end.astimezone(UTC) - start.astimezone(UTC)


def shift(moment: datetime, by: timedelta) -> datetime:
    """Return the moment so much later, in its own zone; Python's own sum there ignores clock changes.

    Examples
    --------
    >>> from zoneinfo import ZoneInfo
    >>> evening = datetime(2026, 10, 24, 20, tzinfo=ZoneInfo("Europe/Berlin"))
    >>> shift(evening, timedelta(hours=12)).isoformat()
    '2026-10-25T07:00:00+01:00'
    """
    return (moment.astimezone(UTC) + by).astimezone(moment.tzinfo)


def order_faults(starts_at: datetime, ends_at: datetime) -> Iterator[Fault]:
    """Yield an end that is not after its start."""
    if elapsed(starts_at, ends_at) <= timedelta(0):
        yield Fault(("ends_at",), ends_at.isoformat(), f"a time after starts_at ({starts_at.isoformat()})")


def phase_faults(phases: Sequence[Phase], *, starts_at: datetime, ends_at: datetime) -> Iterator[Fault]:
    """Yield phases that overlap, share a name, or lie farther than 24 h from the promotion."""
    names: set[str] = set()
    first, last = starts_at.astimezone(UTC) - MARGIN, ends_at.astimezone(UTC) + MARGIN
    spans = [(p.starts_at.astimezone(UTC), p.ends_at.astimezone(UTC)) for p in phases]
    for place, phase in enumerate(phases):
        if phase.name in names:
            yield Fault(("phases", place, "name"), repr(phase.name), "a name of its own for every phase")
        names.add(phase.name)
        if spans[place][0] < first or spans[place][1] > last:
            span = f"{phase.starts_at.isoformat()} to {phase.ends_at.isoformat()}"
            yield Fault(("phases", place), span, "a time in the promotion or within 24 h of it")
        for other in range(place):
            if spans[place][0] < spans[other][1] and spans[other][0] < spans[place][1]:
                yield Fault(("phases", place), repr(phase.name), f"no overlap with {phases[other].name!r}")


def fill_phases(given: Sequence[Phase], *, starts_at: datetime, ends_at: datetime, zone: tzinfo) -> tuple[Phase, ...]:
    """Complete the given phases by the default rule.

    Parameters
    ----------
    given
        Without faults; may be empty.
    starts_at, ends_at
        The promotion's.
    zone
        Where 18:00 and midnight are.

    Returns
    -------
    tuple of Phase
        In time order, contiguous, from at most 24 h before the start to at most 24 h after the end.
    """
    taken = sorted((p.starts_at.astimezone(UTC), p.ends_at.astimezone(UTC)) for p in given)
    names = {phase.name for phase in given}
    phases = list(given)
    for name, start, end in _default(starts_at.astimezone(UTC), ends_at.astimezone(UTC), zone):
        for free_start, free_end in _free(start, end, taken):
            unique = _unique(name, names)
            names.add(unique)
            local = (free_start.astimezone(zone), free_end.astimezone(zone))
            phases.append(Phase(name=unique, starts_at=local[0], ends_at=local[1]))
    return tuple(sorted(phases, key=lambda phase: phase.starts_at.astimezone(UTC)))


def _default(start: datetime, end: datetime, zone: tzinfo) -> Iterator[tuple[str, datetime, datetime]]:
    opening_end = min(start + _OPENING, end)
    yield "before", start - MARGIN, start
    yield "opening", start, opening_end
    evening = _last_evening(opening_end, end, zone)
    if evening is None:
        yield "day", opening_end, end
    else:
        yield "day", opening_end, evening[0]
        yield "evening", *evening
        yield "close", evening[1], end
    yield "after", end, end + MARGIN


def _last_evening(start: datetime, end: datetime, zone: tzinfo) -> tuple[datetime, datetime] | None:
    day = end.astimezone(zone).date()
    while day >= start.astimezone(zone).date():
        opens = datetime.combine(day, _EVENING_STARTS, tzinfo=zone).astimezone(UTC)
        closes = datetime.combine(day + timedelta(days=1), time(), tzinfo=zone).astimezone(UTC)
        first, last = max(start, opens), min(end, closes)
        if first < last:
            return first, last
        day -= timedelta(days=1)
    return None


def _free(
    start: datetime, end: datetime, taken: Sequence[tuple[datetime, datetime]]
) -> Iterator[tuple[datetime, datetime]]:
    for taken_start, taken_end in taken:
        if taken_end <= start or taken_start >= end:
            continue
        if taken_start > start:
            yield start, taken_start
        start = taken_end
    if start < end:
        yield start, end


def _unique(name: str, names: set[str]) -> str:
    # Two pieces of one default phase, or a piece beside a given phase of its name.
    number, unique = 1, name
    while unique in names:
        number += 1
        unique = f"{name}_{number}"
    return unique
