"""How the company works around a promotion: rules, roster, meetings, escalation, drills (``operations.yaml``)."""

import itertools
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from capacity.document import check_document
from capacity.document.contract import Contract, Day, Fault, Moment, Name, NonNegative, PositiveCount, Text
from capacity.document.zones import require_zone
from capacity.promotion import elapsed

ChangeKind = Literal["release", "data_migration", "emergency_scaling", "hot_fix"]
CHANGE_KINDS: tuple[ChangeKind, ...] = ("release", "data_migration", "emergency_scaling", "hot_fix")
InFreeze = Literal["never", "by_exception", "allowed"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
Clock = Annotated[str, Field(strict=True, pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
_NOW = timedelta()
Names = Annotated[list[Name], Field(default_factory=list)]


class ChangeRule(Contract):
    """The rule for one kind of change.

    Parameters
    ----------
    in_freeze
        ``never``, ``by_exception`` (signed by who may), or ``allowed``.
    approver
        Who grants it.
    escalation
        Whom to ask when the approver cannot be reached, in order; each may grant it too.
    accountable
        Who answers for what it does.
    rule
        In words, such as how it is tested and rolled back.
    """

    in_freeze: InFreeze = "by_exception"
    approver: Name
    escalation: Names
    accountable: Name
    rule: Text = ""

    @property
    def may_grant(self) -> tuple[str, ...]:
        """Everybody who may grant an exception, the approver first; nobody where none is to be granted."""
        return tuple(dict.fromkeys([self.approver, *self.escalation])) if self.in_freeze == "by_exception" else ()


class FreezeRule(Contract):
    """What a freeze has to cover.

    Parameters
    ----------
    hours_before, hours_after
        Around the first and the last phase.
    services
        Which services it covers; all when empty.
    """

    hours_before: NonNegative = 0.0
    hours_after: NonNegative = 0.0
    services: Names


class Shift(Contract):
    """One person's duty."""

    person: Name
    role: Name
    contact: Text = ""
    starts_at: Moment
    ends_at: Moment

    def faults(self) -> Iterator[Fault]:
        """Yield an end that is not after the start."""
        yield from _order(self.starts_at, self.ends_at)


class Meeting(Contract):
    """A weekly meeting, from a first day to a last."""

    name: Name
    weekday: Weekday
    at: Clock
    minutes: PositiveCount = 30
    first: Day
    last: Day
    who: Names

    def faults(self) -> Iterator[Fault]:
        """Yield a last day before the first, and a span without that weekday."""
        if self.last < self.first:
            yield Fault(("last",), self.last.isoformat(), f"{self.first.isoformat()} or later")
        elif not self.days():
            yield Fault(("weekday",), self.weekday, f"a weekday between {self.first} and {self.last}")

    def days(self) -> tuple[date, ...]:
        """Return the days on which it meets."""
        away = (WEEKDAYS.index(self.weekday) - self.first.weekday()) % 7
        start = self.first + timedelta(days=away)
        return tuple(start + timedelta(weeks=week) for week in range(((self.last - start).days // 7) + 1))


class WarRoom(Contract):
    """Where everybody sits while it runs."""

    place: Name
    opens_at: Moment
    closes_at: Moment
    lead: Text = ""

    def faults(self) -> Iterator[Fault]:
        """Yield a close that is not after the opening."""
        yield from _order(self.opens_at, self.closes_at, key="closes_at")


class EscalationStep(Contract):
    """Who is called when nobody before them has answered for so long."""

    who: Name
    after_min: NonNegative = 0.0
    contact: Text = ""


class Drill(Contract):
    """A failure to practise.

    Parameters
    ----------
    name
        What is practised.
    failure
        What is broken, such as ``zone-loss`` or ``third-party-down``.
    service
        Of which service; empty: of all.
    due
        Last day.
    owner
        Who leads it.
    """

    name: Name
    failure: Name
    service: Text = ""
    due: Day
    owner: Text = ""


class ThirdParty(Contract):
    """What protects a third party from our flood, and us from its absence."""

    name: Name
    flood_control: Text = ""
    fallback: Text = ""


class Operations(Contract):
    """Everything of ``data/operations.yaml``.

    Examples
    --------
    >>> Operations().may_grant("release")
    ()
    """

    changes: dict[ChangeKind, ChangeRule] = Field(default_factory=dict)
    freeze: FreezeRule = FreezeRule(services=[])
    roster: list[Shift] = Field(default_factory=list)
    meetings: list[Meeting] = Field(default_factory=list)
    war_room: WarRoom | None = None
    escalation: list[EscalationStep] = Field(default_factory=list)
    drills: list[Drill] = Field(default_factory=list)
    third_parties: list[ThirdParty] = Field(default_factory=list)

    def faults(self) -> Iterator[Fault]:
        """Yield steps of the escalation that are out of order, and drills and third parties that come twice."""
        for place, (one, other) in enumerate(itertools.pairwise(self.escalation), start=1):
            if other.after_min < one.after_min:
                yield Fault(("escalation", place, "after_min"), f"{other.after_min:g}", f"at least {one.after_min:g}")
        for key, things in (("drills", self.drills), ("third_parties", self.third_parties)):
            names = [thing.name for thing in things]
            for place, name in enumerate(names):
                if name in names[:place]:
                    yield Fault((key, place, "name"), repr(name), "a name of its own")

    def may_grant(self, kind: ChangeKind) -> tuple[str, ...]:
        """Return who may except a kind of change from a freeze; nobody where no rule is written."""
        return self.changes[kind].may_grant if kind in self.changes else ()

    def on_call(self, at: datetime) -> str:
        """Return who has the duty at a moment, with contacts."""
        there = [shift for shift in self.roster if elapsed(shift.starts_at, at) >= _NOW > elapsed(shift.ends_at, at)]
        return ", ".join(f"{s.person} ({s.contact})" if s.contact else s.person for s in there)

    def assumptions(self) -> list[str]:
        """Say what is not written, with its effect."""
        missing = [kind for kind in CHANGE_KINDS if kind not in self.changes]
        found = []
        if missing:
            found.append(
                f"operations.yaml changes: no rule for {', '.join(missing)}: in a freeze nobody may grant an exception"
            )
        if not self.roster:
            found.append("operations.yaml roster is not given: nobody is known to be on duty")
        return found


def parse_operations(text: str, *, timezone: str, where: str = "data/operations.yaml") -> Operations:
    """Read ``data/operations.yaml``.

    Parameters
    ----------
    text
        The file's content.
    timezone
        The workspace's zone, of times without an offset.
    where
        Its name in messages.

    Raises
    ------
    InputError
        With every problem of the file.

    Examples
    --------
    >>> parse_operations("drills: [{name: zone, failure: zone-loss, due: 2026-11-01}]", timezone="UTC").drills[0].name
    'zone'
    """
    zone = require_zone(timezone, where=where)
    found: Operations = check_document(text or "{}", model=Operations, where=where, context={"zone": zone})
    return found


def _order(start: datetime, end: datetime, *, key: str = "ends_at") -> Iterator[Fault]:
    if elapsed(start, end) <= _NOW:
        yield Fault((key,), end.isoformat(), f"later than {start.isoformat()}")
