"""Limits for Envoy: token buckets in each proxy, descriptors for a global limiter, retry budgets.

Read from Envoy's documentation: "Local rate limit" (a bucket is filled at an interval of 50 ms or more; whole tokens),
"Circuit breaking" (retry budgets), and the configuration of the envoyproxy/ratelimit service.
"""

import math
from collections.abc import Mapping
from typing import Any

import yaml

from capacity.export.limits import Limit, find_limits, identifier, whole_burst
from capacity.export.source import Export, Source

BOOTSTRAP, GLOBAL = "envoy.yaml", "ratelimit.yaml"
_TYPES = "type.googleapis.com/envoy.extensions.filters"
_LOCAL = f"{_TYPES}.http.local_ratelimit.v3.LocalRateLimit"
_SHORTEST_FILL_S = 0.05
_MOST_FILLS, _LOSS = 400, 0.02  # a caller's whole tokens may give away so much of its limit


def export_envoy(source: Source, *, port: int = 10000, admin_port: int = 9901, backend_port: int = 8080) -> Export:
    """Make a bootstrap with a virtual host a service, and the descriptors of the global limiter.

    Parameters
    ----------
    source
        The plan.
    port, admin_port, backend_port
        Of the listener, of Envoy's administration, and of what stands behind; on loopback, to be put right where it
        is used.
    """
    limits = list(find_limits(source))
    header = "".join(f"# {line}\n" for line in source.header())
    bootstrap = {
        "admin": {"address": _address(admin_port)},
        "static_resources": {
            "listeners": [_listener(source, limits, port)],
            "clusters": [_cluster(source, slug, backend_port) for slug in _slugs(limits)],
        },
    }
    files = {
        BOOTSTRAP: header + _origins(limits) + _dump(bootstrap),
        GLOBAL: header + _dump(_descriptors(source)),
    }
    return Export(
        "envoy", files,
        next_steps=(
            f"envoy --mode validate -c {BOOTSTRAP}",
            "put addresses in place of 127.0.0.1; the host name chooses the service",
            f"give {GLOBAL} to envoyproxy/ratelimit",
            "the runtime keys capacity.enabled and capacity.enforced (percent) switch limits: 0 enforced tries them",
        ),
        warnings=(
            "local limits are each proxy's own: on gateways the cluster's share",
            "hot keys are limited by the global limiter alone, by the descriptor key",
        ),
    )  # fmt: skip


def fill(limit: Limit) -> tuple[int, float, int]:
    """Return tokens a fill, seconds between fills, and the most tokens: never more than the limit, whole tokens.

    Examples
    --------
    >>> fill(Limit("a", "a", "gateway", 30.0, 5.0, "", ""))
    (2, 0.066666667, 5)
    """
    tokens = max(math.ceil(limit.rate_qps * _SHORTEST_FILL_S), 1)
    every_s = math.ceil(tokens / limit.rate_qps * 1e9) / 1e9
    return tokens, every_s, max(whole_burst(limit), tokens)


def _slugs(limits: list[Limit]) -> list[str]:
    return list(dict.fromkeys(limit.slug for limit in limits))


def _listener(source: Source, limits: list[Limit], port: int) -> dict[str, Any]:
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "capacity",
        "route_config": {"virtual_hosts": [_host(source, limits, slug) for slug in _slugs(limits)]},
        "http_filters": [
            {"name": "envoy.filters.http.local_ratelimit", "typed_config": {"@type": _LOCAL, "stat_prefix": "none"}},
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
            },
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": "capacity", "address": _address(port), "filter_chains": [chain]}


def _host(source: Source, limits: list[Limit], slug: str) -> dict[str, Any]:
    settings = source.settings.export
    own = [limit for limit in limits if limit.slug == slug]
    caller = {"request_headers": {"header_name": settings.caller_header, "descriptor_key": "caller"}}
    actions = [{"actions": [_action("service", own[0].service)]}, {"actions": [caller]}]
    main = next((limit for limit in own if limit.where == "gateway"), None)
    callers = [limit for limit in own if limit.where == "edge" and limit.caller.isprintable()]
    route = {"match": {"prefix": "/"}, "route": {"cluster": slug, "rate_limits": actions}}
    return {
        "name": slug,
        "domains": [slug, f"{slug}:*"],
        "routes": [
            {"match": {"path": settings.health_path}, "route": {"cluster": slug}},
            {**route, **(_filter(main, callers) if main else {})},
        ],
    }


def _filter(limit: Limit, callers: list[Limit]) -> dict[str, Any]:
    """Limit a service and each caller besides, whose requests take a token from both buckets."""
    local: dict[str, Any] = {
        "@type": _LOCAL,
        "stat_prefix": f"capacity_{limit.name}",
        "token_bucket": _bucket(fill(limit)),
        "filter_enabled": _switch("capacity.enabled"),
        "filter_enforced": _switch("capacity.enforced"),
        "status": {"code": "TooManyRequests"},
    }
    every_s = fill(limit)[1]
    if callers:
        local["always_consume_default_token_bucket"] = True
        local["descriptors"] = [
            {"entries": [{"key": "caller", "value": one.caller}], "token_bucket": _bucket(fill_of_caller(one, every_s))}
            for one in callers
        ]
    return {"typed_per_filter_config": {"envoy.filters.http.local_ratelimit": local}}


def fill_of_caller(limit: Limit, every_s: float) -> tuple[int, float, int]:
    """Return tokens, seconds and the most tokens of a caller's bucket: Envoy wants whole fills of the service's.

    Examples
    --------
    >>> fill_of_caller(Limit("a", "a", "edge", 30.0, 2.0, "b", ""), 0.05)
    (3, 0.1, 3)
    """
    one_token = math.ceil(1.0 / (limit.rate_qps * every_s) - 1e-6)
    tried = range(max(one_token, 1), max(one_token, 1) + _MOST_FILLS)
    fills = next((n for n in tried if _lost(limit.rate_qps * n * every_s) <= _LOSS), tried[0])
    tokens = math.floor(limit.rate_qps * fills * every_s + 1e-6)
    return tokens, round(fills * every_s, 9), max(whole_burst(limit), tokens)


def _lost(tokens: float) -> float:
    """Return the share that whole tokens give away."""
    return 1.0 - math.floor(tokens + 1e-6) / tokens


def _bucket(filled: tuple[int, float, int]) -> dict[str, Any]:
    tokens, every_s, most = filled
    return {"max_tokens": most, "tokens_per_fill": tokens, "fill_interval": f"{every_s:.9f}s"}


def _switch(key: str) -> dict[str, Any]:
    return {"runtime_key": key, "default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def _action(key: str, value: str) -> dict[str, Any]:
    return {"generic_key": {"descriptor_key": key, "descriptor_value": value}}


def _cluster(source: Source, slug: str, backend_port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(backend_port)}}
    cluster: dict[str, Any] = {
        "name": slug,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": slug, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    budget = _retry_percent(source, slug)
    if budget is not None:
        thresholds = {"retry_budget": {"budget_percent": {"value": budget}, "min_retry_concurrency": 1}}
        cluster["circuit_breakers"] = {"thresholds": [thresholds]}
    return cluster


def _retry_percent(source: Source, slug: str) -> float | None:
    """Retries as a share of the calls that the plan lets through to a service, in percent."""
    own = [edge for edge in source.document["edges"] if identifier(edge["callee"]) == slug and edge.get("limit_qps")]
    calls = sum(edge["limit_qps"] for edge in own)
    retries = sum(edge.get("retry_budget_qps") or 0.0 for edge in own)
    return math.floor(1000.0 * retries / calls) / 10.0 if calls > 0 else None


def _descriptors(source: Source) -> dict[str, Any]:
    found = []
    for name, planned in source.document["services"].items():
        limit, key = planned.get("cluster_limit_qps"), planned.get("key_limit_qps")
        if limit and not planned.get("queue"):
            one: dict[str, Any] = {"key": "service", "value": name, "rate_limit": _per_unit(limit)}
            if key:
                one["descriptors"] = [{"key": "key", "rate_limit": _per_unit(key)}]
            found.append(one)
    return {"domain": "capacity", "descriptors": found}


def _per_unit(limit_qps: float) -> dict[str, Any]:
    if limit_qps >= 1:
        return {"unit": "second", "requests_per_unit": math.floor(limit_qps)}
    return {"unit": "minute", "requests_per_unit": max(math.floor(limit_qps * 60), 0)}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _origins(limits: list[Limit]) -> str:
    return "".join(f"# capacity_{limit.name}: {limit.origin}\n" for limit in limits if limit.where != "key")


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=10_000)
