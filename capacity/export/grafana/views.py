"""What each of the eight views shows; all stands on the series of the Prometheus export."""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from capacity.export.grafana.panel import Panel
from capacity.export.prometheus.rule import matcher
from capacity.export.source import Source
from capacity.export.words import with_matchers

_MINE = '{service=~"$service"}'
_RATE = "capacity:requests:rate"
_LATENCY = "capacity:latency_seconds"


def find_views(source: Source) -> Mapping[str, tuple[str, tuple[Panel, ...]]]:
    """Return title and panels of each view by its name."""
    return {
        "promotion": ("Promotion", tuple(_promotion(source))),
        "tracing": ("Full-link tracing", tuple(_tracing(source))),
        "core": ("Core services' health", tuple(_core(source))),
        "loadtest": ("Load tests", tuple(_load_test())),
        "limits": ("Rate limits", tuple(_limits())),
        "resources": ("Resource utilisation", tuple(_resources(source))),
        "gateway": ("Gateways", tuple(_gateway(source))),
        "fulfilment": ("Channel fulfilment", tuple(_fulfilment(source))),
    }


def _either(names: list[str]) -> str:
    import re

    return matcher("|".join(re.escape(name) for name in names) or "nothing")


def _promotion(source: Source) -> Iterator[Panel]:
    orders = [name for name, one in source.services.items() if one.counts_as == "transaction"]
    mine = f"{{service=~{_either(orders)}}}"
    yield Panel(
        "Orders a second", "Requests to the services that count as orders, against the forecast of their worst second.",
        {f"sum({_RATE}{mine})": "now", **_bands(mine)},
    )  # fmt: skip
    yield Panel(
        "Nearest to their limit",
        "Share of the limit in use.",
        {"topk(8, capacity:limit_used:ratio)": "{{service}}"},
        "percentunit",
    )
    yield Panel(
        "Turned away",
        "Share of requests that limits turn away.",
        {"topk(8, capacity:rejected:ratio > 0)": "{{service}}"},
        "percentunit",
    )
    yield Panel(
        "Alerts", "What fires now.", {'ALERTS{alertname=~"Capacity.*",alertstate="firing"}': ""}, "short", "table"
    )
    yield Panel(
        "Requests by service",
        "Against the forecast: choose services above.",
        {
            f"{_RATE}{_MINE}": "{{service}}",
            'capacity:forecast_peak_qps{quantile="0.95",service=~"$service"}': "forecast 0.95, {{service}}",
        },
    )
    yield Panel(
        "Ladder",
        "A feature is to be switched off above its trigger.",
        {"capacity:degrade_above_qps": "{{feature}}: {{service}}"},
    )


def _bands(mine: str) -> dict[str, str]:
    inside = mine.strip("{}")
    return {
        f'sum(capacity:forecast_peak_qps{{{inside},quantile="{share}"}})': f"forecast {share}"
        for share in ("0.50", "0.95", "0.99")
    }


def _tracing(source: Source) -> Iterator[Panel]:
    template = source.settings.monitoring.trace_url
    links = [
        (name, template.replace("{service}", quote(name, safe=""))) for name in source.document["services"]
    ] if template else []  # fmt: skip
    says = (
        "Traces open in the tracing system."
        if links
        else "Set trace_url under [monitoring] in capacity.toml for links to traces."
    )
    yield Panel("Traces", says, kind="text", links=tuple(links))
    yield Panel(
        "Slowest services",
        "Latency against the objective.",
        {f'topk(8, {_LATENCY}{{quantile="0.99"}})': "{{service}}"},
        "s",
    )
    for path in sorted({path for one in source.services.values() for path in one.critical_paths})[:6]:
        names = [name for name, one in source.services.items() if path in one.critical_paths]
        mine = f'{{service=~{_either(names)},quantile="0.99"}}'
        yield Panel(f"Path {path}", "Latency of the services on it.", {f"{_LATENCY}{mine}": "{{service}}"}, "s")


def _core(source: Source) -> Iterator[Panel]:
    core = [name for name, planned in source.document["services"].items() if source.services[name].tier == "core"]
    mine = f"{{service=~{_either(core)}}}"
    yield Panel("Requests", "Core services.", {f"{_RATE}{mine}": "{{service}}"})
    yield Panel(
        "Errors",
        "Share of requests that fail, five minutes.",
        {f"capacity:errors:ratio5m{mine}": "{{service}}"},
        "percentunit",
    )
    yield Panel(
        "Latency",
        "0.99 quantile, against the objective.",
        {f'{_LATENCY}{{service=~{_either(core)},quantile="0.99"}}': "{{service}}"},
        "s",
    )
    yield Panel(
        "Headroom", "Safe capacity that is left.", {f"capacity:safe_capacity_qps - on (service) {_RATE}": "{{service}}"}
    )


def _load_test() -> Iterator[Panel]:
    yield Panel(
        "Offered", "Requests a second of the service under test: choose it above.", {f"{_RATE}{_MINE}": "{{service}}"}
    )
    yield Panel(
        "Latency", "Stop when it passes the objective.", {f"{_LATENCY}{_MINE}": "{{service}}, {{quantile}}"}, "s"
    )
    yield Panel(
        "Errors",
        "Stop when they pass the objective.",
        {f"capacity:errors:ratio5m{_MINE}": "{{service}}"},
        "percentunit",
    )
    yield Panel(
        "A single instance",
        "Requests a second an instance.",
        {f"{_RATE}{_MINE} / on (service) capacity:instances{_MINE}": "{{service}}"},
    )


def _limits() -> Iterator[Panel]:
    yield Panel(
        "Requests against the limit",
        "Choose services above.",
        {f"{_RATE}{_MINE}": "{{service}}", f"capacity:limit_qps{_MINE}": "limit, {{service}}"},
    )
    yield Panel("Limit in use", "1 is the limit.", {f"capacity:limit_used:ratio{_MINE}": "{{service}}"}, "percentunit")
    yield Panel("Turned away", "Requests a second.", {f"capacity:rejected:rate{_MINE}": "{{service}}"})
    yield Panel(
        "Five minutes ahead",
        "The slope of the last five, continued.",
        {f"predict_linear({_RATE}{_MINE}[5m], 300)": "{{service}}"},
    )


def _resources(source: Source) -> Iterator[Panel]:
    yield Panel(
        "Instances",
        "Serving, against planned.",
        {f"capacity:instances{_MINE}": "{{service}}", f"capacity:planned_instances{_MINE}": "planned, {{service}}"},
        "short",
    )
    yield Panel(
        "Fewer than planned",
        "",
        {"capacity:planned_instances - on (service) capacity:instances > 0": "{{service}}"},
        "short",
    )
    if source.settings.monitoring.cpu_fraction:
        yield Panel("CPU", "Mean share in use.", {f"capacity:cpu_fraction{_MINE}": "{{service}}"}, "percentunit")
    yield Panel("Requests an instance", "", {f"{_RATE}{_MINE} / on (service) capacity:instances{_MINE}": "{{service}}"})


def _gateway(source: Source) -> Iterator[Panel]:
    names = source.settings.monitoring
    entries = [name for name, one in source.services.items() if one.entry is None or not one.entry.is_none]
    mine = f"{{service=~{_either(entries)}}}"
    yield Panel("Requests from outside", "Services with an entry.", {f"{_RATE}{mine}": "{{service}}"})
    total = f"sum(rate({with_matchers(names.requests, f'{names.service_label}=~{_either(entries)}')}[1m]))"
    yield Panel("All together", "", {total: "all"})
    yield Panel("Turned away at the gateways", "", {f"capacity:rejected:rate{mine}": "{{service}}"})
    yield Panel("Errors at the gateways", "", {f"capacity:errors:ratio5m{mine}": "{{service}}"}, "percentunit")


def _fulfilment(source: Source) -> Iterator[Panel]:
    queued = [name for name, planned in source.document["services"].items() if planned.get("queue")]
    mine = f"{{service=~{_either(queued)}}}"
    yield Panel("Work that arrives", "Services behind a queue.", {f"{_RATE}{mine}": "{{service}}"})
    for name in queued:
        takes = source.document["services"][name].get("safe_capacity_qps")
        if takes:
            series = f"{_RATE}{{service={matcher(name)}}}"
            says = f"Requests that wait where {takes:g}/s are done (plan.json safe_capacity_qps), of six hours."
            backlog = f"clamp_min(sum_over_time(({series} - {takes!r})[6h:1m]) * 60, 0)"
            yield Panel(f"Backlog of {name}"[:80], says, {backlog: "waiting"}, "short")
    third = [name for name, one in source.services.items() if one.third_party]
    outside = f"{{service=~{_either(third)}}}"
    yield Panel(
        "Third parties",
        "Requests, against what they promised.",
        {f"{_RATE}{outside}": "{{service}}", f"capacity:limit_qps{outside}": "limit, {{service}}"},
    )
    yield Panel("Third parties' errors", "", {f"capacity:errors:ratio5m{outside}": "{{service}}"}, "percentunit")
