"""Limits for nginx: ``limit_req`` with a bucket, per instance and per gateway's share.

Read from nginx's documentation, "Module ngx_http_limit_req_module": a leaky bucket with the precision of a millisecond,
rates in whole requests a second or a minute. Written per minute here, rounded down, it is exact to 1/60 of a request.
"""

import math
from collections.abc import Iterator

from capacity.export.limits import Limit, find_limits, whole_burst
from capacity.export.source import Export, Source

ZONES, CHECK = "capacity_zones.conf", "capacity_check.conf"
_LEAST_PER_MINUTE = 1


def export_nginx(source: Source) -> Export:
    """Make the zones, and for each service a snippet for its location on gateways and on its instances."""
    limits = [limit for limit in find_limits(source) if _per_minute(limit) >= _LEAST_PER_MINUTE]
    header = "".join(f"# {line}\n" for line in source.header())
    snippets = dict(_snippets(limits, header))
    files = {ZONES: header + "".join(_zones(source, limits)), **snippets, CHECK: _check(header, snippets)}
    return Export(
        "nginx", files,
        next_steps=(
            f'nginx -t -c "$PWD/{CHECK}"',
            f"include {ZONES} once in http {{}}, each snippet in the location that passes the service's requests on",
            "limit_req_dry_run on; tries a limit without enforcing it, and $limit_req_status tells in the log",
        ),
        warnings=(
            "a location that answers with return is never limited: nginx answers before it looks; use proxy_pass",
            "buckets are nginx's own, one a server: a gateway that goes away takes its share with it",
            "hot keys are told apart by the query argument that [export] item_argument names",
        ),
    )  # fmt: skip


def _per_minute(limit: Limit) -> int:
    return math.floor(limit.rate_qps * 60 + 1e-9)


def _zones(source: Source, limits: list[Limit]) -> Iterator[str]:
    health = source.settings.export.health_path
    header = "$http_" + source.settings.export.caller_header.lower().replace("-", "_")
    yield f'map $uri $capacity_every {{ default 1; {health} ""; }}  # health checks are never turned away\n'
    for number, limit in enumerate(limits):
        key = "$capacity_every"
        if limit.where == "edge":
            key = f"$capacity_caller_{number}"  # nginx bounds how long a variable's name may be
            yield f'map {header} {key} {{ default ""; {_quoted(limit.caller)} 1; }}\n'
        if limit.where == "key":
            key = f"$arg_{source.settings.export.item_argument}"
        size = "10m" if limit.where == "key" else "64k"
        yield f"# {limit.origin}\n"
        yield f"limit_req_zone {key} zone=capacity_{limit.name}:{size} rate={_per_minute(limit)}r/m;\n"


def _snippets(limits: list[Limit], header: str) -> Iterator[tuple[str, str]]:
    for where, kinds in (("gateway", ("gateway", "key", "edge")), ("instance", ("instance",))):
        for slug in dict.fromkeys(limit.slug for limit in limits):
            own = [limit for limit in limits if limit.slug == slug and limit.where in kinds]
            if own:
                lines = [f"limit_req zone=capacity_{one.name} burst={whole_burst(one)} nodelay;\n" for one in own]
                yield f"capacity_{where}_{slug}.conf", f"{header}limit_req_status 429;\n{''.join(lines)}"


def _check(header: str, snippets: dict[str, str]) -> str:
    """Write a whole configuration that includes every file, for nginx's own check."""
    places = "".join(
        f"    location /{name.removesuffix('.conf')} {{ include {name}; proxy_pass http://127.0.0.1:9; }}\n"
        for name in snippets
    )
    return (
        f"{header}pid /tmp/capacity_check.pid;\nevents {{}}\nhttp {{\n  include {ZONES};\n"
        f"  server {{\n    listen 127.0.0.1:8429;\n{places}  }}\n}}\n"
    )


def _quoted(text: str) -> str:
    r"""Write any text as one parameter of nginx.

    In the source values of a map a ``$`` is a plain sign, but a leading ``~`` or a special word is not: a backslash
    keeps those plain.
    """
    inner = "".join(c if c.isprintable() else "?" for c in text).replace("\\", "\\\\").replace('"', '\\"')
    special = inner.startswith("~") or inner in ("default", "include", "hostnames", "volatile")
    guard = "\\\\" if special else ""
    return f'"{guard}{inner}"'
