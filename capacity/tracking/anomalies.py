"""What is out of order now: each with what it means, whom to call, and what to open."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Catalog
from capacity.display.numbers import format_number, format_percent
from capacity.journal import changes_within

if TYPE_CHECKING:
    from capacity.journal import Journal
    from capacity.promotion import Promotion
    from capacity.tracking.projection import Projection
    from capacity.tracking.watch import Seen

Floats = NDArray[np.float64]

NEAR = 0.9  # of a limit: a third of the plan's ladder of triggers stands there too
LIKELY = 0.5  # of the futures
_FEW = 20  # requests below which a share of them says nothing


@dataclass(frozen=True)
class Anomaly:
    """One thing that is out of order.

    Attributes
    ----------
    kind
        One of ``KINDS``.
    service
        Which service; empty where it is none's.
    urgent
        Whether somebody has to act now.
    says
        What it is, in numbers.
    call
        Whom to call.
    runbook
        What to open, relative to the workspace; empty: there is none.
    """

    kind: str
    service: str
    urgent: bool
    says: str
    call: str = ""
    runbook: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Tells one from another while it lasts."""
        return self.kind, self.service


@dataclass(frozen=True)
class Situation:
    """Everything that the rules look at.

    Attributes
    ----------
    now, phase
        The moment, and the phase it lies in, or None.
    plan
        Content of ``plan.json``.
    services, promotion, journal
        Words, and what was written down so far.
    seen, projection
        The last minutes, and what they make of the peak to come.
    held_above, held_below
        By feature: seconds for which its trigger, and its recovery, have held without a break.
    queue_wait_s, allowed_wait_s
        By service behind a queue: how long what waits there will have waited, and may.
    """

    now: datetime
    phase: str | None
    plan: Mapping[str, Any]
    services: Catalog
    promotion: "Promotion"
    journal: "Journal"
    seen: "Seen"
    projection: "Projection"
    held_above: Mapping[str, float]
    held_below: Mapping[str, float]
    queue_wait_s: Mapping[str, float]
    allowed_wait_s: Mapping[str, float]

    def planned(self, service: str) -> Mapping[str, Any]:
        """Return the plan's entry of a service."""
        entry: Mapping[str, Any] = self.plan["services"][service]
        return entry


Rule = Callable[[Situation], Iterator[Anomaly]]


def find_anomalies(situation: Situation) -> tuple[Anomaly, ...]:
    """Return all that is out of order, what is urgent first."""
    found = [one for rule in RULES for one in rule(situation)]
    return tuple(sorted(found, key=lambda one: (not one.urgent, RANK[one.kind], one.service)))


def _limits(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        if s.planned(name).get("queue"):
            continue  # what comes faster waits
        limit, level = s.planned(name).get("cluster_limit_qps"), s.seen.latest_qps[i]
        if limit is None or not np.isfinite(level):
            continue
        turned = s.seen.rejected_fraction[i]
        if level >= limit or (np.isfinite(turned) and turned > 0):
            share = f", {format_percent(turned)} turned away" if np.isfinite(turned) and turned > 0 else ""
            yield Anomaly("limit_reached", name, True, f"{_rate(level)} at a limit of {_rate(limit)}{share}")
            continue
        chance = s.projection.limit_probability[i]
        if level >= NEAR * limit or chance >= LIKELY:
            when = s.projection.minutes_to_limit[i]
            soon = f", in about {when:.0f} min" if np.isfinite(when) else ""
            says = f"{_rate(level)} of a limit of {_rate(limit)}; {_odds(chance)} reach it{soon}"
            yield Anomaly("limit_near", name, level >= NEAR * limit, says)


def _beyond_capacity(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        if s.planned(name).get("queue"):
            continue
        safe, level = s.planned(name).get("safe_capacity_qps"), s.seen.latest_qps[i]
        served = level * (1.0 - np.nan_to_num(s.seen.rejected_fraction[i]))
        if safe is not None and np.isfinite(level) and served > safe:
            yield Anomaly("beyond_capacity", name, True, f"{_rate(served)} served, {_rate(safe)} safely taken")


def _queues(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        wait, allowed = s.queue_wait_s.get(name), s.allowed_wait_s.get(name)
        if wait is not None and allowed is not None and wait > allowed:
            takes = float(s.planned(name)["safe_capacity_qps"])
            says = f"what waits needs {wait / 60:.0f} min at {_rate(takes)}, {allowed / 60:.0f} min are allowed"
            yield Anomaly("queue_late", s.seen.services[i], True, says)


def _outside_band(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        level, low, high = s.seen.latest_qps[i], s.projection.now_q05[i], s.projection.now_q99[i]
        if not np.isfinite(level) or not np.isfinite(high) or high <= 0:
            continue
        if level > high:
            says = f"{_rate(level)} where 1 of 100 futures had more than {_rate(high)}"
            yield Anomaly("above_forecast", name, False, says)
        elif level < 0.5 * low:
            yield Anomaly(
                "below_forecast", name, False, f"{_rate(level)}, less than half of {_rate(low)}, the band's foot"
            )


def _objectives(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        slo = s.services[name].slo
        level = s.seen.level_qps[i]
        if not np.isfinite(level):
            continue
        errors = s.seen.error_fraction[i]
        if (
            slo.error_fraction is not None
            and np.isfinite(errors)
            and errors > slo.error_fraction
            and level * 600 > _FEW
        ):
            says = f"{format_percent(errors)} of requests fail, {format_percent(slo.error_fraction)} are allowed"
            yield Anomaly("errors", name, True, says)
        for share in ("p99_ms", "p95_ms"):
            allowed, found = getattr(slo, share), getattr(s.seen, share)[i]
            if allowed is not None and np.isfinite(found) and found > allowed:
                says = f"{share.removesuffix('_ms')} {format_number(found)} ms, {format_number(allowed)} ms allowed"
                yield Anomaly("slow", name, True, says)
                break


def _instances(s: Situation) -> Iterator[Anomaly]:
    for i, name in enumerate(s.seen.services):
        planned = s.planned(name)
        wanted = (planned.get("instances_by_phase") or {}).get(s.phase or "", planned.get("instances") or 0)
        serving = s.seen.instances[i]
        if s.phase is not None and np.isfinite(serving) and serving < wanted:
            yield Anomaly("too_few_instances", name, True, f"{serving:.0f} instances serve, {wanted} are planned")


def _silence(s: Situation) -> Iterator[Anomaly]:
    known = s.seen.covered > 0
    if not known.any():
        yield Anomaly("silent", "", True, "no service has any minute: nothing can be watched")
        return
    for i in np.flatnonzero(~known & (s.projection.now_q50 > 0)):
        yield Anomaly("silent", s.seen.services[i], False, "no minute of it is known; it is not watched")


def _ladder(s: Situation) -> Iterator[Anomaly]:
    on = {one.ref for one in s.journal.of_kind("degrade_on")} | {one.text for one in s.journal.of_kind("degrade_on")}
    off = {one.text for one in s.journal.of_kind("degrade_off")}
    for rung in s.plan["degradation"]:
        feature, watch, back = rung["feature"], rung.get("watch"), rung.get("recover")
        is_on = any(feature in text for text in on if text) and not any(feature in text for text in off)
        pull = f"switch {rung.get('switch') or feature} off" + (f" ({rung['owner']})" if rung.get("owner") else "")
        if watch and not is_on and s.held_above.get(feature, 0.0) >= float(watch["for_s"]):
            says = f"rung {rung['order']}: {watch['service']} has been above {_rate(watch['above_qps'])}: {pull}"
            yield Anomaly("degrade", rung["service"], True, says)
        if back and is_on and s.held_below.get(feature, 0.0) >= float(back["for_s"]):
            says = (
                f"{back['service']} has been under {_rate(back['below_qps'])}: put {feature} back and check that it is"
            )
            yield Anomaly("restore", rung["service"], False, says)


def _freeze(s: Situation) -> Iterator[Anomaly]:
    freeze = s.promotion.freeze
    if freeze is None:
        return
    for change, grant in changes_within(s.journal, freeze.starts_at, freeze.ends_at):
        if grant is None:
            says = f"a change at {change.at:%H:%M} within the freeze, without an exception"
            yield Anomaly("freeze_breach", change.service or "", True, says)


RULES: tuple[Rule, ...] = (
    _limits, _beyond_capacity, _queues, _objectives, _ladder, _instances, _freeze, _outside_band, _silence,
)  # fmt: skip
KINDS = (
    *("beyond_capacity", "limit_reached", "errors", "queue_late", "slow", "degrade", "limit_near", "too_few_instances"),
    *("freeze_breach", "above_forecast", "restore", "below_forecast", "silent"),
)
RANK = {kind: place for place, kind in enumerate(KINDS)}


def _rate(qps: float) -> str:
    return f"{format_number(qps)}/s"


def _odds(chance: float) -> str:
    return f"{round(20 * chance)} of 20 futures"
