"""When instances have to be asked for, so that they serve in time and before changes are frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WARM_UP = timedelta(minutes=30)  # between the last instance serving and the moment it is needed


@dataclass(frozen=True)
class Span:
    """A stretch of time with a name: a phase."""

    name: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Change:
    """A change of the instance count.

    Attributes
    ----------
    start_at, ready_by : datetime
    instances : int
    needed_at : datetime or None
        When the phase begins that needs a rise.
    """

    start_at: datetime
    ready_by: datetime
    instances: int
    needed_at: datetime | None = None


def hold_within_freeze(
    needed: Sequence[int], spans: Sequence[Span], *, freeze: tuple[datetime, datetime] | None
) -> list[int]:
    """Instances to run in each phase: no change inside the freeze, and none given back that is needed later.

    Examples
    --------
    >>> from datetime import UTC
    >>> day = [datetime(2026, 11, d, tzinfo=UTC) for d in (9, 10, 11, 12)]
    >>> spans = [Span(n, a, b) for n, a, b in zip("abc", day, day[1:], strict=False)]
    >>> hold_within_freeze([4, 9, 6], spans, freeze=None)
    [4, 9, 6]
    >>> hold_within_freeze([4, 6, 9], spans, freeze=None), hold_within_freeze([4, 9, 6], spans, freeze=(day[0], day[3]))
    ([4, 6, 9], [9, 9, 9])
    """
    counts = [int(n) for n in needed]
    peak = max(range(len(counts)), key=lambda i: (counts[i], i), default=0)
    for i in range(len(counts) - 2, peak, -1):
        counts[i] = max(counts[i], counts[i + 1])
    for i in range(1, peak):
        counts[i] = max(counts[i], counts[i - 1])
    if freeze is None:
        return counts
    inside = [i for i, s in enumerate(spans) if s.starts_at < freeze[1] and s.ends_at > freeze[0]]
    most = max((counts[i] for i in inside), default=0)
    return [most if i in inside else n for i, n in enumerate(counts)]


def changes(
    counts: Sequence[int],
    spans: Sequence[Span],
    *,
    now: int,
    startup_s: float,
    freeze: tuple[datetime, datetime] | None,
    needs: Sequence[int] | None = None,
) -> list[Change]:
    """Every change that brings ``now`` to the phases' counts and back, with the lead time it needs.

    A rise is complete `WARM_UP` before its phase begins, and `WARM_UP` before the freeze where the phase lies
    in it. A fall waits for the end of the phase, and of the freeze. ``needs`` are the counts without that: they say
    when a rise that has to come early is needed.
    """
    needs = counts if needs is None else needs
    lead = timedelta(seconds=float(startup_s))
    out: list[Change] = []
    running = now
    for i, (count, span) in enumerate(zip(counts, spans, strict=True)):
        if count == running:
            continue
        at = span.starts_at
        frozen = freeze is not None and span.starts_at < freeze[1] and span.ends_at > freeze[0]
        if count > running:
            ready = (min(at, freeze[0]) if frozen and freeze is not None else at) - WARM_UP
            needed_at = next((spans[j].starts_at for j in range(i, len(spans)) if needs[j] > running), at)
            out.append(Change(ready - lead, ready, count, needed_at))
        else:
            at = max(at, freeze[1]) if freeze is not None and at > freeze[0] else at
            out.append(Change(at, at, count))
        running = count
    if running != now and spans:
        end = spans[-1].ends_at
        end = max(end, freeze[1]) if freeze is not None else end
        out.append(Change(end, end, now))
    return out


@dataclass(frozen=True)
class Late:
    """A rise that had to begin before anything of this plan was known.

    Attributes
    ----------
    instances : int
    start_at : datetime
        When it had to begin.
    serves_at : datetime
        When it serves if it is asked for at once.
    needed_at : datetime
    """

    instances: int
    start_at: datetime
    serves_at: datetime
    needed_at: datetime

    @property
    def in_time(self) -> bool:
        """Whether it still serves when its phase begins, though without the warm-up or inside the freeze."""
        return self.serves_at <= self.needed_at


def find_late(steps: Sequence[Change], *, planned_at: datetime, startup_s: float) -> Late | None:
    """Find the worst of the rises that a plan made at ``planned_at`` comes too late for.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 10, 12, tzinfo=UTC)
    >>> rise = Change(noon - timedelta(hours=2), noon - timedelta(hours=1), 9, noon)
    >>> find_late([rise], planned_at=noon - timedelta(hours=3), startup_s=3600.0)
    >>> find_late([rise], planned_at=noon - timedelta(minutes=90), startup_s=3600.0).in_time
    True
    """
    serves = planned_at + timedelta(seconds=float(startup_s))
    late = [
        Late(step.instances, step.start_at, serves, step.needed_at)
        for step in steps
        if step.needed_at is not None and step.start_at < planned_at
    ]
    return min(late, key=lambda one: (one.in_time, one.needed_at), default=None)
