"""Promotions: how strong each truly is, what it does to each day, and at which instants people come at once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.beats import Beat, Crowd, draw_beats, draw_crowd
from benchmarks.second_family.calendars import Kind
from benchmarks.second_family.clock import DAY_S, HOUR_S
from benchmarks.second_family.noise import gamma_factor
from benchmarks.second_family.setting import Setting, rng_of
from capacity.demo.randomness import log_uniform

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Habits:
    """What holds for all promotions of a company.

    Parameters
    ----------
    dau, conversion
        Largest uplift of users and of orders per user at a promotion of strength and depth 1 (1.0 is +100 %).
    saturation
        How fast uplift saturates with depth.
    yearly
        Log growth of the uplift a year, by kind: promotions tire or take hold.
    dau_spread, order_spread
        Coefficient of variation of the uplift between promotions.
    opening
        Largest second of the orders at an opening over their mean of the day, at strength 1 in the year of planning.
    opening_yearly, opening_spread
        Its log growth a year, and its coefficient of variation between promotions.
    wait, dip, tail
        Depth of the last hours before, of the days before, and of the days after.
    presale
        Whether deposits are taken in the days before.
    browsing
        Requests a user adds on the promotion, as a share.
    rush
        Height of the last two hours.
    crowd
        How people rush.
    tells_intensity
        Whether anybody wrote down how deep an offer was.
    """

    dau: float
    conversion: float
    saturation: float
    yearly: dict[str, float]
    dau_spread: float
    order_spread: float
    opening: float
    opening_yearly: float
    opening_spread: float
    wait: float
    dip: float
    tail: float
    presale: bool
    browsing: float
    rush: float
    crowd: Crowd
    tells_intensity: bool


@dataclass(frozen=True)
class Event:
    """One promotion as it truly is, times in seconds from the origin, effects as ratios to an ordinary day.

    `day_weight` is the share of the uplift of orders that an hour of each day shows, `day_presence` that of the uplift
    of users that the day shows: less on an evening that is all of its day.
    """

    id: str
    kind: Kind
    starts_s: int
    ends_s: int
    told_intensity: float | None
    dau: float
    orders: float
    segment_dau: tuple[float, ...]
    segment_orders: tuple[float, ...]
    day_weight: tuple[float, ...]
    day_presence: tuple[float, ...]
    browsing: float
    wait: float
    dip: float
    tail: float
    presale_days: int
    rush: float
    beats: tuple[Beat, ...]
    sold_out: tuple[int, float]
    burst: float
    cold_misses: float

    @property
    def first_day(self) -> int:
        """Day of the start."""
        return self.starts_s // DAY_S

    @property
    def days(self) -> range:
        """Local days it touches."""
        return range(self.first_day, (self.ends_s - 1) // DAY_S + 1)

    def is_played(self, recorded_days: int) -> bool:
        """Whether it has an opening and lies inside the tables."""
        return self.kind.script != "quiet" and self.starts_s >= 6 * HOUR_S and self.ends_s <= recorded_days * DAY_S


def draw_habits(setting: Setting) -> Habits:
    """Draw what holds for all promotions of the company."""
    rng = rng_of(setting, "habits")
    return Habits(
        dau=rng.uniform(0.2, 0.9),
        conversion=rng.uniform(0.9, 3.0),
        saturation=rng.uniform(0.5, 2.5),
        yearly={kind.name: float(rng.normal(0, 0.10)) for kind in setting.market.kinds},
        dau_spread=rng.uniform(0.06, 0.16),
        order_spread=rng.uniform(0.08, 0.20),
        opening=log_uniform(rng, 5, 25),
        opening_yearly=float(rng.normal(0.02, 0.06)),
        opening_spread=rng.uniform(0.10, 0.25),
        wait=rng.uniform(0.2, 1.1),
        dip=rng.uniform(0.03, 0.25),
        tail=rng.uniform(0.05, 0.35),
        presale=bool(rng.random() < 0.35),
        browsing=rng.uniform(0.05, 0.45),
        rush=rng.uniform(0.2, 1.2),
        crowd=draw_crowd(rng),
        tells_intensity=bool(rng.random() < 0.65),
    )


def draw_events(setting: Setting, habits: Habits, segments: int) -> tuple[Event, ...]:
    """Draw every promotion that touches the drawn days, the one to plan like the others, in time order.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> setting = draw_setting(0)
    >>> ids = [event.id for event in draw_events(setting, draw_habits(setting), 2)]
    >>> target_id(setting) in ids, ids == sorted(ids, key=lambda name: name[:7])
    (True, True)
    """
    found = []
    for kind in setting.market.kinds:
        for starts, ends in kind.dates:
            first, last = setting.clock.second_of(starts), setting.clock.second_of(ends)
            if first >= 0 and last <= setting.days * DAY_S:
                found.append(_draw_event(setting, habits, kind, event_id(kind, starts), first, last, segments))
    return tuple(sorted(found, key=lambda event: event.starts_s))


def event_id(kind: Kind, starts: str) -> str:
    """Name of one occurrence: month and kind."""
    return f"{starts[:7]}-{kind.name}"


def target_id(setting: Setting) -> str:
    """Id of the promotion to plan."""
    kind, starts, _ = setting.target
    return event_id(kind, starts)


def _draw_event(
    setting: Setting, habits: Habits, kind: Kind, name: str, starts_s: int, ends_s: int, segments: int
) -> Event:
    rng = rng_of(setting, "promotion", name)
    depth = float(np.exp(rng.normal(0, 0.12)))
    told = round(depth * float(np.exp(rng.normal(0, 0.04))), 2) if habits.tells_intensity else None
    years = (starts_s / DAY_S - setting.as_of_day) / 365.25
    size = kind.strength * np.exp(habits.yearly[kind.name] * years)
    saturated = -np.expm1(-habits.saturation * depth) / -np.expm1(-habits.saturation)
    shock = rng.normal(size=3)
    # What makes an event good for visits makes it good for orders too, mostly.
    shared = 0.6 * shock[0] + 0.8 * shock[1]
    robbed = rng.uniform(0.55, 0.85) if rng.random() < 0.10 else 1.0  # a rival, or an own sale just before
    dau = habits.dau * size * saturated * gamma_factor(rng, variation=habits.dau_spread, normal=float(shock[0]))
    conversion = habits.conversion * size * saturated
    conversion *= gamma_factor(rng, variation=habits.order_spread, normal=float(shared))
    opening = 1 + (habits.opening - 1) * kind.strength**0.7 * np.exp(habits.opening_yearly * years)
    opening = 1 + float(opening - 1) * gamma_factor(
        rng, variation=habits.opening_spread, normal=float(shock[2]), wide=0.1
    )
    deposits = habits.presale and kind.strength >= 0.7
    sold_out = (starts_s + int(rng.uniform(1, 20) * HOUR_S), rng.uniform(0.1, 0.4)) if rng.random() < 0.2 else None
    weight = _day_weights(rng, kind.script, starts_s, ends_s)
    varied = np.exp(0.2 * rng.normal(size=5)) * kind.strength
    return Event(
        id=name,
        kind=kind,
        starts_s=starts_s,
        ends_s=ends_s,
        told_intensity=told,
        dau=float(dau * robbed),
        orders=float((1 + dau * robbed) * (1 + conversion * robbed) - 1),
        segment_dau=_floats(rng.normal(size=segments) * 0.05),
        segment_orders=_floats(rng.normal(size=segments) * 0.06),
        day_weight=_floats(weight),
        day_presence=_floats(weight * _part_of_day(rng, starts_s, ends_s)),
        browsing=float(habits.browsing * varied[0]),
        wait=float(habits.wait * varied[1]),
        dip=float(habits.dip * varied[2] * (1.8 if deposits else 1.0)),
        tail=float(habits.tail * varied[3]),
        presale_days=int(rng.integers(5, 11)) if deposits else 0,
        rush=float(habits.rush * varied[4]),
        # With deposits paid before, all balances fall due at the first second.
        beats=draw_beats(
            rng, habits.crowd, kind.script, starts_s, ends_s, opening=opening * (1.3 if deposits else 1.0)
        ),
        sold_out=sold_out or (ends_s, 0.0),
        burst=float(np.exp(rng.normal(0, 0.15))),
        cold_misses=rng.uniform(0.0, 0.06),
    )


def _day_weights(rng: np.random.Generator, script: str, starts_s: int, ends_s: int) -> Array:
    """Share of the uplift that each day shows while the promotion is on."""
    days = np.arange((ends_s - 1) // DAY_S - starts_s // DAY_S + 1)
    noise = np.exp(0.08 * rng.normal(size=len(days)))
    weight: NDArray[np.floating[Any]] = np.ones(len(days))
    if script == "two-wave":
        weight = rng.uniform(0.2, 0.45) + 0.75 * np.exp(-days / rng.uniform(0.8, 1.6))
        weight[-2:] = rng.uniform(0.5, 0.9), rng.uniform(0.9, 1.2)
    elif script == "festival":
        weight = (1.0 + days) ** -float(rng.uniform(0.2, 0.7))
        last = rng.uniform(0.5, 0.9)
        # One that ends in the small hours has its last rush the evening before.
        final = slice(-2, None) if 0 < ends_s % DAY_S <= 6 * HOUR_S else slice(-1, None)
        weight[final] = np.maximum(weight[final], last)
    return np.asarray(weight * noise)


def _part_of_day(rng: np.random.Generator, starts_s: int, ends_s: int) -> Array:
    """How much of a day's users a first evening or a last night brings."""
    part = np.ones((ends_s - 1) // DAY_S - starts_s // DAY_S + 1)
    evening, night = rng.uniform(0.4, 0.8), rng.uniform(0.15, 0.35)
    part[0] = evening if starts_s % DAY_S else 1.0
    part[-1] *= night if 0 < ends_s % DAY_S <= 6 * HOUR_S else 1.0
    return part


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
