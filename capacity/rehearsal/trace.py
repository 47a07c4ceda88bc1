"""What is noted while a rehearsal runs."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.plan.sizing import Bools, Floats, Ints
from capacity.rehearsal.world import Precision

Array = NDArray[np.floating]

BREAK_SHARE = 0.01  # of a second's requests lost to overload: from here a service counts as broken
BREAK_S = 3  # for so many seconds
CALM = 0.9  # of capacity: a service that is still broken with less fresh demand does not recover by itself
BIN_S = 10
NOTHING_LEFT = 1e6  # demand ÷ capacity of a service that is gone
QUANTILES = (0.05, 0.5, 0.95)
SERIES = ("demand", "served", "answered", "capacity", "backlog")
_AFFECTED = 0.05  # of a second's requests failed, for whatever reason
_SLACK = 1e-5  # single precision: demand that equals capacity is not above it
_TINY = 1e-9


@dataclass
class Trace:
    """What happened; (path, s) unless said otherwise, seconds as positions in the script, −1 for never.

    Attributes
    ----------
    overloaded : ndarray of bool
        Fresh demand above capacity in some second, before any limit.
    first_overload_s, first_break_s, first_affected_s : ndarray of int
        Affected is a service whose requests fail because of it or of something it requires.
    broken_s, last_break_s, stuck_s : ndarray of int
        Seconds broken; the last of them; seconds broken although demand was calm.
    rejected, arrived, retried : ndarray
        Totals; what was turned away by a limit, all that arrived, and those of it that were tried before.
    worst_ratio : ndarray
        Largest demand ÷ capacity.
    demand_at_break, retries_at_break, capacity_at_break : ndarray
        When a service first broke: fresh demand ÷ capacity, share of retries in what arrived, capacity.
    stuck_load : ndarray
        Arrivals ÷ fresh demand, mean over the seconds in which it was stuck.
    most_instances : ndarray (p,)
        That served.
    switched_on_s, switched_back_s : dict
        Rung to ndarray (path,).
    timeline : dict of str to ndarray (bin, quantile, s)
        Quantiles over the futures of the largest in ten seconds of demand, served and answered in time; and of capacity
        and backlog at their end.
    broken_share : ndarray (bin, s)
        Share of the futures in which it was broken in that bin.
    """

    overloaded: Bools
    first_overload_s: Ints
    first_break_s: Ints
    first_affected_s: Ints
    broken_s: Ints
    last_break_s: Ints
    stuck_s: Ints
    rejected: Floats
    arrived: Floats
    retried: Floats
    worst_ratio: Floats
    demand_at_break: Floats
    retries_at_break: Floats
    capacity_at_break: Floats
    stuck_load: Floats
    most_instances: Ints
    switched_on_s: dict[str, Ints] = field(default_factory=dict)
    switched_back_s: dict[str, Ints] = field(default_factory=dict)
    timeline: dict[str, Floats] = field(default_factory=dict)
    broken_share: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def affected(self) -> Bools:
        """Whether requests failed because of a service or of something it requires."""
        return self.first_affected_s >= 0

    @property
    def broken(self) -> Bools:
        """Whether a service broke."""
        return self.first_break_s >= 0


class Recorder:
    """Takes notes second by second; arrays are (s, path) in the order in which the world is played."""

    def __init__(self, size: int, paths: int, seconds: int, *, max_delay_s: Floats, dtype: Precision) -> None:
        self.shape, self.seconds = (size, paths), seconds
        self.timeless = np.flatnonzero(np.isfinite(max_delay_s))
        self.delay = max_delay_s[self.timeless, None]
        self.first = {k: np.full(self.shape, -1, dtype=np.int32) for k in ("overload", "break", "affected")}
        self.last_break = np.full(self.shape, -1, dtype=np.int32)
        self.count = {k: np.zeros(self.shape, dtype=np.int32) for k in ("broken", "stuck")}
        self.total = {k: np.zeros(self.shape) for k in ("rejected", "arrived", "retried", "stuck_load")}
        self.at_break = {k: np.full(self.shape, np.nan) for k in ("demand", "retries", "capacity")}
        self.worst = np.zeros(self.shape, dtype=dtype)
        self.streak = np.zeros(self.shape, dtype=np.int32)
        self.failing_before = False
        bins = -(-seconds // BIN_S)
        self.bins = {k: np.zeros((bins, len(QUANTILES), size), dtype=np.float32) for k in SERIES}
        self.broken_bins = np.zeros((bins, size), dtype=np.float32)
        self._now = {k: np.zeros(self.shape, dtype=dtype) for k in SERIES}
        self._broken_now = np.zeros(self.shape, dtype=bool)
        self._inverse = np.zeros(self.shape, dtype=dtype)

    def set_capacity(self, capacity: Array, rows: Ints | None = None) -> None:
        """Take note of capacities that changed, all or those of some services."""
        with np.errstate(divide="ignore"):
            if rows is None:
                self._inverse = np.minimum(1.0 / capacity, NOTHING_LEFT)
            elif len(rows):
                self._inverse[rows] = np.minimum(1.0 / capacity[rows], NOTHING_LEFT)

    def calm(self, t: int, demand: Array, capacity: Array) -> None:
        """Note a second in which everything that was asked was done."""
        ratio = demand * self._inverse
        ratio[self.timeless] = 0.0
        np.maximum(self.worst, ratio, out=self.worst)
        if self.failing_before:
            self.streak[:] = 0
            self.failing_before = False
        self.total["arrived"] += demand
        self._bin(t, (demand, demand, demand), capacity, None)

    def busy(
        self, t: int, *, demand: Array, capacity: Array, served: Array, answered: Array, rejected: Array,
        arrived: Array, retried: Array | None, wasted: Array, success: Array, backlog: Array, broker: Array,
        whole: Bools,
    ) -> None:  # fmt: skip
        """Note any other second; ``whole`` says which services no fault holds down."""
        ratio = np.minimum(demand * self._inverse, NOTHING_LEFT)
        if len(self.timeless):
            # What may wait is too much only when it waits too long.
            room = np.maximum(capacity[self.timeless] * self.delay, _TINY)
            ratio[self.timeless] = broker[self.timeless] / room
        np.maximum(self.worst, ratio, out=self.worst)
        over = ratio > 1.0 + _SLACK
        if over.any():
            self._first("overload", over, t)
        self._breaks(t, ratio, capacity, wasted, arrived, retried, whole, demand)
        fails = (success < 1.0 - _AFFECTED) & (arrived > _TINY)
        if fails.any():
            self._first("affected", fails, t)
        self.total["rejected"] += rejected
        self.total["arrived"] += arrived
        if retried is not None:
            self.total["retried"] += retried
        self._bin(t, (demand, served, answered), capacity, backlog)

    def _first(self, name: str, now: Bools, t: int) -> None:
        first = self.first[name]
        first[now & (first < 0)] = t

    def _breaks(
        self, t: int, ratio: Array, capacity: Array, wasted: Array, arrived: Array, retried: Array | None,
        whole: Bools, demand: Array,
    ) -> None:  # fmt: skip
        failing = (wasted > BREAK_SHARE * arrived) & (wasted > _TINY)
        if not failing.any():
            if self.failing_before:
                self.streak[:] = 0
            self.failing_before = False
            return
        self.failing_before = True
        self.streak += 1
        self.streak *= failing
        broken = self.streak >= BREAK_S
        if not broken.any():
            return
        new = broken & (self.first["break"] < 0)
        if new.any():
            self.first["break"][new] = t - BREAK_S + 1
            self.at_break["demand"][new] = ratio[new]
            self.at_break["capacity"][new] = capacity[new]
            again = np.zeros_like(arrived) if retried is None else retried
            self.at_break["retries"][new] = again[new] / np.maximum(arrived[new], _TINY)
        self.count["broken"] += broken
        np.copyto(self.last_break, t, where=broken)
        stuck = broken & (ratio < CALM) & whole[:, None]
        if stuck.any():
            self.count["stuck"] += stuck
            self.total["stuck_load"] += np.where(stuck, arrived / np.maximum(demand, _TINY), 0.0)
        self._broken_now |= broken

    def _bin(self, t: int, flows: tuple[Array, Array, Array], capacity: Array, backlog: Array | None) -> None:
        now = self._now
        if t % BIN_S == 0:
            for name, values in zip(SERIES, flows, strict=False):
                np.copyto(now[name], values)
        else:
            for name, values in zip(SERIES, flows, strict=False):
                np.maximum(now[name], values, out=now[name])
        if (t + 1) % BIN_S == 0 or t + 1 == self.seconds:
            np.copyto(now["capacity"], capacity)
            now["backlog"][:] = 0.0 if backlog is None else backlog
            self._close(t // BIN_S)

    def _close(self, at: int) -> None:
        for name, values in self._now.items():
            self.bins[name][at] = _quantiles(values)
        self.broken_bins[at] = self._broken_now.mean(axis=1)
        self._broken_now[:] = False

    def trace(self, order: Ints, *, most_instances: Ints) -> Trace:
        """Return the notes, services in their own order and futures first."""
        back = np.argsort(order)

        def own(values: NDArray[Any]) -> Any:
            return np.ascontiguousarray(values[back].T)

        stuck = np.maximum(self.count["stuck"], 1)
        return Trace(
            overloaded=own(self.first["overload"] >= 0),
            first_overload_s=own(self.first["overload"]),
            first_break_s=own(self.first["break"]),
            first_affected_s=own(self.first["affected"]),
            broken_s=own(self.count["broken"]),
            last_break_s=own(self.last_break),
            stuck_s=own(self.count["stuck"]),
            rejected=own(self.total["rejected"]),
            arrived=own(self.total["arrived"]),
            retried=own(self.total["retried"]),
            worst_ratio=own(self.worst.astype(float)),
            demand_at_break=own(self.at_break["demand"]),
            retries_at_break=own(self.at_break["retries"]),
            capacity_at_break=own(self.at_break["capacity"]),
            stuck_load=own(self.total["stuck_load"] / stuck),
            most_instances=most_instances,
            timeline={name: values[:, :, back].astype(float) for name, values in self.bins.items()},
            broken_share=self.broken_bins[:, back].astype(float),
        )


def _quantiles(values: Array) -> Array:
    """Quantiles over the futures, (quantile, s): linear between neighbours, as numpy's default."""
    ranked = np.sort(values, axis=1)
    place = np.array(QUANTILES) * (ranked.shape[1] - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, ranked.shape[1] - 1)
    share = (place - low)[:, None]
    return np.asarray(ranked[:, low].T * (1.0 - share) + ranked[:, high].T * share)
