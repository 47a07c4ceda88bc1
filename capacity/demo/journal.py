"""The journal of the promotion that the company has just lived through."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from capacity.demo.events import Event, moment_of
from capacity.demo.fleet import Night
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream

_KEYS = ("id", "at", "recorded_at", "kind", "service", "who", "text", "ref", "corrects")
_Row = tuple[datetime, str, str | None, str, str, str | None]


def write_journal(
    parameters: Parameters, event: Event, night: Night, *, peaks: Mapping[str, float], rejected: int
) -> str:
    """Write the journal of one promotion as JSON lines.

    Parameters
    ----------
    parameters, event, night
        The company, the promotion and what was run for it.
    peaks
        Largest second by service.
    rejected
        Orders that the limit at checkout turned away.

    Returns
    -------
    str
        One line an entry, in the order in which they were recorded.
    """
    rng = stream(parameters.seed, "journal", event.id)
    rows = [
        *_preparation(event, night),
        *_opening(event, night, peaks, rejected),
        *_incidents(event, rng.uniform(0.7, 1.6, 8)),
    ]
    rows += _afterwards(event)
    rows.sort(key=lambda row: row[0])
    lines, numbers = [], iter(range(1, len(rows) + 2))
    for at, kind, service, who, text, ref in rows:
        late = timedelta(seconds=int(rng.integers(2, 90)))
        lines.append(_line(event, next(numbers), at, at + late, kind, service, who, text, ref, None))
    wrong = next(k for k, row in enumerate(rows) if row[1] == "mitigated")
    at = rows[wrong][0] - timedelta(minutes=2)
    said_at = rows[-1][0] + timedelta(minutes=20)
    said = f"Mitigated two minutes earlier than noted: traffic was already shifted at {at:%H:%M}."
    first = f"{event.id}-{wrong + 1:04d}"
    lines.append(
        _line(
            event, next(numbers), at, said_at, "mitigated", rows[wrong][2], rows[wrong][3], said, rows[wrong][5], first
        )
    )
    return "\n".join(lines) + "\n"


def _line(
    event: Event, number: int, at: datetime, recorded_at: datetime, kind: str, service: str | None, who: str, text: str,
    ref: str | None, corrects: str | None,
) -> str:  # fmt: skip
    values = (f"{event.id}-{number:04d}", _iso(at), _iso(recorded_at), kind, service, who, text, ref, corrects)
    known = {key: value for key, value in zip(_KEYS, values, strict=True) if value is not None}
    return json.dumps(known, ensure_ascii=False)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _preparation(event: Event, night: Night) -> list[_Row]:
    start, counts = event.starts_at, night.instances
    day = timedelta(days=1)
    return [
        (start - 6 * day, "drill", "checkout", "zhao.lei", "Zone-loss drill in the pre-peak hour: passed, 41 s to even load.", None),
        (start - 5 * day, "drill", "payco-gateway", "sun.yue", "Payment fallback drill: failed, the switch needs a restart.", None),
        (start - 3 * day, "scale", "checkout", "zhao.lei", f"checkout to {counts['checkout']} instances.", None),
        (start - 3 * day + timedelta(minutes=25), "scale", "catalog-cache", "he.min",
         f"catalog-cache to {counts['catalog-cache']} instances, warmed.", None),
        (start - 2 * day, "scale", "product-detail", "wu.tong", f"product-detail to {counts['product-detail']} instances.", None),
        (start - 27 * timedelta(hours=1), "change", "coupon", "li.na", "coupon 2026.11.1: new stacking rules deployed.", "CHG-4471"),
        (start - timedelta(hours=7), "exception", "promotion-engine", "zhao.lei",
         "Exception granted for a price fix in promotion-engine.", "CHG-4480"),
        (start - timedelta(hours=6, minutes=30), "change", "promotion-engine", "chen.bo",
         "promotion-engine 2026.11.2: price rounding fixed.", "CHG-4480"),
    ]  # fmt: skip


def _opening(event: Event, night: Night, peaks: Mapping[str, float], rejected: int) -> list[_Row]:
    start, limit = event.starts_at, night.limit_qps or 0.0
    off = night.off
    rows: list[_Row] = [
        (start - timedelta(hours=2), "limit_change", "checkout", "zhao.lei", f"Cluster limit of checkout set to {limit:.0f}/s.", None),
        (moment_of(off["recommendations"][0]), "degrade_on", "recommend", "wang.fang", "rec_off on: recommendations.", "recommendations"),
        (start + timedelta(seconds=40), "note", "checkout", "zhao.lei",
         f"Opening: {peaks['checkout']:.0f} submissions in the largest second so far.", None),
        (moment_of(off["similar-items"][0]), "degrade_on", "recommend", "wang.fang", "sim_off on: similar items.", "similar-items"),
        (moment_of(off["recommendations"][1]), "degrade_off", "recommend", "wang.fang", "rec_off off: recommendations back.", "recommendations"),
        (start + timedelta(hours=2), "limit_change", "checkout", "zhao.lei", f"Limit of checkout back to {2 * limit:.0f}/s.", None),
    ]  # fmt: skip
    if rejected:
        at, text = start + timedelta(seconds=25), f"checkout turned requests away at its limit; {rejected} by 20:10."
        rows.append(
            (
                at,
                "alert",
                "checkout",
                "alertmanager",
                text.replace("20:10", f"{start + timedelta(minutes=10):%H:%M}"),
                None,
            )
        )
    return rows


def _incidents(event: Event, pace: NDArray[np.float64]) -> list[_Row]:
    p = [float(value) for value in pace]
    first = event.starts_at + timedelta(minutes=3)
    second = event.ends_at - timedelta(hours=3, minutes=12)

    def after(moment: datetime, minutes: float) -> datetime:
        return moment + timedelta(seconds=round(60 * minutes))

    one, two = "INC-1", "INC-2"
    rows: list[_Row] = [
        (first, "incident_start", "coupon", "li.na", "Coupon lookups slow: cold index after the deploy of the day before.", one),
        (after(first, 1.5 * p[0]), "alert", "coupon", "alertmanager", "coupon p95 above its objective for 60 s.", one),
        (after(first, 2.0 * p[0]), "detected", "coupon", "li.na", "Seen on the dashboard of the war room.", one),
        (after(first, 2.0 * p[0] + 3 * p[1]), "acknowledged", "coupon", "li.na", "On it.", one),
        (after(first, 2.0 * p[0] + 3 * p[1] + 9 * p[2]), "mitigated", "coupon", "li.na", "Traffic shifted to zone b, index warmed.", one),
        (after(first, 2.0 * p[0] + 3 * p[1] + 9 * p[2] + 20 * p[3]), "resolved", "coupon", "li.na", "p95 back to normal.", one),
        (second, "incident_start", "payco-gateway", "sun.yue", "Payment callbacks of one bank time out.", two),
        (after(second, 4 * p[4]), "detected", "payco-gateway", "sun.yue", "Reported by customer service, no alert.", two),
        (after(second, 4 * p[4] + 2 * p[5]), "acknowledged", "payco-gateway", "sun.yue", "Called payco's duty line.", two),
        (after(second, 4 * p[4] + 2 * p[5] + 14 * p[6]), "mitigated", "payco-gateway", "sun.yue", "Bank hidden from the pay page.", two),
        (after(second, 4 * p[4] + 2 * p[5] + 14 * p[6] + 40 * p[7]), "resolved", "payco-gateway", "sun.yue", "Bank back.", two),
    ]  # fmt: skip
    return rows


def _afterwards(event: Event) -> list[_Row]:
    end = event.ends_at
    return [
        (end + timedelta(hours=1), "note", None, "zhao.lei", "War room closed.", None),
        (end + timedelta(hours=11), "scale", "checkout", "zhao.lei", "checkout back to its ordinary instances.", None),
        (end + timedelta(hours=15), "action", "coupon", "li.na", "Warm coupon's index before any deploy. Due 2026-12-01.", "INC-1"),
        (end + timedelta(hours=15, minutes=5), "action", "payco-gateway", "sun.yue", "Alert on callbacks per bank. Due 2026-12-05.", "INC-2"),
        (end + timedelta(hours=15, minutes=9), "action", "payco-gateway", "", "Make the payment fallback switch work without a restart.", None),
    ]  # fmt: skip
