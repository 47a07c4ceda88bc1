"""Unit tests of the rules for ``promtool test rules``: each alert just above and just below where it begins.

The tests feed the measured series and the window by hand, since promtool's clock begins in 1970; the window itself has
a test of its own, a few steps long, that looks at its edges.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from capacity.export.prometheus.alerts import AHEAD_S, BURNS, NEAR, Alert
from capacity.export.prometheus.constants import WINDOW, bounds_s, is_queued, labels_of, rung_rules
from capacity.export.prometheus.rule import Rule, matcher
from capacity.export.source import Source

STEP_S = 15
_ABOVE, _BELOW = 1.01, 0.99
_LONG = 40  # steps that every series lasts


@dataclass(frozen=True)
class Case:
    """What is fed, and which alerts must be there at a moment."""

    name: str
    alert: Alert
    series: Mapping[str, str]
    at: str
    expected: Sequence[Mapping[str, Any]] = field(default=())


def rules_test(source: Source, alerts: Iterable[Alert], rule_file: str) -> str:
    """Write the unit tests of the alerts."""
    by_name = {alert.name: alert for alert in alerts}
    cases = [case for name, make in _makers(source) if name in by_name for case in make(source, by_name[name])]
    window = {_series(WINDOW, promotion=source.promotion.id): _steady(1)}
    tests = [_document(case, window) for case in cases]
    # The same without the window: last year's and next year's traffic wakes nobody.
    tests += [_document(_silenced(case), {}) for case in cases if case.expected and case.alert.name != "CapacitySilent"]
    return _file(source, rule_file, f"{STEP_S}s", tests)


def window_tests(source: Source, rule_file: str) -> dict[str, str]:
    """Write the unit tests of the window's edges, to the second, by name of the moment; each clock has two steps."""
    first, last = bounds_s(source)
    name = _series(WINDOW, promotion=source.promotion.id)
    there = [{"labels": name, "value": 1}]
    moments: dict[str, tuple[int, list[dict[str, Any]]]] = {
        "before": (first - 1, []),
        "first": (first, there),
        "last": (last - 1, there),
        "after": (last, []),
        "next_year": (first + 365 * 86_400, []),
    }
    files = {}
    for word, (at, found) in moments.items():
        check = {"expr": WINDOW, "eval_time": f"{at}s", "exp_samples": found}
        test = {"name": f"the window: {word}", "interval": f"{at}s", "input_series": [], "promql_expr_test": [check]}
        files[word] = _file(source, rule_file, f"{at}s", [test])
    return files


def _file(source: Source, rule_file: str, every: str, tests: Sequence[Mapping[str, Any]]) -> str:
    document = {"rule_files": [rule_file], "evaluation_interval": every, "tests": list(tests)}
    head = "".join(f"# {line}\n" for line in source.header())
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=10_000)


def _document(case: Case, window: Mapping[str, str]) -> dict[str, Any]:
    fed = {**window, **case.series}
    return {
        "name": case.name,
        "interval": f"{STEP_S}s",
        "input_series": [{"series": name, "values": values} for name, values in fed.items()],
        "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert.name, "exp_alerts": list(case.expected)}],
    }


def _silenced(case: Case) -> Case:
    kept = {name: values for name, values in case.series.items() if not name.startswith("capacity:phase")}
    return Case(f"{case.name}, at another time", case.alert, kept, case.at)


# ------------------------------------------------------------------- cases


def _makers(source: Source) -> Iterator[tuple[str, "Callable[[Source, Alert], Iterator[Case]]"]]:
    yield "CapacityLimitReached", _limit_reached
    yield "CapacityLimitNear", _limit_near
    yield "CapacityLimitAhead", _limit_ahead
    yield "CapacityAboveForecast", _above_forecast
    yield "CapacityBeyondSafe", _beyond_safe
    yield "CapacitySilent", _silent
    for burn, long, short in BURNS:
        yield f"CapacityErrors{long}", _errors(burn, long, short)
    yield "CapacitySlow", _slow
    yield "CapacityInstancesMissing", _instances
    for rule in rung_rules(source):
        labels, kind = _labels(rule), str(rule.body["record"])
        which = "Degrade" if kind == "capacity:degrade_above_qps" else "Restore"
        yield f"Capacity{which}{labels['hold_s']}s", _degrade(rule) if which == "Degrade" else _restore(rule, source)


def _limits(source: Source) -> dict[str, float]:
    planned = source.document["services"]
    known = {name: one.get("cluster_limit_qps") for name, one in planned.items() if not is_queued(one)}
    return {name: float(limit) for name, limit in known.items() if limit is not None and limit > 0}


def _limit_reached(source: Source, alert: Alert) -> Iterator[Case]:
    yield from _of_levels(source, alert, _limits(source), _ABOVE, _BELOW)


def _limit_near(source: Source, alert: Alert) -> Iterator[Case]:
    yield from _of_levels(source, alert, _limits(source), NEAR * _ABOVE, NEAR * _BELOW)


def _above_forecast(source: Source, alert: Alert) -> Iterator[Case]:
    highest = {name: one["peak_qps"]["q99"] for name, one in source.document["services"].items()}
    yield from _of_levels(source, alert, {k: v for k, v in highest.items() if v > 0}, _ABOVE, _BELOW, bare=True)


def _beyond_safe(source: Source, alert: Alert) -> Iterator[Case]:
    planned = source.document["services"]
    safe = {name: one.get("safe_capacity_qps") for name, one in planned.items() if not is_queued(one)}
    yield from _of_levels(source, alert, {name: value for name, value in safe.items() if value}, _ABOVE, _BELOW)


def _of_levels(
    source: Source, alert: Alert, bounds: Mapping[str, float], above: float, below: float, *, bare: bool = False
) -> Iterator[Case]:
    for word, factor in (("above", above), ("below", below)):
        rates = {name: bound * factor for name, bound in bounds.items()}
        fed = {_rate(name): _steady(rate) for name, rate in rates.items()}
        found = (
            [_alert(source, alert, name, rate, bare=bare) for name, rate in rates.items()] if word == "above" else []
        )
        yield Case(f"{alert.name} {word}", alert, fed, "5m", found)


def _limit_ahead(source: Source, alert: Alert) -> Iterator[Case]:
    steps = AHEAD_S // STEP_S
    for word, grows in (("above", 0.5), ("below", 0.3)):
        fed, found = {}, []
        for name, limit in _limits(source).items():
            start, step = (0.6 - grows) * limit, grows * limit / steps
            fed[_rate(name)] = f"{start!r}+{step!r}x{_LONG}"
            if word == "above":
                found.append(_alert(source, alert, name, start + 2 * steps * step))
        yield Case(f"{alert.name} {word}", alert, fed, f"{AHEAD_S}s", found)


def _silent(source: Source, alert: Alert) -> Iterator[Case]:
    limits = _limits(source)
    found = [_alert(source, alert, name, limit) for name, limit in limits.items()]
    yield Case(f"{alert.name} without any series", alert, {}, "5m", found)
    yield Case(f"{alert.name} with all", alert, {_rate(name): _steady(1) for name in limits}, "5m")


def _errors(burn: float, long: str, short: str) -> "Callable[[Source, Alert], Iterator[Case]]":
    def make(source: Source, alert: Alert) -> Iterator[Case]:
        allowed = {name: one.slo.error_fraction for name, one in source.services.items() if one.slo.error_fraction}
        kept = {name: value for name, value in allowed.items() if name in source.document["services"]}
        for word, factors in (("above", (_ABOVE, _ABOVE)), ("over again", (_ABOVE, _BELOW)), ("new", (_BELOW, _ABOVE))):
            fed, found = {}, []
            for name, fraction in kept.items():
                for window, factor in zip((long, short), factors, strict=True):
                    fed[_series(f"capacity:errors:ratio{window}", service=name)] = _steady(burn * fraction * factor)
                if word == "above":
                    found.append(_alert(source, alert, name, math.nan))
            yield Case(f"{alert.name} {word}", alert, fed, "5m", found)

    return make


def _slow(source: Source, alert: Alert) -> Iterator[Case]:
    for word, factor in (("above", _ABOVE), ("below", _BELOW)):
        fed, found = {}, []
        for name in source.document["services"]:
            slo = source.services[name].slo
            for allowed, share in ((slo.p99_ms, "0.99"), (slo.p95_ms, "0.95")):
                if allowed is not None:
                    series = _series("capacity:latency_seconds", service=name, quantile=share)
                    fed[series] = _steady(allowed / 1000.0 * factor)
                    if word == "above":
                        found.append(_alert(source, alert, name, math.nan, quantile=share))
        yield Case(f"{alert.name} {word}", alert, fed, "5m", found)


def _instances(source: Source, alert: Alert) -> Iterator[Case]:
    phase = source.promotion.phases[-1].name
    planned = source.document["services"]
    wanted = {name: (one.get("instances_by_phase") or {}).get(phase, 0) for name, one in planned.items()}
    for word, less in (("below", 1), ("enough", 0)):
        fed = {_series("capacity:instances", service=name): _steady(n - less) for name, n in wanted.items() if n}
        fed[_series("capacity:phase", phase=phase)] = _steady(1)
        found = [_alert(source, alert, name, n - 1) for name, n in wanted.items() if n] if less else []
        yield Case(f"{alert.name} {word}", alert, fed, "8m", found)


def _degrade(rule: Rule) -> "Callable[[Source, Alert], Iterator[Case]]":
    def make(source: Source, alert: Alert) -> Iterator[Case]:
        labels, bound = _labels(rule), _bound(rule)
        hold = float(labels["hold_s"])
        at = f"{math.ceil((hold + 60) / STEP_S) * STEP_S}s"
        for word, factor in (("above", _ABOVE), ("below", _BELOW)):
            others = _rungs_of(source, "capacity:degrade_above_qps", labels)
            found = [_rung_alert(alert, own, value) for own, value in others if value < bound * factor]
            yield Case(
                f"rung {labels['rung']} {word}",
                alert,
                {_rate(labels["service"]): _long(bound * factor, hold)},
                at,
                found,
            )

    return make


def _restore(rule: Rule, source: Source) -> "Callable[[Source, Alert], Iterator[Case]]":
    pulls = {
        _labels(one)["rung"]: one for one in rung_rules(source) if one.body["record"] == "capacity:degrade_above_qps"
    }

    def make(source: Source, alert: Alert) -> Iterator[Case]:
        labels, below = _labels(rule), _bound(rule)
        pull = pulls.get(labels["rung"])
        hold = float(labels["hold_s"])
        calm = {_rate(labels["service"]): _long(below * _BELOW, hold)}
        at_s = math.ceil((hold + 120) / STEP_S) * STEP_S
        yield Case(f"rung {labels['rung']} never pulled", alert, calm, f"{at_s}s")
        if pull is None or _labels(pull)["service"] == labels["service"]:
            return
        before = {_rate(_labels(pull)["service"]): _long(_bound(pull) * _ABOVE, hold)}
        rungs = [
            own
            for own, value in _rungs_of(source, "capacity:degrade_above_qps", _labels(pull))
            if value <= _bound(pull)
        ]
        pulled = {own["rung"] for own in rungs}
        others = _rungs_of(source, "capacity:restore_below_qps", labels)
        found = [
            _rung_alert(alert, own, value) for own, value in others if value > below * _BELOW and own["rung"] in pulled
        ]
        begin = float(_labels(pull)["hold_s"])
        yield Case(f"rung {labels['rung']} pulled, calm again", alert, calm | before, f"{at_s + round(begin)}s", found)

    return make


def _rungs_of(source: Source, series: str, like: Mapping[str, str]) -> list[tuple[dict[str, str], float]]:
    """Return rungs that watch the same service and hold as long, with their bounds."""
    rules = [rule for rule in rung_rules(source) if rule.body["record"] == series]
    pairs = [(_labels(rule), _bound(rule)) for rule in rules]
    return [(own, value) for own, value in pairs if all(own[key] == like[key] for key in ("service", "hold_s"))]


# ------------------------------------------------------------------- words


def _labels(rule: Rule) -> dict[str, str]:
    labels: Any = rule.body["labels"]
    return dict(labels)


def _bound(rule: Rule) -> float:
    return float(str(rule.body["expr"]).removeprefix("vector(").partition(")")[0])


def _series(name: str, **labels: str) -> str:
    inside = ",".join(f"{key}={matcher(value)}" for key, value in labels.items())
    return f"{name}{{{inside}}}"


def _rate(service: str) -> str:
    return _series("capacity:requests:rate", service=service)


def _steady(value: float) -> str:
    return f"{value!r}+0x{_LONG}"


def _long(value: float, hold_s: float) -> str:
    return f"{value!r}+0x{max(math.ceil((hold_s + 600) / STEP_S), _LONG)}"


def _alert(
    source: Source, alert: Alert, service: str, value: float, *, bare: bool = False, **more: str
) -> dict[str, Any]:
    labels = {"service": service} if bare else labels_of(source, service)
    return _expected(alert, {**labels, **more}, value)


def _rung_alert(alert: Alert, labels: Mapping[str, str], value: float) -> dict[str, Any]:
    return _expected(alert, labels, value)


def _expected(alert: Alert, labels: Mapping[str, str], value: float) -> dict[str, Any]:
    says = alert.says.replace('{{ $value | printf "%.0f" }}', "" if math.isnan(value) else f"{value:.0f}")
    parts = says.split("{{ $labels.")
    text = parts[0]
    for part in parts[1:]:
        key, _, rest = part.partition(" }}")
        text += labels[key] + rest
    return {"exp_labels": {**labels, "severity": alert.severity}, "exp_annotations": {"summary": text}}
