"""Mean request rates of the entry services at any second."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.beats import countdown, rush
from benchmarks.second_family.clock import DAY_S, HOUR_S
from benchmarks.second_family.days import Days
from benchmarks.second_family.events import Event
from benchmarks.second_family.setting import Setting, rng_of

Array = NDArray[np.float64]
_BEFORE_S = 14 * DAY_S
_AFTER_S = 20 * DAY_S


@dataclass(frozen=True)
class EntryRate:
    """Requests from outside to one entry service.

    Parameters
    ----------
    name
        Of the service.
    per_dau, per_dat
        Requests per user and day, and per order.
    extra_qps
        Bots, callbacks, jobs.
    drift
        Log growth of `per_dau` a year.
    rush
        Height of this service's own rush over that of the orders, both over their mean of the day.
    slower
        How much longer its rushes last.
    """

    name: str
    per_dau: float
    per_dat: float
    extra_qps: float
    drift: float
    rush: float
    slower: float


@dataclass(frozen=True)
class Shapes:
    """Shares of a day by its minutes, mean 1, of looking and of ordering; the second row of each is a day off."""

    looking: Array
    ordering: Array
    off: NDArray[np.bool_]


def draw_shapes(setting: Setting) -> Shapes:
    """Draw the course of a day: three humps (morning, noon, evening) on a circle, an hour later on days off.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> shapes = draw_shapes(draw_setting(0))
    >>> shapes.looking.shape, round(float(shapes.ordering[0].mean()), 6)
    ((2, 1440), 1.0)
    """
    rng = rng_of(setting, "course of the day")
    hours = np.arange(1440) / 60
    weekday = (np.arange(setting.days) + setting.clock.origin.weekday()) % 7
    rows = []
    for evening in (rng.uniform(1.0, 2.2), rng.uniform(0.8, 1.8)):
        centres = np.array([rng.uniform(9, 11), rng.uniform(12, 14), rng.uniform(19.5, 22)])
        sizes = np.array([rng.uniform(0.5, 1.1), rng.uniform(0.6, 1.2), evening])
        widths = np.array([rng.uniform(1.5, 2.5), rng.uniform(1.5, 3.0), rng.uniform(1.8, 3.2)])
        for late in (0.0, 1.0):
            distance = (hours[:, None] - centres - late + 12) % 24 - 12
            humps = (sizes * np.exp(-0.5 * (distance / widths) ** 2)).sum(axis=1) + 0.06
            rows.append(humps / humps.mean())
    return Shapes(np.array(rows[:2]), np.array(rows[2:]), np.isin(weekday, setting.market.weekend))


@dataclass(frozen=True)
class Rates:
    """Rates as functions of the second.

    Orders are the ordinary ones times 1 + uplift while a promotion is on, times what people hold back before and do
    not buy after, plus rushes. Looking follows the day's users, those whom a promotion brought crowded into the time
    in which it is on, plus countdowns and rushes of each service's own height.
    """

    setting: Setting
    days: Days
    events: Sequence[Event]
    entries: Sequence[EntryRate]
    shapes: Shapes

    def orders(self, seconds: Array) -> Array:
        """Offered orders a second."""
        day = (seconds // DAY_S).astype(np.intp)
        ordinary = self.days.ordinary_orders[day].sum(axis=1) / DAY_S
        rate = ordinary * self._course(self.shapes.ordering, seconds, day)
        near = self._near(seconds)
        for event in near:
            rate = rate * _held_back(event, seconds)
        lifted = np.ones(len(seconds))
        for event in near:
            lifted = lifted * (1 + self._uplift(event, day) * _on(event, seconds))
        rate = rate * lifted
        for event in near:
            mean = ordinary * (1 + self._uplift(event, day))
            for beat in event.beats:
                rate = rate + mean * max(beat.height - 1, 0.0) * rush(beat, seconds)
            at, share = event.sold_out
            rate = np.where((seconds >= at) & (seconds < event.ends_s), rate * (1 - share), rate)
        return np.asarray(rate)

    def entry_rates(self, seconds: Array) -> Array:
        """Mean requests a second from outside, shape (seconds, entries)."""
        day = (seconds // DAY_S).astype(np.intp)
        orders, mean = self.orders(seconds), self.days.total[day] / DAY_S
        looking = mean * self._course(self.shapes.looking, seconds, day)
        near = self._near(seconds)
        for event in near:
            looking = looking * self._crowding(event, seconds, day)
        years = (seconds / DAY_S - self.setting.as_of_day) / 365.25
        columns = []
        for entry in self.entries:
            crowd = looking
            for event in near:
                crowd = crowd + mean * (1 + event.browsing) * self._crowd(event, entry, seconds)
            columns.append(
                entry.per_dau * np.exp(entry.drift * years) * crowd + entry.per_dat * orders + entry.extra_qps
            )
        return np.stack(columns, axis=1)

    def _near(self, seconds: Array) -> list[Event]:
        first, last = float(seconds.min(initial=np.inf)), float(seconds.max(initial=-np.inf))
        return [e for e in self.events if e.starts_s - _BEFORE_S <= last and e.ends_s + _AFTER_S >= first]

    def _course(self, shape: Array, seconds: Array, day: NDArray[np.intp]) -> Array:
        minute = seconds % DAY_S / 60
        low = minute.astype(np.intp)
        part, row = minute - low, self.shapes.off[day].astype(np.intp)
        return np.asarray(shape[row, low] * (1 - part) + shape[row, (low + 1) % 1440] * part)

    def _uplift(self, event: Event, day: NDArray[np.intp]) -> Array:
        """Orders that an hour of the promotion adds, as a ratio, by the day's weight and the mix of segments."""
        share = self.days.ordinary_orders[event.first_day]
        mix = float(np.average(np.exp(np.asarray(event.segment_orders)), weights=share))
        weight = np.zeros(self.setting.days)
        weight[list(event.days)] = event.day_weight
        return np.asarray(event.orders * mix * weight[day])

    def _crowding(self, event: Event, seconds: Array, day: NDArray[np.intp]) -> Array:
        """Crowd the users that the promotion brought into its hours; let everybody look at more while it is on."""
        crowding = np.ones(len(seconds))
        for one in np.unique(day):
            if one not in event.days:
                continue
            inside = day == one
            minutes = one * DAY_S + 60.0 * np.arange(1440)
            weight = self._course(self.shapes.looking, minutes, np.full(1440, one))
            brought = float(self.days.brought[one])
            norm = float((weight * _presence(event, minutes)).mean())
            crowding[inside] = 1 - brought + brought * _presence(event, seconds[inside]) / norm
        return np.asarray(crowding * (1 + event.browsing * _on(event, seconds)))

    def _crowd(self, event: Event, entry: EntryRate, seconds: Array) -> Array:
        total = np.zeros(len(seconds))
        if entry.per_dau == 0:
            return total
        for beat in event.beats:
            if beat.at_s - 300 <= seconds[-1] and beat.at_s + 4 * HOUR_S >= seconds[0]:
                height = max((beat.height - 1) * entry.rush, 0.0)
                total += height * np.maximum(rush(beat, seconds, slower=entry.slower), countdown(beat, seconds))
        return total


def _on(event: Event, seconds: Array) -> Array:
    """Give 1 while the promotion is on, more in its last two hours, 0 outside."""
    inside = (seconds >= event.starts_s) & (seconds < event.ends_s)
    last = np.clip(1 - (event.ends_s - seconds) / (2 * HOUR_S), 0, 1)
    return np.asarray(inside * (1 + event.rush * last**2))


def _presence(event: Event, seconds: Array) -> Array:
    """Presence of those whom the promotion brings, inside a day: few before the start, all while it is on."""
    knots = [event.starts_s - 6 * HOUR_S, event.starts_s - 600, event.starts_s, event.ends_s, event.ends_s + HOUR_S]
    return np.interp(seconds, knots, [0.15, 0.5, 1.0, 1.0, 0.1])


def _held_back(event: Event, seconds: Array) -> Array:
    """Factor of ordinary orders: those kept for the start, and those not needed any more, back by a power of time."""
    to_start = (event.starts_s - seconds) / DAY_S
    since_end = (seconds - event.ends_s) / DAY_S
    before = np.where(to_start > 0, np.clip(1 - to_start / 14, 0, 1) ** 2, 0.0)
    waiting = np.where(to_start > 0, np.clip(1 - to_start * 24 / 10, 0, 1) ** 2, 0.0)
    after = np.where(since_end >= 0, (1 + since_end.clip(0) / 2.5) ** -1.2, 0.0)
    return np.asarray(np.exp(-event.dip * before - event.wait * waiting) * (1 - min(event.tail, 0.8) * after))
