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
_Row = tuple[datetime, str, str | None, str | None, str, str | None]


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
    event: Event, number: int, at: datetime, recorded_at: datetime, kind: str, service: str | None, who: str | None,
    text: str, ref: str | None, corrects: str | None,
) -> str:  # fmt: skip
    values = (f"{event.id}-{number:04d}", _iso(at), _iso(recorded_at), kind, service, who, text, ref, corrects)
    known = {key: value for key, value in zip(_KEYS, values, strict=True) if value is not None}
    return json.dumps(known, ensure_ascii=False)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _preparation(event: Event, night: Night) -> list[_Row]:
    start, counts = event.starts_at, night.instances
    day, hour = timedelta(days=1), timedelta(hours=1)
    rows = (
        (
            6 * day,
            "drill",
            "checkout",
            "zhao.lei",
            "Zone-loss drill before the peak hour: passed, 41 s.",
            None,
        ),
        (
            5 * day,
            "drill",
            "payco-gateway",
            "sun.yue",
            "Payment fallback drill: failed, switch needs restart.",
            None,
        ),
        (3.1 * day, "scale", "checkout", "zhao.lei", f"checkout to {counts['checkout']} instances.", None),
        (3 * day, "scale", "catalog-cache", "he.min", f"catalog-cache to {counts['catalog-cache']}, warmed.", None),
        (2.9 * day, "scale", "product-detail", "wu.tong", f"product-detail to {counts['product-detail']}.", None),
        (27 * hour, "change", "coupon", "li.na", "coupon 2026.11.1: new stacking rules deployed.", "CHG-4471"),
        (7 * hour, "exception", "promotion-engine", "zhao.lei", "Exception granted for a price fix.", "CHG-4480"),
        (
            6.5 * hour,
            "change",
            "promotion-engine",
            "chen.bo",
            "2026.11.2: rounding of prices fixed.",
            "CHG-4480",
        ),
    )
    return [(start - before, *rest) for before, *rest in rows]


def _opening(event: Event, night: Night, peaks: Mapping[str, float], rejected: int) -> list[_Row]:
    start, limit = event.starts_at, night.limit_qps or 0.0
    ten = start + timedelta(minutes=10)
    largest = f"Opening: {peaks['checkout']:.0f} submissions in the largest second so far."
    rows: list[_Row] = [
        (
            start - timedelta(hours=2),
            "limit_change",
            "checkout",
            "zhao.lei",
            f"Limit set to {limit:.0f}/s.",
            None,
        ),
        (start + timedelta(seconds=40), "note", "checkout", "zhao.lei", largest, None),
        (
            start + timedelta(hours=2),
            "limit_change",
            "checkout",
            "zhao.lei",
            f"Limit stays at {limit:.0f}/s.",
            None,
        ),
    ]
    switches = {"recommendations": "rec_off", "similar-items": "sim_off"}
    for feature, (first, last) in night.off.items():
        switch = switches[feature]
        rows.append((moment_of(first), "degrade_on", "recommend", "wang.fang", f"{switch} on: {feature}.", feature))
        if last < event.ends_s + 14 * 86400:  # the other one was forgotten
            rows.append(
                (moment_of(last), "degrade_off", "recommend", "wang.fang", f"{switch} off: {feature}.", feature)
            )
    if rejected:
        text = f"checkout turns requests away at its limit; {rejected} by {ten:%H:%M}."
        rows.append((ten, "alert", "checkout", "alertmanager", text, None))
    return rows


def _incidents(event: Event, pace: NDArray[np.float64]) -> list[_Row]:
    kinds = ("incident_start", "detected", "acknowledged", "mitigated", "resolved")
    stories = (
        (
            *("INC-1", "coupon", "li.na", event.starts_at + timedelta(minutes=3), (2, 3, 9, 20)),
            (
                "Coupon lookups slow: cold index after the deploy of the day before.",
                "Seen on the dashboard of the war room.",
                "On it.",
                "Traffic shifted to zone b, index warmed.",
                "p95 back to normal.",
            ),
        ),
        (
            *("INC-2", "payco-gateway", "sun.yue", event.ends_at - timedelta(minutes=192), (4, 2, 14, 40)),
            (
                "Payment callbacks of one bank time out.",
                "Reported by customer service, no alert.",
                "Called payco's duty line.",
                "Bank hidden from the pay page.",
                "Bank back.",
            ),
        ),
    )
    rows: list[_Row] = []
    for k, (name, service, who, start, minutes, texts) in enumerate(stories):
        late = np.concatenate([[0.0], np.cumsum(np.asarray(minutes) * pace[4 * k : 4 * k + 4])])
        moments = [start + timedelta(seconds=round(60 * float(value))) for value in late]
        rows += [(at, kind, service, who, text, name) for at, kind, text in zip(moments, kinds, texts, strict=True)]
    alert = rows[1][0] - timedelta(seconds=20)
    rows.append((alert, "alert", "coupon", "alertmanager", "coupon p95 above its objective for 60 s.", "INC-1"))
    return rows


def _afterwards(event: Event) -> list[_Row]:
    rows = (
        (60, "note", None, "zhao.lei", "War room closed.", None),
        (660, "scale", "checkout", "zhao.lei", "checkout back to its ordinary instances.", None),
        (900, "action", "coupon", "li.na", "Warm coupon's index before any deploy. Due 2026-12-01.", "INC-1"),
        (905, "action", "payco-gateway", "sun.yue", "Alert on callbacks per bank. Due 2026-12-05.", "INC-2"),
        (909, "action", "payco-gateway", None, "Make the fallback switch work without a restart.", None),
    )
    return [(event.ends_at + timedelta(minutes=minutes), *rest) for minutes, *rest in rows]
