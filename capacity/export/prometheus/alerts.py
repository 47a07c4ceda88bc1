"""Alerts of the evening: each once for all services, its thresholds taken from the plan's series.

Untrusted names are labels of series, never text of a rule: nothing in them is read as a template or a query.

References
----------
Beyer, Murphy, Rensin, Kawahara, Thorne (eds.), The Site Reliability Workbook (2018), chapter 5: burn rates of 14.4
over one hour and 6 over six hours, each with a short window that ends the alert soon.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from capacity.export.prometheus.rule import Rule
from capacity.export.source import Source

NEAR, AHEAD_S, HALF = 0.9, 300, 0.5
_LABELS = "group_left (tier, owner, runbook)"
BURNS = ((14.4, "1h", "5m"), (6.0, "6h", "30m"))


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes
    ----------
    name, expr
        As Prometheus knows it.
    hold
        How long it must be true.
    severity
        ``page`` or ``watch``.
    says
        In the reader's words, a template of Prometheus.
    comment
        Where its threshold comes from.
    """

    name: str
    expr: str
    hold: str
    severity: str
    says: str
    comment: str

    def rule(self) -> Rule:
        """Return it as a rule."""
        body = {
            "alert": self.name,
            "expr": self.expr,
            "for": self.hold,
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.says},
        }
        return Rule(body, self.comment)


_SERVICE = "{{ $labels.service }}"
_VALUE = '{{ $value | printf "%.0f" }}'


def find_alerts(source: Source) -> tuple[Alert, ...]:
    """Return all alerts that this plan and this company's measures allow."""
    names = source.settings.monitoring
    found = list(_of_limits())
    if names.errors:
        found += list(_of_errors())
    if names.latency_buckets:
        found.append(_slow())
    if names.instances:
        found.append(_instances())
    return (*found, *_of_ladder(source))


def _of_limits() -> Iterator[Alert]:
    requests, limit = "capacity:requests:rate", "capacity:limit_qps"
    yield Alert(
        "CapacityLimitReached", f"{requests} >= on (service) {_LABELS} {limit}", "0s", "page",
        f"{_SERVICE} gets {_VALUE}/s, its limit: what is more is turned away", "the plan's cluster limit",
    )  # fmt: skip
    yield Alert(
        "CapacityLimitNear", f"({requests} > on (service) {_LABELS} {NEAR} * {limit}) < on (service) {_LABELS} {limit}",
        "0s", "page", f"{_SERVICE} gets {_VALUE}/s, nine tenths of its limit", "the plan's cluster limit",
    )  # fmt: skip
    ahead = f"predict_linear({requests}[{AHEAD_S}s], {AHEAD_S}) > on (service) {_LABELS} {limit}"
    yield Alert(
        "CapacityLimitAhead", f"{ahead} and on (service) (capacity:limit_used:ratio > {HALF})", "0s", "watch",
        f"{_SERVICE} grows toward {_VALUE}/s in five minutes, past its limit",
        "the last five minutes' slope, continued, against the plan's cluster limit",
    )  # fmt: skip
    yield Alert(
        "CapacityAboveForecast",
        f'{requests} > on (service) group_left () capacity:forecast_peak_qps{{quantile="0.99"}}', "0s", "watch",
        f"{_SERVICE} gets {_VALUE}/s, more than 99 of 100 futures had in their worst second",
        "the forecast's 0.99 quantile",
    )  # fmt: skip
    yield Alert(
        "CapacityBeyondSafe", f"({requests} - (capacity:rejected:rate or 0 * {requests})) > on (service) {_LABELS} "
        "capacity:safe_capacity_qps", "30s", "page",
        f"{_SERVICE} serves {_VALUE}/s, more than it takes within its objective", "the plan's safe capacity",
    )  # fmt: skip
    yield Alert(
        "CapacitySilent", f"{limit} unless on (service) {requests}", "3m", "watch",
        f"nothing is known of {_SERVICE}: its limit of {_VALUE}/s is not watched", "every service of the plan",
    )  # fmt: skip


def _of_errors() -> Iterator[Alert]:
    slo = "capacity:slo_error_fraction"
    for burn, long, short in BURNS:
        both = [
            f"capacity:errors:ratio{window} > on (service) {_LABELS} {burn} * {slo}" for window in (long, short)
        ]  # fmt: skip
        yield Alert(
            f"CapacityErrors{long}", f"({both[0]}) and on (service) ({both[1]})", "0s",
            "page" if long == "1h" else "watch",
            f"{_SERVICE} fails {burn:g} times as often as its objective allows, over {long} and {short}",
            f"services.yaml slo.error_fraction, burn rate {burn:g} over {long} and {short}",
        )  # fmt: skip


def _slow() -> Alert:
    return Alert(
        "CapacitySlow",
        f"capacity:latency_seconds > on (service, quantile) {_LABELS} capacity:slo_latency_seconds", "1m", "page",
        f"{_SERVICE}: the {{{{ $labels.quantile }}}} quantile of latency is above its objective", "services.yaml slo",
    )  # fmt: skip


def _instances() -> Alert:
    return Alert(
        "CapacityInstancesMissing", f"capacity:instances < on (service) {_LABELS} capacity:planned_instances", "5m",
        "page", f"{_SERVICE} runs {_VALUE} instances, fewer than are planned", "the plan's instances of the phase",
    )  # fmt: skip


def _of_ladder(source: Source) -> Iterator[Alert]:
    rungs = source.document["degradation"]
    for hold in sorted({f"{rung['watch']['for_s']:g}" for rung in rungs if rung.get("watch")}, key=float):
        series = f'capacity:degrade_above_qps{{hold_s="{hold}"}}'
        yield Alert(
            f"CapacityDegrade{hold}s", f"{series} < on (service) group_left () capacity:requests:rate",
            f"{hold}s", "page",
            "rung {{ $labels.rung }}: switch {{ $labels.switch }} off, " + f"{_SERVICE} gets more than {_VALUE}/s",
            "the plan's degradation, watch",
        )  # fmt: skip
    for hold in sorted({f"{rung['recover']['for_s']:g}" for rung in rungs if rung.get("recover")}, key=float):
        series = f'capacity:restore_below_qps{{hold_s="{hold}"}}'
        was = 'max by (rung) (max_over_time(ALERTS{alertname=~"CapacityDegrade.*", alertstate="firing"}[1d]))'
        yield Alert(
            f"CapacityRestore{hold}s",
            f"({series} > on (service) group_left () capacity:requests:rate) and on (rung) {was}", f"{hold}s", "watch",
            "rung {{ $labels.rung }}: put {{ $labels.feature }} back, " + f"{_SERVICE} gets less than {_VALUE}/s",
            "the plan's degradation, recover",
        )  # fmt: skip
