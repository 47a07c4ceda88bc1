"""The files a person of the company would have written: settings, promotions, load tests."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from capacity.demo.estimates import Estimate, Memory
from capacity.demo.events import Event
from capacity.demo.loadtests import Run

_NAMES = {"double11": "Double 11", "618": "the mid-year sale", "double12": "Double 12", "womens-day": "women's day"}

SETTINGS = """\
# Settings of this workspace. Times without an offset in any file are in this zone.
timezone = "Asia/Shanghai"
currency = "CNY"
country = "CN"                        # holiday calendar
engine = "duckdb"

[risk]
overload_probability = 0.05           # that any core service is overloaded in the promotion, jointly
non_core_overload_probability = 0.2
zone_losses = 1                       # zones that may be lost at the peak
utilization_ceiling = 1.0             # 1.0 leaves safety to the lines above
"""

OPERATIONS = """\
# How the company works around a promotion; docs/formats.md explains every key.
changes:
  release: {in_freeze: by_exception, approver: zhao.lei, escalation: [chen.min], accountable: platform-team,
            rule: "canary of one zone for 30 min, rollback rehearsed"}
  data_migration: {in_freeze: never, approver: chen.min, accountable: dba-team, rule: "never in a freeze"}
  emergency_scaling: {in_freeze: allowed, approver: zhao.lei, accountable: platform-team,
                      rule: "within the quota of services.yaml, written into the journal"}
  hot_fix: {in_freeze: by_exception, approver: zhao.lei, escalation: [chen.min], accountable: trade-team,
            rule: "two reviewers, one of them on duty"}
freeze: {hours_before: 24, hours_after: 0}
roster:
  - {person: wang.fang, role: duty lead, contact: "5550 0101", starts_at: 2026-11-09T20:00, ends_at: 2026-11-10T08:00}
  - {person: li.wei, role: duty lead, contact: "5550 0102", starts_at: 2026-11-10T08:00, ends_at: 2026-11-10T20:00}
  - {person: zhao.lei, role: opening, contact: "5550 0103", starts_at: 2026-11-10T19:00, ends_at: 2026-11-11T02:00}
  - {person: sun.yue, role: opening, contact: "5550 0104", starts_at: 2026-11-10T19:00, ends_at: 2026-11-11T02:00}
  - {person: wang.fang, role: duty lead, contact: "5550 0101", starts_at: 2026-11-11T04:00, ends_at: 2026-11-11T14:00}
  - {person: li.wei, role: duty lead, contact: "5550 0102", starts_at: 2026-11-11T14:00, ends_at: 2026-11-12T00:00}
  - {person: wang.fang, role: duty lead, contact: "5550 0101", starts_at: 2026-11-12T00:00, ends_at: 2026-11-13T00:00}
meetings:
  - {name: Double 11 weekly, weekday: tuesday, at: "10:00", minutes: 45, first: 2026-09-22, last: 2026-11-10,
     who: [growth-team, trade-team, platform-team]}
war_room: {place: "Building 5, room 301", opens_at: 2026-11-10T18:00, closes_at: 2026-11-12T01:00, lead: zhao.lei}
escalation:
  - {who: duty lead, after_min: 0, contact: "5550 0100"}
  - {who: zhao.lei, after_min: 5, contact: "5550 0103"}
  - {who: chen.min, after_min: 15, contact: "5550 0105"}
drills:
  - {name: zone-loss, failure: zone-loss, due: 2026-10-30, owner: platform-team}
  - {name: payment-fallback, failure: third-party-down, service: payco-gateway, due: 2026-10-16, owner: payments-team}
  - {name: cold-catalog-cache, failure: cold-cache, service: catalog-db, due: 2026-11-04, owner: platform-team}
third_parties:
  - {name: payco-gateway, flood_control: "edge limit of checkout", fallback: "pay later: orders are kept for 24 h"}
"""


def number(value: float) -> str:
    """Write a number as people write it in YAML: small ones plainly, large ones as 8.0e6.

    Examples
    --------
    >>> number(1400.0), number(8_000_000.0), number(0.25), number(1234567)
    ('1400', '8.0e6', '0.25', '1234567')
    """
    if value >= 1e6 and float(f"{value:.2g}") == value:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.10g}"


def promotions_yaml(
    events: Sequence[Event],
    estimates: Mapping[str, Estimate],
    memories: Mapping[str, Memory],
    *,
    target: str,
    sla_qps: float,
    notes: Mapping[str, str],
) -> str:
    """Write the promotion briefs, newest last, with comments where something is worth knowing."""
    head = "# Every past and coming promotion. Openings moved from midnight to 20:00 of the evening before.\n"
    briefs = (
        _promotion(event, estimates[event.id], memories.get(event.id), target=target, sla_qps=sla_qps, notes=notes)
        for event in events
    )
    return "\n".join([head, *briefs])


def _promotion(
    event: Event, estimate: Estimate, memory: Memory | None, *, target: str, sla_qps: float, notes: Mapping[str, str]
) -> str:
    kind = f'"{event.kind}"' if event.kind.isdigit() else event.kind  # 618 alone would be a number
    lines = [
        f"- id: {event.id}",
        f"  kind: {kind}",
        f"  starts_at: {_minute(event, 0)}",
        f"  ends_at: {_minute(event, 1)}",
    ]
    lines.append(f"  intensity: {event.intensity:.2f}")
    if event.id in notes:
        lines.append(f"  # {notes[event.id]}")
    if event.id == target:
        lines += _brief(event, sla_qps)
    lines += ["  expected:"]
    for metric, (low, mid, high) in estimate.ranges.items():
        lines.append(f"    {metric}: {{low: {number(low)}, mid: {number(mid)}, high: {number(high)}}}")
    lines += [f'    basis: "{estimate.basis}"', f"    owner: {estimate.owner}", f"    signed_at: {estimate.signed_at}"]
    if memory is not None and event.id != target:
        peaks = ", ".join(f"{name}: {number(value)}" for name, value in memory.peak_qps.items())
        lines += [
            "  actual:",
            f"    dau: {memory.dau}",
            f"    dat: {memory.dat}",
            f"    peak_tps: {number(memory.peak_tps)}",
            f"    peak_at: {memory.peak_at}",
            f"    peak_qps: {{{peaks}}}",
        ]
    return "\n".join(lines) + "\n"


def _minute(event: Event, end: int) -> str:
    return (event.ends_at if end else event.starts_at).isoformat(timespec="minutes")


def _brief(event: Event, sla_qps: float) -> list[str]:
    day = timedelta(days=1)
    freeze_from = (event.starts_at - 2 * day).replace(hour=0, minute=0)
    freeze_to = event.ends_at + day
    lines = ["  phases:"]
    for phase in event.phases():
        starts = event.starts_at + timedelta(seconds=phase.starts_s - event.starts_s)
        ends = event.starts_at + timedelta(seconds=phase.ends_s - event.starts_s)
        times = f"starts_at: {starts.isoformat(timespec='minutes')}, ends_at: {ends.isoformat(timespec='minutes')}"
        lines.append(f"    - {{name: {phase.name}, {times}}}")
    stamp = (
        f"starts_at: {freeze_from.isoformat(timespec='minutes')}, ends_at: {freeze_to.isoformat(timespec='minutes')}"
    )
    return [
        *lines,
        f"  freeze: {{{stamp}}}",
        f'  background: "{_NAMES[event.kind]} opens at {event.starts_at:%H:%M}; deposits are due from then on."',
        "  objectives:",
        '    - "Orders beat last year with no core path down for more than a minute"',
        '    - "Nobody is turned away before the limits that this plan signs"',
        "  products:",
        '    - "Cross-store discount, 50 off 300"',
        '    - "Deposit items: final payment from the opening on"',
        "  third_parties:",
        f'    - {{name: payco-gateway, sla_qps: {number(sla_qps)}, contact: "duty line, account manager Lin"}}',
    ]


def run_yaml(run: Run) -> str:
    """Write the description beside a load test's results."""
    lines = [
        f"service: {run.service}",
        f"environment: {run.environment}",
        "approach: after_scaling",
        f"instances: {run.instances}",
    ]
    lines += [f"instance_type: {run.instance_type}", f'version: "{run.version}"']
    if run.mocked:
        lines.append(f"mocked: [{', '.join(run.mocked)}]")
    lines += ["tool: csv", "files: [steps.csv]", f"started_at: {run.started_at.isoformat(timespec='minutes')}"]
    lines.append(f"target_qps: {number(run.target_qps)}          # where the test was meant to stop")
    return "\n".join(lines) + "\n"
