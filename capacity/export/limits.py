"""The plan's limits as gateways and instances enforce them: shares, buckets, names that are safe in any file."""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from capacity.display.escape import plain, safe_slug
from capacity.export.source import Source

_LONGEST = 80


@dataclass(frozen=True)
class Limit:
    """One limit to enforce.

    Attributes
    ----------
    service, slug
        Whose requests; the slug is ASCII letters, digits, ``_`` alone and different for different services.
    where
        ``instance`` (on each instance), ``gateway`` (each gateway's share), ``edge`` (of one caller) or ``key``.
    rate_qps
        Requests a second.
    burst_requests
        What may come at once on top, one request at least.
    caller
        Of an edge.
    origin
        Where the number comes from, harmless in a comment of one line.
    """

    service: str
    slug: str
    where: str
    rate_qps: float
    burst_requests: float
    caller: str
    origin: str

    @property
    def name(self) -> str:
        """Return a name that no other limit has."""
        return f"{self.where}_{self.slug}" + (f"_from_{identifier(self.caller)}" if self.caller else "")


def find_limits(source: Source) -> Iterator[Limit]:
    """Yield every limit of a plan that a proxy can enforce; behind a queue there is none."""
    gateways = source.settings.export.gateways
    for service, planned in source.document["services"].items():
        if planned.get("queue"):
            continue
        field = f"plan.json services[{plain(service)[:60]}]"
        slug = identifier(service)
        cluster, instance, key = (
            planned.get(name) for name in ("cluster_limit_qps", "instance_limit_qps", "key_limit_qps")
        )
        if cluster:
            says = f"{field}.cluster_limit_qps {cluster:g}/s over {gateways} gateways"
            yield Limit(service, slug, "gateway", cluster / gateways, _bucket(planned, cluster) / gateways, "", says)
        if instance:
            burst = planned.get("instance_burst_requests") or instance * 0.01
            other = planned.get("instance_limit_no_false_reject_qps")
            says = f"{field}.instance_limit_qps {instance:g}/s, always safe"
            says += f" ({other:g}/s rejects nothing wrongly)" if other else ""
            yield Limit(service, slug, "instance", instance, burst, "", says)
        if key:
            says = f"{field}.key_limit_qps {key:g}/s for each key over {gateways} gateways"
            yield Limit(service, slug, "key", key / gateways, key / gateways * 0.1, "", says)
    yield from _edges(source, gateways)


def _edges(source: Source, gateways: int) -> Iterator[Limit]:
    for edge in source.document["edges"]:
        callee, limit = edge["callee"], edge.get("limit_qps")
        planned = source.document["services"].get(callee, {})
        if not limit or planned.get("queue"):
            continue
        burst = (edge.get("burst_requests") or limit * 0.01) / gateways
        says = f"plan.json edges[{plain(edge['caller'])[:60]} to {plain(callee)[:60]}].limit_qps {limit:g}/s"
        says += f" over {gateways} gateways"
        yield Limit(callee, identifier(callee), "edge", limit / gateways, burst, edge["caller"], says)


def _bucket(planned: dict[str, float], cluster: float) -> float:
    return float(planned.get("burst_requests") or cluster * 0.01)


def identifier(name: str) -> str:
    """Return a name of letters, digits and ``_`` alone, different for different names.

    Examples
    --------
    >>> identifier("order-db"), identifier("order_db")
    ('order_2d_db', 'order_db')
    """
    slug = safe_slug(name)
    plainly = "".join(c if (c.isascii() and c.isalnum()) or c == "_" else f"_{ord(c):x}_" for c in slug)
    if len(plainly) <= _LONGEST:
        return plainly
    return f"{plainly[: _LONGEST - 9]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def whole_burst(limit: Limit) -> int:
    """Return the burst in whole requests, one at least: a bucket has to hold a request to let one through."""
    return max(math.floor(limit.burst_requests), 1)
