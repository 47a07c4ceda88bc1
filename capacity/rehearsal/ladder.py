"""Features that are switched off while the rehearsal runs, and back on."""

import numpy as np
from numpy.typing import NDArray

from capacity.plan.sizing import Bools, Ints
from capacity.rehearsal.world import Rung

Array = NDArray[np.floating]


class Ladder:
    """State of the rungs that wait for their trigger, one a future.

    A rung is pulled when what arrives at the watched service was above its threshold for so many seconds, and works
    when its switch has taken effect. It is put back when arrivals were below the lower threshold for so long, and no
    later rung is off.

    Attributes
    ----------
    rungs : tuple of Rung
        Those that are not planned and have a trigger.
    first_on, first_off : ndarray (rung, path)
        Second in which a rung first works, and in which it is first put back; −1: never.
    """

    def __init__(self, rungs: tuple[Rung, ...], paths: int) -> None:
        self.rungs = tuple(r for r in rungs if not r.planned and np.isfinite(r.above_qps) and len(r.edges))
        shape = (len(self.rungs), paths)
        self._hot, self._calm = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=np.int32)
        self._works_at = np.full(shape, -1, dtype=np.int64)
        self.first_on, self.first_off = np.full(shape, -1, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
        self.watched = np.array([r.watch for r in self.rungs], dtype=np.int64)
        self.above = np.array([r.above_qps for r in self.rungs])
        self._columns = {
            name: np.array([getattr(r, name) for r in self.rungs])[:, None]
            for name in ("above_qps", "below_qps", "for_s", "calm_s", "takes_s")
        }
        self.idle = True

    def skip(self, gap_s: float) -> None:
        """Let time pass in which nothing is played: what was off for longer than it has to be is back."""
        for k, rung in enumerate(self.rungs):
            if gap_s >= rung.calm_s:
                self._works_at[k] = -1
                self._calm[k] = 0
        self._hot[:] = 0
        self.idle = not (self._works_at >= 0).any()

    def active(self, t: int) -> Bools | None:
        """Rungs that work in this second, (rung, path); None where none does."""
        if self.idle:
            return None
        on = (self._works_at >= 0) & (t >= self._works_at)
        return on if on.any() else None

    def watch(self, t: int, arrived: Array) -> None:
        """Count how long the watched services were above and below, and pull and put back."""
        if not self.rungs:
            return
        seen, of = arrived[self.watched], self._columns
        self._hot = np.where(seen > of["above_qps"], self._hot + 1, 0).astype(np.int32)
        pulled = self._works_at >= 0
        new = ~pulled & (self._hot >= of["for_s"])
        if new.any():
            works = np.broadcast_to(t + 1 + np.ceil(of["takes_s"]).astype(np.int64), new.shape)
            self._works_at = np.where(new, works, self._works_at)
            self.first_on = np.where(new & (self.first_on < 0), works, self.first_on)
        self._calm = np.where((seen < of["below_qps"]) & pulled, self._calm + 1, 0).astype(np.int32)
        later: Ints = np.cumsum(pulled[::-1], axis=0)[::-1] - pulled
        back = pulled & (self._calm >= of["calm_s"]) & (later == 0) & (t >= self._works_at)
        if back.any():
            self.first_off = np.where(back & (self.first_off < 0), t + 1, self.first_off)
            self._works_at = np.where(back, -1, self._works_at)
        self.idle = not ((self._works_at >= 0).any() or self._hot.any())

    def cut(self, low: int, high: int) -> list[tuple[int, Ints]]:
        """Return which rungs stop calls among the edges of a level, as pairs of rung and edge numbers."""
        found = [(k, r.edges[(r.edges >= low) & (r.edges < high)]) for k, r in enumerate(self.rungs)]
        return [(k, at) for k, at in found if len(at)]


def calendar(rungs: tuple[Rung, ...], seconds: Ints) -> tuple[tuple[Bools, ...], Ints]:
    """Return the sets of planned rungs that are off at the same time, and which of them each second has.

    Examples
    --------
    >>> rung = Rung("banners", np.array([0]), 0, np.inf, 30.0, 0.0, window_s=(10.0, 12.0))
    >>> sets, which = calendar((rung,), np.arange(8, 14))
    >>> [bool(s[0]) for s in sets], which.tolist()
    ([False, True], [0, 0, 1, 1, 0, 0])
    """
    off = np.zeros((len(seconds), len(rungs)), dtype=bool)
    for k, rung in enumerate(rungs):
        if rung.window_s is not None:
            off[:, k] = (seconds >= rung.window_s[0]) & (seconds < rung.window_s[1])
    sets, which = np.unique(off, axis=0, return_inverse=True)
    return tuple(sets), np.asarray(which, dtype=np.int64).reshape(len(seconds))
