"""Instants at which many come at once: openings, coupons by the hour, goods shown live; and the shape of each rush."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.clock import DAY_S, HOUR_S

Array = NDArray[np.float64]
REACH_S = 4 * HOUR_S  # a rush is over, whatever its shape


@dataclass(frozen=True)
class Beat:
    """One rush.

    Parameters
    ----------
    at_s
        Its instant, in seconds from the origin.
    height
        Its largest rate over the mean rate of that day.
    shape
        ``gamma`` or ``power``.
    scale_s, form
        Time to the top and exponent of the gamma; or seconds until the power law sets in and its exponent.
    refresh
        Reloads of the page in the last minutes before, as a share of the height.
    """

    at_s: int
    height: float
    shape: str
    scale_s: float
    form: float
    refresh: float


def rush(beat: Beat, seconds: Array, *, slower: float = 1.0) -> Array:
    r"""Shape of a rush, 0 to 1, before its instant and `REACH_S` after it 0.

    With x the seconds since the instant over `scale_s`: the gamma is :math:`(x e^{1 - x})^{k - 1}`; the power law rises
    as :math:`1 - e^{-6x}` and falls as :math:`(1 + x)^{-p}`, as attention does after a shock from outside (Crane and
    Sornette 2008), brought to 1 at its top. In the last hours of its reach either is led to 0.

    Parameters
    ----------
    beat
        The rush.
    seconds
        From the origin.
    slower
        Stretches the time: looking lasts longer than buying.

    Examples
    --------
    >>> beat = Beat(100, 5.0, "gamma", 10.0, 2.0, 0.0)
    >>> [round(float(v), 3) for v in rush(beat, np.array([99.0, 109.5, 159.5]))]
    [0.0, 0.999, 0.04]
    """
    since = seconds - beat.at_s
    values = np.zeros(len(seconds))
    inside = (since >= 0) & (since < REACH_S)
    x = (since[inside] + 0.5) / (beat.scale_s * slower)
    if beat.shape == "gamma":
        values[inside] = (x * np.exp(1 - x)) ** (beat.form - 1)
    else:
        top = _power(np.linspace(0.0, 4.0, 801), beat.form).max()
        values[inside] = _power(x, beat.form) / top
    values[inside] *= 1 - since[inside] / REACH_S
    return values


def _power(x: Array, exponent: float) -> Array:
    return np.asarray(-np.expm1(-6 * x) * (1 + x) ** -exponent)


def countdown(beat: Beat, seconds: Array) -> Array:
    """Give the reloads of the last five minutes before, which rise as a power of the time that is left."""
    left = beat.at_s - seconds
    values = np.zeros(len(seconds))
    inside = (left > 0) & (left <= 300)
    values[inside] = beat.refresh * (1 + left[inside] / 8) ** -1.2
    return values


@dataclass(frozen=True)
class Crowd:
    """How the people of one company rush, alike from promotion to promotion.

    Parameters
    ----------
    shape, scale_s, form, refresh
        Of its rushes; see `Beat`.
    hours
        When coupons fall on large days.
    coupon
        Height of those rushes over that of the opening.
    live
        Whether hosts show goods live between 20:00 and 22:00.
    """

    shape: str
    scale_s: float
    form: float
    refresh: float
    hours: tuple[int, ...]
    coupon: float
    live: bool


def draw_crowd(rng: np.random.Generator) -> Crowd:
    """Draw a crowd: gamma (top after 10 … 90 s) or power law (from 30 … 240 s on), coupons at some of five hours.

    So one to fifteen minutes' worth of the largest rate come in a rush; at Double 11 of 2018, 4.7 % of the day's sales
    came in the first 125 s and about a third in the first hour.
    """
    gamma = bool(rng.random() < 0.5)
    return Crowd(
        shape="gamma" if gamma else "power",
        scale_s=rng.uniform(10, 90) if gamma else rng.uniform(30, 240),
        form=rng.uniform(1.05, 1.35) if gamma else rng.uniform(0.8, 1.6),
        refresh=rng.uniform(0.0, 0.6),
        hours=tuple(hour for hour in (0, 8, 12, 18, 20) if rng.random() < 0.55),
        coupon=rng.uniform(0.05, 0.45),
        live=bool(rng.random() < 0.4),
    )


def draw_beats(
    rng: np.random.Generator, crowd: Crowd, script: str, starts_s: int, ends_s: int, *, opening: float
) -> tuple[Beat, ...]:
    """Draw the rushes of one promotion.

    Parameters
    ----------
    rng
        Stream of the promotion.
    crowd
        Of the company.
    script, starts_s, ends_s
        Of the promotion.
    opening
        Height of the opening.

    Returns
    -------
    tuple of Beat
        The opening; coupons at the crowd's hours of the large days, at 20:00 of the ordinary days of a long promotion
        (a third as high); a second opening (40 … 115 %) where there is one; ten to thirty goods shown live (a fifth
        to all of a coupon's height, gone in a minute).
    """
    if script == "quiet":
        return ()
    beats = [_beat(rng, crowd, starts_s, opening)]
    last = (ends_s - 1) // DAY_S * DAY_S
    first = -(-starts_s // DAY_S) * DAY_S
    large = {last} if script in ("evening", "flash") else {first, last}
    if script == "two-wave":
        beats.append(_beat(rng, crowd, last - 4 * HOUR_S, opening * rng.uniform(0.4, 1.15)))
    for midnight in range(first, last + 1, DAY_S):
        hours, share = (crowd.hours, crowd.coupon) if midnight in large else ((20,), crowd.coupon / 3)
        heights = opening * share * np.exp(0.3 * rng.normal(size=len(hours)))
        instants = [midnight + hour * HOUR_S for hour in hours]
        beats += [_beat(rng, crowd, at, float(h)) for at, h in zip(instants, heights, strict=True) if _free(beats, at)]
    if crowd.live:
        beats += _live(rng, (starts_s + 4 * HOUR_S) // DAY_S * DAY_S + 20 * HOUR_S, opening * crowd.coupon)
    return tuple(beat for beat in beats if starts_s <= beat.at_s < ends_s)


def _free(beats: list[Beat], at_s: int) -> bool:
    return all(abs(beat.at_s - at_s) >= HOUR_S for beat in beats)


def _beat(rng: np.random.Generator, crowd: Crowd, at_s: int, height: float) -> Beat:
    scale, refresh = np.exp(rng.normal(size=2) * np.array([0.2, 0.4]))
    vary = float(np.exp(0.15 * rng.normal()))
    form = 1 + (crowd.form - 1) * vary if crowd.shape == "gamma" else crowd.form * vary
    return Beat(at_s, height, crowd.shape, crowd.scale_s * float(scale), form, crowd.refresh * float(refresh))


def _live(rng: np.random.Generator, at_s: int, coupon: float) -> list[Beat]:
    count = int(rng.integers(10, 31))
    instants = at_s + np.sort(rng.integers(0, 2 * HOUR_S, count))
    heights = coupon * rng.uniform(0.2, 1.0, count)
    return [
        Beat(int(instant), float(height), "gamma", rng.uniform(8, 30), rng.uniform(1.5, 2.5), 0.0)
        for instant, height in zip(instants, heights, strict=True)
    ]
