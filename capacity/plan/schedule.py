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
    """A change of the instance count."""

    start_at: datetime
    ready_by: datetime
    instances: int


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
) -> list[Change]:
    """Every change that brings ``now`` to the phases' counts and back, with the lead time it needs.

    A rise is complete `WARM_UP` before its phase begins, and `WARM_UP` before the freeze where the phase lies
    in it. A fall waits for the end of the phase, and of the freeze.
    """
    lead = timedelta(seconds=float(startup_s))
    out: list[Change] = []
    running = now
    for count, span in zip(counts, spans, strict=True):
        if count == running:
            continue
        at = span.starts_at
        frozen = freeze is not None and span.starts_at < freeze[1] and span.ends_at > freeze[0]
        if count > running:
            ready = (min(at, freeze[0]) if frozen and freeze is not None else at) - WARM_UP
            out.append(Change(ready - lead, ready, count))
        else:
            at = max(at, freeze[1]) if freeze is not None and at > freeze[0] else at
            out.append(Change(at, at, count))
        running = count
    if running != now and spans:
        end = spans[-1].ends_at
        end = max(end, freeze[1]) if freeze is not None else end
        out.append(Change(end, end, now))
    return out
