"""Routes for Alertmanager: who is woken when, what silences what, with the intervals of this promotion's year.

Read from Alertmanager's documentation, "Configuration": intervals know years, inhibition hides symptoms behind causes.
"""

import re
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Any

import yaml

from capacity.export.source import Export, Source
from capacity.export.words import dns_name

FILE = "alertmanager.yml"
_LIMITS = ("CapacityLimitNear", "CapacityLimitAhead")
_SYMPTOMS = "CapacitySlow|CapacityErrors.*"


def export_alertmanager(source: Source) -> Export:
    """Make a whole configuration whose receivers are empty: who is reached, and how, is the company's own."""
    owners = sorted({source.services[name].owner for name in source.document["services"]} - {""})
    document = {
        "route": {
            "receiver": "watch",
            "group_by": ["alertname", "service"],
            "group_wait": "30s",
            "routes": [_promotion_route(owners)],
        },
        "inhibit_rules": list(_inhibitions(source)),
        "time_intervals": list(_intervals(source)),
        "receivers": [{"name": name} for name in ("watch", "war-room", *(_receiver(owner) for owner in owners))],
    }
    header = "".join(f"# {line}\n" for line in source.header())
    text = header + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)
    return Export(
        "alertmanager", {FILE: text},
        next_steps=(
            f"amtool check-config {FILE}",
            f"amtool config routes test --config.file={FILE} severity=page alertname=CapacityLimitReached owner=OWNER",
            "give the receivers their ways (pager, chat, mail); credentials belong into files that they name",
        ),
        warnings=("outside of the promotion's hours nothing of it is sent: its alerts do not exist then either",),
    )  # fmt: skip


def _receiver(owner: str) -> str:
    return f"owner-{dns_name(owner)}"


def _promotion_route(owners: list[str]) -> dict[str, Any]:
    of_owners = [
        {"receiver": _receiver(owner), "matchers": [f"owner={_quoted(owner)}", 'severity="page"'], "group_wait": "0s"}
        for owner in owners
    ]
    return {
        "receiver": "watch",
        "matchers": ['alertname=~"Capacity.*"'],
        "active_time_intervals": ["promotion"],
        "repeat_interval": "15m",
        "routes": [
            {"receiver": "war-room", "matchers": ['severity="page"'], "group_wait": "0s", "continue": True},
            *of_owners,
        ],
    }


def _inhibitions(source: Source) -> Iterator[dict[str, Any]]:
    names = "|".join(_LIMITS)
    yield {
        "source_matchers": ['alertname="CapacityLimitReached"'],
        "target_matchers": [f'alertname=~"{names}"'],
        "equal": ["service"],
    }
    yield {
        "source_matchers": ['alertname="CapacityBeyondSafe"'],
        "target_matchers": [f'alertname=~"{_SYMPTOMS}"'],
        "equal": ["service"],
    }
    for name in source.document["services"]:
        callers = [
            one.name
            for one in source.services.values()
            if any(call.to == name and call.is_required for call in one.calls)
        ]
        if callers:
            either = "|".join(re.escape(caller) for caller in callers)
            yield {
                "source_matchers": ['alertname="CapacityBeyondSafe"', f"service={_quoted(name)}"],
                "target_matchers": [f'alertname=~"{_SYMPTOMS}"', f"service=~{_quoted(either)}"],
            }


def _intervals(source: Source) -> Iterator[dict[str, Any]]:
    phases, zone = source.promotion.phases, source.settings.timezone
    yield {"name": "promotion", "time_intervals": list(_days(phases[0].starts_at, phases[-1].ends_at, zone))}
    for phase in phases:
        yield {
            "name": f"phase-{dns_name(phase.name)}",
            "time_intervals": list(_days(phase.starts_at, phase.ends_at, zone)),
        }
    freeze = source.promotion.freeze
    if freeze is not None:
        yield {"name": "freeze", "time_intervals": list(_days(freeze.starts_at, freeze.ends_at, zone))}


def _days(start: datetime, end: datetime, zone: str) -> Iterator[dict[str, Any]]:
    """Yield one interval a local day: Alertmanager's intervals are of days, with hours inside."""
    day = start.date()
    while day <= end.date():
        first = start.time() if day == start.date() else time()
        last = end.time() if day == end.date() else None
        if last is None or first < last:
            until = "24:00" if last is None else f"{last:%H:%M}"
            yield {
                "years": [str(day.year)], "months": [str(day.month)], "days_of_month": [str(day.day)],
                "times": [{"start_time": f"{first:%H:%M}", "end_time": until}], "location": zone,
            }  # fmt: skip
        day += timedelta(days=1)


def _quoted(text: str) -> str:
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'
