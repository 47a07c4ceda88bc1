"""Promotions, past and coming: the brief of each as written in ``data/promotions.yaml``."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pydantic import Field

from capacity.display.escape import safe_slug
from capacity.document.contract import Contract, Count, Day, Fault, Moment, Name, NonNegative, Positive, Range, Text
from capacity.promotion.phases import Phase, elapsed, fill_phases, order_faults, phase_faults


class Freeze(Contract):
    """When changes are not allowed; the end is not part of it."""

    starts_at: Moment
    ends_at: Moment

    def faults(self) -> Iterator[Fault]:
        """Yield an end that is not after the start."""
        yield from order_faults(self.starts_at, self.ends_at)

    def holds_at(self, moment: datetime) -> bool:
        """Tell whether it holds at a moment, also in the hour that a clock change repeats.

        Examples
        --------
        >>> freeze = Freeze(starts_at="2026-11-09T00:00+08:00", ends_at="2026-11-13T00:00+08:00")
        >>> freeze.holds_at(freeze.starts_at), freeze.holds_at(freeze.ends_at)
        (True, False)
        """
        return self.starts_at.astimezone(UTC) <= moment.astimezone(UTC) < self.ends_at.astimezone(UTC)


class ThirdPartyTerm(Contract):
    """What a third party has promised for one promotion.

    Parameters
    ----------
    name
        A service of the catalogue.
    sla_qps
        Requests per second it takes; replaces the service's `max_qps` for this promotion.
    contact
        Whom to call.
    """

    name: Name
    sla_qps: Positive | None = None
    contact: Text = ""


class Inventory(Contract):
    """What can be sold. Sold out means no more orders: `units` caps the transactions."""

    units: Count


class Expectation(Contract):
    """The business's own estimate of the promotion's largest day.

    Parameters
    ----------
    dau, dat
        Active users and orders placed on that day.
    peak_tps
        Completed orders per second in the worst second.
    basis
        What it rests on.
    owner
        Who answers for it.
    signed_at
        The day it was signed; it is invisible to an `as_of` of that day or earlier.
    """

    dau: Range | None = None
    dat: Range | None = None
    peak_tps: Range | None = None
    basis: Text = ""
    owner: Text = ""
    signed_at: Day | None = None


class Actual(Contract):
    """What is remembered of a past promotion where its traffic history has expired.

    Parameters
    ----------
    dau, dat
        Of its largest day.
    peak_tps
        Completed orders in the worst second.
    peak_at
        When that was.
    peak_qps
        Requests in the worst second, by service.
    """

    dau: NonNegative | None = None
    dat: NonNegative | None = None
    peak_tps: NonNegative | None = None
    peak_at: Moment | None = None
    peak_qps: dict[Name, NonNegative] = Field(default_factory=dict)


class Promotion(Contract):
    """One promotion.

    Times are in the workspace's zone when read from a file. Python compares and subtracts two times of
    one zone by the clock on the wall: use `duration`, or convert to UTC, across a clock change.

    Parameters
    ----------
    id
        Unique.
    kind
        Promotions of one kind are comparable with each other.
    starts_at, ends_at
        The end is not part of it.
    intensity
        Depth of the offer relative to others of its kind.
    phases
        Complete and in time order; see `capacity.promotion.phases` for the rule behind those not given.
    freeze
        When changes are not allowed.
    background, objectives, products
        Kick-off facts, free text.
    third_parties
        Terms that hold for this promotion.
    inventory
        What can be sold.
    expected
        The business's estimate.
    actual
        What came, of a past promotion.

    Examples
    --------
    >>> promotion = Promotion(id="2026-double11", kind="double11",
    ...     starts_at="2026-11-10T20:00+08:00", ends_at="2026-11-12T00:00+08:00")
    >>> promotion.duration
    datetime.timedelta(days=1, seconds=14400)
    >>> [phase.name for phase in promotion.phases]
    ['before', 'opening', 'day', 'evening', 'after']
    >>> [str(day) for day in promotion.dates]
    ['2026-11-10', '2026-11-11']
    """

    id: Name
    kind: Name
    starts_at: Moment
    ends_at: Moment
    intensity: Positive = 1.0
    phases: tuple[Phase, ...] = ()
    freeze: Freeze | None = None
    background: Text = ""
    objectives: tuple[Text, ...] = ()
    products: tuple[Text, ...] = ()
    third_parties: tuple[ThirdPartyTerm, ...] = ()
    inventory: Inventory | None = None
    expected: Expectation | None = None
    actual: Actual | None = None

    def faults(self) -> Iterator[Fault]:
        """Yield ends before starts, phases out of place, third parties named twice."""
        wrong = list(order_faults(self.starts_at, self.ends_at))
        yield from wrong
        if not wrong:
            yield from phase_faults(self.phases, starts_at=self.starts_at, ends_at=self.ends_at)
        names: set[str] = set()
        for place, term in enumerate(self.third_parties):
            if term.name in names:
                yield Fault(("third_parties", place, "name"), repr(term.name), "each third party once")
            names.add(term.name)

    def model_post_init(self, _context: Any, /) -> None:
        """Complete the phases once; faults are told by the validator that follows."""
        if any(order_faults(self.starts_at, self.ends_at)):
            return
        if any(phase_faults(self.phases, starts_at=self.starts_at, ends_at=self.ends_at)):
            return
        zone = self.starts_at.tzinfo or UTC
        try:
            phases = fill_phases(self.phases, starts_at=self.starts_at, ends_at=self.ends_at, zone=zone)
        except OverflowError:
            return
        given = self.model_fields_set
        object.__setattr__(self, "phases", phases)
        object.__setattr__(self, "__pydantic_fields_set__", given)

    @property
    def duration(self) -> timedelta:
        """Elapsed time from start to end."""
        return elapsed(self.starts_at, self.ends_at)

    @property
    def dates(self) -> tuple[date, ...]:
        """Local days that the promotion touches."""
        last = (self.ends_at.astimezone(UTC) - timedelta(microseconds=1)).astimezone(self.starts_at.tzinfo).date()
        first = self.starts_at.date()
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))

    @property
    def slug(self) -> str:
        """The id as one safe path component."""
        return safe_slug(self.id)

    def as_of(self, day: date) -> "Promotion":
        """Return what was known when `day` began, in the promotion's own zone."""
        begins = datetime.combine(day, time(), tzinfo=self.starts_at.tzinfo)
        changes: dict[str, None] = {}
        if self.actual is not None and elapsed(self.ends_at, begins) < timedelta(0):
            changes["actual"] = None
        signed = self.expected.signed_at if self.expected is not None else None
        if signed is not None and signed >= day:
            changes["expected"] = None
        return self.model_copy(update=changes) if changes else self

    def assumptions(self) -> tuple[str, ...]:
        """Say every default that is in use, with its effect."""
        found = []
        if self.assumed("intensity"):
            found.append(f"intensity of {self.id} not given: 1.0 assumed, an offer as deep as others of its kind")
        if self.assumed("phases"):
            names = ", ".join(phase.name for phase in self.phases)
            found.append(f"phases of {self.id} not given: {names} by the default rule")
        if self.inventory is None:
            found.append(f"inventory of {self.id} not given: nothing caps its transactions")
        if self.expected is None:
            found.append(f"no business estimate of {self.id} is known: history speaks alone")
        return tuple(found)
