"""The promotions of the company's years, and how strong each really was."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray

from capacity.demo.parameters import KIND_SCALE, Parameters
from capacity.demo.randomness import stream

ZONE_NAME = "Asia/Shanghai"
ZONE = timezone(timedelta(hours=8))  # no change of clocks since 1991
ORIGIN = datetime(2023, 10, 1, tzinfo=ZONE)  # second 0 of every time axis in this package
LAST_DAY = datetime(2026, 11, 15, tzinfo=ZONE)
HORIZON_DAYS = (datetime(2027, 1, 1, tzinfo=ZONE) - ORIGIN).days
RECORDED_DAYS = (LAST_DAY - ORIGIN).days + 1

# kind, id, start, end: openings moved from midnight to 20:00 of the evening before.
_CALENDAR = (
    ("double11", "2023-double11", "2023-11-11T00:00", "2023-11-12T00:00"),
    ("double12", "2023-double12", "2023-12-12T00:00", "2023-12-13T00:00"),
    ("womens-day", "2024-38", "2024-03-08T00:00", "2024-03-09T00:00"),
    ("618", "2024-618", "2024-06-18T00:00", "2024-06-19T00:00"),
    ("double11", "2024-double11", "2024-11-10T20:00", "2024-11-12T00:00"),
    ("double12", "2024-double12", "2024-12-12T00:00", "2024-12-13T00:00"),
    ("womens-day", "2025-38", "2025-03-08T00:00", "2025-03-09T00:00"),
    ("618", "2025-618", "2025-06-17T20:00", "2025-06-19T00:00"),
    ("double11", "2025-double11", "2025-11-10T20:00", "2025-11-12T00:00"),
    ("double12", "2025-double12", "2025-12-11T20:00", "2025-12-13T00:00"),
    ("womens-day", "2026-38", "2026-03-07T20:00", "2026-03-09T00:00"),
    ("618", "2026-618", "2026-06-17T20:00", "2026-06-19T00:00"),
    ("double11", "2026-double11", "2026-11-10T20:00", "2026-11-12T00:00"),
    ("double12", "2026-double12", "2026-12-11T20:00", "2026-12-13T00:00"),
)


def seconds_of(moment: datetime) -> int:
    """Seconds from `ORIGIN` to a moment."""
    return round((moment - ORIGIN).total_seconds())


def moment_of(seconds: float) -> datetime:
    """Moment that many seconds after `ORIGIN`."""
    return ORIGIN + timedelta(seconds=float(seconds))


def day_text(day: int) -> str:
    """Date of a day counted from `ORIGIN`, ISO 8601.

    Examples
    --------
    >>> day_text(0), day_text(31)
    ('2023-10-01', '2023-11-01')
    """
    return (ORIGIN + timedelta(days=day)).date().isoformat()


@dataclass(frozen=True)
class Phase:
    """A named part of a promotion, in seconds from `ORIGIN`."""

    name: str
    starts_s: int
    ends_s: int


@dataclass(frozen=True)
class Event:
    """One promotion with the effects that it really had.

    The effects are on the log scale or ratios; those of the entry services and services are aligned with the
    names given to `draw_events`.
    """

    id: str
    kind: str
    starts_at: datetime
    ends_at: datetime
    intensity: float
    log_dau: float
    log_dat: float
    segment_dau: tuple[float, ...]
    segment_dat: tuple[float, ...]
    browse: float
    opening_ratio: float
    entry_ratio: dict[str, float]
    time_constants_s: tuple[float, float, float]
    before_dip: float
    waiting_dip: float
    after_dip: float
    end_share: float
    burst: float
    cold_misses: float

    @property
    def starts_s(self) -> int:
        """Start in seconds from `ORIGIN`."""
        return seconds_of(self.starts_at)

    @property
    def ends_s(self) -> int:
        """End in seconds from `ORIGIN`."""
        return seconds_of(self.ends_at)

    @property
    def is_recorded(self) -> bool:
        """Whether it lies before the end of the company's data."""
        return self.ends_s <= RECORDED_DAYS * 86400

    @property
    def days(self) -> range:
        """Local days it touches, counted from `ORIGIN`."""
        return range(self.starts_s // 86400, (self.ends_s - 1) // 86400 + 1)

    def phases(self, *, margin_s: int = 86400) -> tuple[Phase, ...]:
        """Before, opening (2 h), day, evening (the last 18:00 to 24:00), after."""
        start, end = self.starts_s, self.ends_s
        evening = end - 6 * 3600
        return (
            Phase("before", start - margin_s, start),
            Phase("opening", start, start + 7200),
            Phase("day", start + 7200, evening),
            Phase("evening", evening, end),
            Phase("after", end, end + margin_s),
        )

    def day_share(self) -> dict[int, float]:
        """Share of the full log uplift of DAU that each day around the promotion shows."""
        first, last = self.days[0], self.days[-1]
        shares = {first - 2: 0.04, first - 1: 0.15, last: 1.0, last + 1: 0.04}
        if first != last:
            shares[first] = 0.6
        return shares


def draw_events(parameters: Parameters) -> tuple[Event, ...]:
    """Draw every promotion's true effects, the coming ones like the past ones.

    Examples
    --------
    >>> from capacity.demo.parameters import draw_parameters
    >>> events = draw_events(draw_parameters(0))
    >>> len(events), events[-2].id, events[-2].is_recorded, events[-1].is_recorded
    (14, '2026-double11', True, False)
    """
    return tuple(_draw_event(parameters, *row) for row in _CALENDAR)


def _draw_event(parameters: Parameters, kind: str, name: str, starts: str, ends: str) -> Event:
    p, rng = parameters.events, stream(parameters.seed, "promotion", name)
    starts_at = datetime.fromisoformat(starts).replace(tzinfo=ZONE)
    years, scale = starts_at.year - 2023 + (starts_at.month - 11) / 12, KIND_SCALE[kind]
    intensity = round(float(np.exp(rng.normal(0, 0.08))), 2)
    shock = rng.normal(size=6)
    # DAU and DAT share most of what makes an event good or bad.
    dat_shock = 0.6 * shock[0] + 0.8 * shock[1]
    log_dau = scale * intensity * p.log_dau + scale * p.dau_growth * years + p.dau_shock * shock[0] * np.sqrt(scale)
    log_dat = scale * intensity * p.log_dat + scale * p.dat_growth * years + p.dat_shock * dat_shock * np.sqrt(scale)
    opening = p.opening_ratio * np.exp(p.opening_growth * years + p.opening_shock * shock[2])
    ratio_shock = 0.6 * shock[2] + 0.8 * rng.normal(size=len(p.entry_ratio))
    entry_ratio = {
        name: float(
            1 + (ratio - 1) * np.sqrt(scale) * np.exp(0.4 * p.opening_growth * years + 0.8 * p.opening_shock * z)
        )
        for (name, ratio), z in zip(p.entry_ratio.items(), ratio_shock, strict=True)
    }
    constants = np.asarray(p.time_constants_s) * np.exp(p.shape_shock * rng.normal(size=3))
    dips = np.exp(0.25 * rng.normal(size=3)) * scale
    return Event(
        id=name,
        kind=kind,
        starts_at=starts_at,
        ends_at=datetime.fromisoformat(ends).replace(tzinfo=ZONE),
        intensity=intensity,
        log_dau=float(max(log_dau, 0.02)),
        log_dat=float(max(log_dat, 0.10)),
        segment_dau=_floats(p.segment_shock * rng.normal(size=3)),
        segment_dat=_floats(p.segment_shock * rng.normal(size=3)),
        browse=float(p.browse * scale + p.browse_shock * shock[3]),
        opening_ratio=float(min(opening, 38.0) * (0.45 + 0.55 * scale)),
        entry_ratio=entry_ratio,
        time_constants_s=(float(constants[0]), float(constants[1]), float(constants[2])),
        before_dip=float(p.before_dip * dips[0]),
        waiting_dip=float(p.waiting_dip * np.sqrt(scale) * np.exp(0.15 * shock[4])),
        after_dip=float(p.after_dip * dips[1]),
        end_share=float(p.end_share * np.exp(0.15 * shock[5])),
        burst=float(np.exp(p.burst_shock * rng.normal())),
        cold_misses=float(rng.uniform(0.05, 0.25)),
    )


def _floats(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
