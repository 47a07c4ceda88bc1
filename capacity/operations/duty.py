"""Is somebody there? The roster against the promotion's hours, and the drills against their days."""

import itertools
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from capacity.catalog import Catalog
from capacity.operations.book import Operations, Shift
from capacity.operations.readiness import Item
from capacity.promotion import Promotion

OPENING = timedelta(minutes=30)  # the hour in which two people are wanted, half of it on either side
_TWO = 2


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
    if ends_at <= starts_at:
        return ()
    edges = {moment for shift in shifts for moment in (shift.starts_at, shift.ends_at)}
    bounds = [starts_at, *sorted(moment for moment in edges if starts_at < moment < ends_at), ends_at]
    gaps: list[Gap] = []
    for first, last in itertools.pairwise(bounds):
        there = len({shift.person for shift in shifts if shift.starts_at <= first < shift.ends_at})
        if there >= wanted:
            continue
        if gaps and gaps[-1].ends_at == first and gaps[-1].there == there:
            gaps[-1] = Gap(gaps[-1].starts_at, last, there, wanted)
        else:
            gaps.append(Gap(first, last, there, wanted))
    return tuple(gaps)


def find_double_bookings(shifts: Sequence[Shift]) -> tuple[tuple[Shift, Shift], ...]:
    """Return pairs of shifts of one person that overlap, in two roles or in one."""
    ordered = sorted(shifts, key=lambda shift: (shift.person, shift.starts_at))
    pairs = []
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            if other.person != one.person or other.starts_at >= one.ends_at:
                break
            pairs.append((one, other))
    return tuple(pairs)


def open_items(
    operations: Operations, promotion: Promotion, *, services: Catalog, held: AbstractSet[str] = frozenset()
) -> Iterator[Item]:
    """Yield what is open in roster, drills and third parties before a promotion, for the readiness list.

    Parameters
    ----------
    operations
        Of the workspace.
    promotion, services
        Words.
    held
        Names of the drills that were held.
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
    for gap in find_gaps(roster, start - OPENING, start + OPENING, wanted=_TWO):
        if gap.there:
            yield Item(
                "duty", "", "", last, f"only {gap.there} is on duty at the opening, {_span(gap.starts_at, gap.ends_at)}"
            )
    for one, other in find_double_bookings(roster):
        at = other.starts_at.isoformat(timespec="minutes")
        says = f"{one.person} is on duty twice from {at}: {one.role}, {other.role}"
        yield Item("duty", "", "", last, says)
    silent = sorted({shift.person for shift in roster if not shift.contact})
    if silent:
        yield Item("duty", "", "", last, f"no contact is known of {', '.join(silent)}")


def _of_drills(operations: Operations, promotion: Promotion, held: AbstractSet[str]) -> Iterator[Item]:
    for drill in operations.drills:
        if drill.name not in held and drill.due <= promotion.ends_at.date():
            yield Item("drill", drill.service, drill.owner, drill.due, f"practise {drill.name} ({drill.failure})")


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
