"""Is somebody there? The roster against the promotion's hours, and the drills against their days."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from capacity.catalog import Catalog
from capacity.operations.book import Operations, Shift
from capacity.operations.readiness import Item
from capacity.promotion import Promotion, shift

OPENING = timedelta(minutes=30)  # the hour in which two people are wanted, half of it on either side
_TWO = 2
_NONE: Mapping[str, str] = {}
_LAST_TIME = {"failed": " again: it failed", "unknown": ", or write down how it went: the journal does not say"}


@dataclass(frozen=True)
class Gap:
    """Hours in which fewer are on duty than wanted."""

    starts_at: datetime
    ends_at: datetime
    there: int
    wanted: int


def find_gaps(shifts: Sequence[Shift], starts_at: datetime, ends_at: datetime, *, wanted: int = 1) -> tuple[Gap, ...]:
    """Return the spans in which fewer people are on duty than wanted.

    Parameters
    ----------
    shifts
        The roster.
    starts_at, ends_at
        The hours that matter.
    wanted
        How many different people.
    """
    spans = [(one.person, _utc(one.starts_at), _utc(one.ends_at)) for one in shifts]
    begin, end = _utc(starts_at), _utc(ends_at)
    if end <= begin:
        return ()
    edges = {moment for _, *span in spans for moment in span if begin < moment < end}
    gaps: list[Gap] = []
    for first, last in itertools.pairwise([begin, *sorted(edges), end]):
        there = len({person for person, starts, ends in spans if starts <= first < ends})
        if there >= wanted:
            continue
        if gaps and gaps[-1].ends_at == first and gaps[-1].there == there:
            gaps[-1] = replace(gaps[-1], ends_at=last)
        else:
            gaps.append(Gap(first, last, there, wanted))
    zone = starts_at.tzinfo
    return tuple(replace(g, starts_at=g.starts_at.astimezone(zone), ends_at=g.ends_at.astimezone(zone)) for g in gaps)


def find_double_bookings(shifts: Sequence[Shift]) -> tuple[tuple[Shift, Shift], ...]:
    """Return pairs of shifts of one person that overlap, in two roles or in one."""
    ordered = sorted(shifts, key=lambda one: (one.person, _utc(one.starts_at)))
    pairs = []
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            if other.person != one.person or _utc(other.starts_at) >= _utc(one.ends_at):
                break
            pairs.append((one, other))
    return tuple(pairs)


def open_items(
    operations: Operations, promotion: Promotion, *, services: Catalog, held: Mapping[str, str] = _NONE
) -> Iterator[Item]:
    """Yield what is open in roster, drills and third parties before a promotion, for the readiness list.

    Parameters
    ----------
    operations
        Of the workspace.
    promotion, services
        Words.
    held
        How each drill that was held went, by its name: ``passed``, ``failed`` or ``unknown``. Only one that passed is
        done.
    """
    last = (promotion.freeze.starts_at if promotion.freeze is not None else promotion.starts_at).date()
    yield from _of_roster(operations, promotion, last)
    yield from _of_drills(operations, promotion, held)
    yield from _of_third_parties(operations, services, last)
    if not operations.escalation:
        yield Item("duty", "", "", last, "nobody is named to escalate to (operations.yaml escalation)")


def _of_roster(operations: Operations, promotion: Promotion, last: date) -> Iterator[Item]:
    roster, start = operations.roster, promotion.starts_at
    for gap in find_gaps(roster, promotion.phases[0].starts_at, promotion.phases[-1].ends_at):
        yield Item("duty", "", "", last, f"nobody is on duty from {_span(gap.starts_at, gap.ends_at)}")
    for gap in find_gaps(roster, shift(start, -OPENING), shift(start, OPENING), wanted=_TWO):
        if gap.there:
            yield Item(
                "duty", "", "", last, f"only {gap.there} is on duty at the opening, {_span(gap.starts_at, gap.ends_at)}"
            )
    for one, other in find_double_bookings(roster):
        at = other.starts_at.isoformat(timespec="minutes")
        says = f"{one.person} is on duty twice from {at}: {one.role}, {other.role}"
        yield Item("duty", "", "", last, says)
    silent = sorted({one.person for one in roster if not one.contact})
    if silent:
        yield Item("duty", "", "", last, f"no contact is known of {', '.join(silent)}")


def _of_drills(operations: Operations, promotion: Promotion, held: Mapping[str, str]) -> Iterator[Item]:
    for drill in operations.drills:
        outcome = held.get(drill.name, "")
        if outcome != "passed" and drill.due <= promotion.ends_at.date():
            says = f"practise {drill.name} ({drill.failure}){_LAST_TIME.get(outcome, '')}"
            yield Item("drill", drill.service, drill.owner, drill.due, says)


def _of_third_parties(operations: Operations, services: Catalog, last: date) -> Iterator[Item]:
    written = {party.name: party for party in operations.third_parties}
    for service in services.values():
        if service.third_party:
            party = written.get(service.name)
            missing = [
                what for what, there in (
                    ("an SLA (max_qps)", service.max_qps is not None),
                    ("flood control", bool(party and party.flood_control)),
                    ("a fallback", bool(party and party.fallback)),
                ) if not there
            ]  # fmt: skip
            if missing:
                yield Item("third_party", service.name, service.owner, last, f"without {', '.join(missing)}")


def _span(first: datetime, last: datetime) -> str:
    return f"{first.isoformat(timespec='minutes')} to {last.isoformat(timespec='minutes')}"


def _utc(moment: datetime) -> datetime:
    # Python compares two times of one zone by the clock on the wall, which a clock change sets back.
    return moment.astimezone(UTC)
