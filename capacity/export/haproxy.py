"""Limits for HAProxy: a counter of what was let through, over a sliding second or a part of one.

Read from HAProxy's configuration manual, "stick-table" and "sc-inc-gpc0". ``http_req_rate`` counts what is turned away
too, so that under lasting overload a plain deny lets nothing through; here only admitted requests are counted.
"""

import math
from collections.abc import Iterator

from capacity.export.limits import Limit, find_limits
from capacity.export.source import Export, Source

FILE, CHECK = "capacity_limits.cfg", "capacity_check.cfg"
_FEW = 20  # admitted requests in a period: whole numbers then cost 5 % at most
_SHORTEST_MS, _LONGEST_MS = 100, 60_000


def export_haproxy(source: Source) -> Export:
    """Make the tables, and the rules of each service for its frontend or backend."""
    limits = [limit for limit in find_limits(source) if limit.where in ("gateway", "instance")]
    header = "".join(f"# {line}\n" for line in source.header())
    tables = "".join(_table(limit) for limit in limits)
    snippets = dict(_snippets(source, limits, header))
    files = {FILE: header + tables, **snippets, CHECK: header + _check(tables, snippets)}
    return Export(
        "haproxy", files,
        next_steps=(
            f"haproxy -c -f {CHECK}",
            f"load {FILE} beside haproxy.cfg (-f twice), and copy each service's rules into its frontend or backend",
        ),
        warnings=(
            "HAProxy has no token bucket: up to a period's requests may come at once, which the comments give",
            "limits of single callers and of hot keys are not written for HAProxy",
        ),
    )  # fmt: skip


def period_ms(rate_qps: float) -> int:
    """Return over how many milliseconds requests are counted: as short as whole numbers allow."""
    return min(max(math.ceil(1000 * _FEW / rate_qps), _SHORTEST_MS), _LONGEST_MS)


def _admitted(limit: Limit) -> int:
    return max(math.floor(limit.rate_qps * period_ms(limit.rate_qps) / 1000 + 1e-9), 1)


def _table(limit: Limit) -> str:
    period = period_ms(limit.rate_qps)
    return (
        f"# {limit.origin}: {_admitted(limit)} in {period} ms, which may come at once\n"
        f"backend capacity_{limit.name}\n"
        f"    stick-table type integer size 1 expire 10m store gpc0,gpc0_rate({period}ms)\n"
    )


def _rules(source: Source, limit: Limit) -> str:
    table, health = f"capacity_{limit.name}", source.settings.export.health_path
    return (
        f"    # {limit.origin}\n"
        f"    acl capacity_health path {health}\n"
        f"    http-request track-sc0 int(1) table {table} unless capacity_health\n"
        "    http-request deny deny_status 429 if !capacity_health "
        f"{{ sc0_gpc0_rate({table}) ge {_admitted(limit)} }}\n"
        f"    http-request sc-inc-gpc0(0) unless capacity_health\n"
    )


def _snippets(source: Source, limits: list[Limit], header: str) -> Iterator[tuple[str, str]]:
    for limit in limits:
        yield f"capacity_{limit.name}.cfg", header + _rules(source, limit)


def _check(tables: str, snippets: dict[str, str]) -> str:
    """Write a whole configuration with every rule, for HAProxy's own check."""
    parts = [
        "defaults\n    mode http\n    timeout connect 1s\n    timeout client 30s\n    timeout server 30s\n\n",
        tables,
    ]
    for number, (name, text) in enumerate(snippets.items()):
        rules = "".join(f"{line}\n" for line in text.splitlines() if line.startswith("    "))
        own = name.removesuffix(".cfg")
        parts.append(f"\nfrontend check_{own}\n    bind 127.0.0.1:{20000 + number}\n{rules}    default_backend check\n")
    return "".join([*parts, "\nbackend check\n    server one 127.0.0.1:9\n"])
