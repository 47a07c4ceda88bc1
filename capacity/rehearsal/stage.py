"""Which seconds of a promotion are played: every stretch where something is at its worst or changes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from capacity.plan.sizing import Ints

if TYPE_CHECKING:
    from capacity.peaks import Peaks

BEFORE_S, AFTER_S = 600, 1200  # around the worst second of all: warm-up before, recovery after
ELSEWHERE_S = 120  # on either side of every other phase's worst second
LEAD_S, TRAIL_S = 30, 90  # around a phase's start, a scale step, a switch: past a bucket, a queue and a trigger
MOST_S = 5400  # in all; beyond it the least loaded changes are left out


@dataclass(frozen=True)
class Stage:
    """The seconds played, one stretch after another.

    Attributes
    ----------
    seconds : ndarray
        After the promotion's start; where they jump, time is skipped.
    worst_s : int
        The worst second of all, in the middle future.
    left_out : int
        Changes for which there was no room.
    """

    seconds: Ints
    worst_s: int
    left_out: int = 0

    @property
    def length(self) -> int:
        """Seconds in all."""
        return len(self.seconds)

    @property
    def starts(self) -> Ints:
        """Positions at which a stretch begins."""
        return np.flatnonzero(np.diff(self.seconds, prepend=self.seconds[0] - 2) != 1)

    def end_of(self, position: int) -> int:
        """Position after the last of the stretch that holds a position."""
        later = self.starts[self.starts > position]
        return int(later[0]) if len(later) else self.length

    def place(self, second: int) -> int:
        """Position of a second after the start, or the nearest."""
        return int(np.abs(self.seconds - second).argmin())

    @property
    def worst(self) -> slice:
        """Positions of the stretch around the worst second."""
        at = self.place(self.worst_s)
        begin = int(self.starts[self.starts <= at][-1])
        return slice(begin, self.end_of(at))


def set_stage(peaks: "Peaks", document: dict[str, Any], *, also: Iterable[int] = ()) -> Stage:
    """Choose the seconds: the worst second's half-hour, every phase's worst minutes, and around every change.

    Changes are the phases' starts, the steps of the scale schedule and the switches of planned degradation, as far as
    they lie inside the phases: outside of them nothing is forecast. ``also`` are moments of faults.
    """
    load = np.median(peaks.peak_qps.values, axis=0).sum(axis=1)
    entries = [peaks.services.index(e) for e in peaks.entries if e in peaks.services]
    at = np.median(peaks.peak_at_s.values, axis=0)
    moments = [int(np.median(at[p, entries] if entries else at[p])) for p in range(len(load))]
    order = np.argsort(-load, kind="stable")
    worst = moments[int(order[0])]
    spans = [(worst - BEFORE_S, worst + AFTER_S)]
    spans += [(moments[int(p)] - ELSEWHERE_S, moments[int(p)] + ELSEWHERE_S) for p in order[1:]]
    spans += [(second - LEAD_S, second + TRAIL_S) for second in also]
    seconds: set[int] = set()
    for low, high in spans:
        seconds.update(range(low, high))
    left_out = 0
    for second in _changes(peaks, document):
        wanted = set(range(second - LEAD_S, second + TRAIL_S)) - seconds
        if len(seconds) + len(wanted) > MOST_S:
            left_out += 1
            continue
        seconds |= wanted
    return Stage(np.array(sorted(seconds), dtype=np.int64), worst, left_out)


def _changes(peaks: "Peaks", document: dict[str, Any]) -> list[int]:
    """Seconds after the start at which something changes, the busiest phases' first."""
    promotion = peaks.promotion
    known = {p.name: p for p in promotion.phases}
    phases = [known[name] for name in peaks.phases if name in known]
    if not phases:
        return []
    load = np.median(peaks.peak_qps.values, axis=0).sum(axis=1)
    begins = np.array([_after(promotion, p.starts_at) for p in phases])
    end = _after(promotion, max(p.ends_at for p in phases))

    def busy(second: int) -> float:
        return float(load[max(int(np.searchsorted(begins, second, side="right")) - 1, 0)])

    found = {*begins.tolist(), *(_after(promotion, moment) for moment in _scheduled(document))}
    inside = [second for second in found if begins.min() <= second < end]
    return sorted(inside, key=lambda second: (-busy(second), second))


def _scheduled(document: dict[str, Any]) -> Iterator[datetime]:
    for entry in document["services"].values():
        for step in entry["scale_schedule"]:
            yield datetime.fromisoformat(step["ready_by"])
    for rung in document["degradation"]:
        for key in ("on_at", "off_at"):
            if rung.get(key):
                yield datetime.fromisoformat(rung[key])


def _after(promotion: Any, moment: datetime) -> int:
    seconds: float = (moment - promotion.starts_at) / timedelta(seconds=1)
    return round(seconds)
