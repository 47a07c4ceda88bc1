"""Request rates of the entry services at any instant, aligned on each promotion's start."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.demo.demand import Baseline
from capacity.demo.events import Event
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream

Array = NDArray[np.float64]

_HOURS = np.array([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24.0])
_BROWSE = np.array(
    [95, 50, 25, 12, 13, 25, 50, 75, 92, 108, 115, 135, 138, 112, 108, 110, 110, 118, 150, 190, 205, 195, 145, 95.0]
)
_ORDERS = np.array(
    [80, 35, 16, 7, 8, 15, 32, 62, 95, 140, 135, 125, 122, 118, 120, 118, 112, 108, 128, 165, 185, 175, 130, 80.0]
)


@dataclass(frozen=True)
class EntryRate:
    """Requests from outside to one service: per active user, per order, and apart from both (per second)."""

    per_dau: float
    per_dat: float
    extra_qps: float
    drift: float  # growth of requests per active user, per year


def day_shapes(seed: int) -> tuple[Array, Array]:
    """Intraday shapes of browsing and of orders, 1,440 minutes plus the wrap, mean 1.

    Examples
    --------
    >>> browse, orders = day_shapes(0)
    >>> round(float(browse[:1440].mean()), 6), int(browse.argmax()) // 60 in (20, 21, 22)
    (1.0, True)
    """
    rng = stream(seed, "day shapes")
    minutes = np.arange(1441) / 60
    shapes = []
    for knots in (_BROWSE, _ORDERS):
        waves = sum(
            rng.normal(0, 0.03) * np.sin(2 * np.pi * k * minutes / 24 + rng.uniform(0, 6.28)) for k in range(1, 4)
        )
        shape = np.interp(minutes, _HOURS, knots) * np.exp(waves)
        shapes.append(shape / shape[:1440].mean())
    return shapes[0], shapes[1]


@dataclass(frozen=True)
class Rates:
    """Mean offered request rates of the entry services as functions of time.

    Orders are a baseline (day's level × intraday shape × dips) plus, for each promotion, so many extra orders spread
    over an opening spike, the body of the promotion and the rush before its end. Browsing is the baseline times an
    activity that rises before the start, plus a smaller spike.
    """

    baseline: Baseline
    events: tuple[Event, ...]
    entries: dict[str, EntryRate]
    browse_shape: Array
    order_shape: Array

    def orders(self, seconds: Array) -> Array:
        """Offered orders per second at these seconds from `ORIGIN`."""
        shape = self._shape(self.order_shape, seconds)
        rate = self._daily(self.baseline.total_dat, seconds) * shape
        for event in self._near(seconds):
            rate *= _order_dips(event, seconds)
        for event in self._near(seconds):
            rate += self._extra_orders(event, seconds, shape)
        return rate

    def visits(self, seconds: Array) -> Array:
        """Activity of visitors per second, in days' users: times `per_dau` it is a request rate without spikes."""
        rate = self._daily(self.baseline.total_dau * np.exp(self._dips()), seconds)
        rate *= self._shape(self.browse_shape, seconds)
        for event in self._near(seconds):
            rate *= 1 + (np.exp(event.log_dau + event.browse) - 1) * _activity(event, seconds)
        return rate

    def entry_rates(self, seconds: Array) -> Array:
        """Mean requests per second from outside, shape (seconds, entries)."""
        orders, visits = self.orders(seconds), self.visits(seconds)
        columns = []
        for name, entry in self.entries.items():
            growth = np.exp(entry.drift * (seconds / (365.25 * 86400) - 3))
            rate = entry.per_dau * growth * visits + entry.per_dat * orders + entry.extra_qps
            for event in self._near(seconds):
                rate = rate + entry.per_dau * growth * self._browse_spike(event, name, seconds)
            columns.append(rate)
        return np.stack(columns, axis=1)

    def event_orders(self, event: Event) -> float:
        """Orders that the promotion adds, the baseline's own apart."""
        day = event.days[-1]
        return float(self.baseline.total_dat[day] * np.expm1(event.log_dat))

    def _near(self, seconds: Array) -> Sequence[Event]:
        first, last = (float(seconds[0]), float(seconds[-1])) if len(seconds) else (0.0, -1.0)
        return [e for e in self.events if e.starts_s - 13 * 86400 <= last and e.ends_s + 16 * 86400 >= first]

    def _daily(self, values: Array, seconds: Array) -> Array:
        return np.asarray(values[(seconds // 86400).astype(np.intp)] / 86400)

    def _shape(self, shape: Array, seconds: Array) -> Array:
        return np.asarray(np.interp((seconds % 86400) / 60, np.arange(1441), shape))

    def _dips(self) -> Array:
        """Log effect on DAU of the quieter days around promotions, as users' weighted mean of the segments."""
        return np.asarray(np.where(self.baseline.event_share > 0, 0.0, self.baseline.uplift[:, 0]))

    def _extra_orders(self, event: Event, seconds: Array, shape: Array) -> Array:
        total, since = self.event_orders(event), seconds - event.starts_s
        inside = (seconds >= event.starts_s) & (seconds < event.ends_s)
        grid = np.arange(event.starts_s, event.ends_s, 60.0)
        mass = float(self._shape(self.order_shape, grid).mean()) * (event.ends_s - event.starts_s) / 86400
        opening = min(event.opening_ratio * _mean_spike_s(event) / 86400, 0.45)
        ratio = opening * 86400 / _mean_spike_s(event)
        body = (1 - opening - event.end_share) / mass
        before_end = np.clip((seconds - (event.ends_s - 7200)) / 7200, 0, 1)
        rush = event.end_share * 2 * before_end * 86400 / 7200
        return np.asarray(total / 86400 * inside * (ratio * _spike(event, since, 1.0) + body * shape + rush))

    def _browse_spike(self, event: Event, entry: str, seconds: Array) -> Array:
        ratio = event.entry_ratio.get(entry)
        since = seconds - event.starts_s
        if ratio is None or since[-1] < 0 or since[0] > 6 * 3600:
            return np.zeros(len(seconds))
        mean = float(self.baseline.total_dau[event.days[-1]] * np.exp(event.log_dau + event.browse) / 86400)
        at_start = float(self.visits(np.array([float(event.starts_s)]))[0])
        height = max(ratio * mean - at_start, 0.3 * mean)
        return np.asarray(height * _spike(event, since, 2.0))


_WEIGHTS = (0.55, 0.30, 0.15)


def _spike(event: Event, since: Array, stretch: float) -> Array:
    """Shape the opening spike: up within seconds, down on three time scales; 0 before the start and after six hours."""
    inside = (since >= 0) & (since < 6 * 3600)
    late = since[inside]
    first, second, third = event.time_constants_s
    values = np.zeros(len(since))
    values[inside] = -np.expm1(-(late + 1) / 1.5) * (
        _WEIGHTS[0] * np.exp(-late / (first * stretch))
        + _WEIGHTS[1] * np.exp(-late / (second * stretch))
        + _WEIGHTS[2] * np.exp(-late / third)
    )
    return values


def _mean_spike_s(event: Event) -> float:
    """Integral of the opening spike in seconds."""
    return float(np.dot(_WEIGHTS, event.time_constants_s))


def _activity(event: Event, seconds: Array) -> Array:
    knots = event.starts_s + np.array([-36 * 3600, -3600, -60, 0.0])
    tail = event.ends_s + np.array([0, 2 * 3600, 8 * 3600.0])
    return np.asarray(np.interp(seconds, np.r_[knots, tail], [0, 0.25, 0.45, 1, 1, 0.15, 0], left=0, right=0))


def _order_dips(event: Event, seconds: Array) -> Array:
    """Multiply in what people hold back before the promotion, and what they do not buy after it."""
    start, end = event.starts_s, event.ends_s
    before = np.interp(seconds, [start - 12 * 86400, start - 86400, start], [0, 1, 1], left=0, right=0)
    waiting = np.interp(seconds, [start - 8 * 3600, start - 1800, start], [0, 1, 1], left=0, right=0)
    before[seconds >= start] = 0
    waiting[seconds >= start] = 0
    after = np.where((seconds >= end) & (seconds < end + 15 * 86400), np.exp(-(seconds - end) / (5 * 86400)), 0)
    return np.asarray(np.exp(-event.before_dip * before - event.waiting_dip * waiting - event.after_dip * after))


def make_rates(
    parameters: Parameters, baseline: Baseline, events: tuple[Event, ...], entries: dict[str, EntryRate]
) -> Rates:
    """Bind the company's day shapes to its days, promotions and entry services."""
    browse, orders = day_shapes(parameters.seed)
    return Rates(baseline, events, entries, browse, orders)
