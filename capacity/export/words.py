"""Words shared by several targets: names that Kubernetes takes, selectors, cron lines, JSON with its origin."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

_LONGEST = 52  # of 63, for what Kubernetes and KEDA put before and behind


def dns_name(name: str) -> str:
    """Return a name that Kubernetes, Backstage and OpenSLO take, different for different names.

    Examples
    --------
    >>> dns_name("order-db"), dns_name("Order DB")
    ('order-db', 'order-db-e6dbcc30')
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain == name and len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9].strip('-')}-{digest}".strip("-")


def with_matchers(selector: str, matchers: str) -> str:
    """Add matchers to a selector of PromQL.

    Examples
    --------
    >>> with_matchers("http_requests_total", 'service="a"'), with_matchers('x{code="5"}', 'le="1"')
    ('http_requests_total{service="a"}', 'x{code="5",le="1"}')
    """
    name, brace, inside = selector.rstrip().rstrip("}").partition("{")
    inner = f"{inside.rstrip().rstrip(',')},{matchers}" if brace and inside.strip() else matchers
    return f"{name}{{{inner}}}"


def cron_at(moment: datetime) -> str:
    """Return the cron line of a moment of every year: cron knows no year.

    Examples
    --------
    >>> cron_at(datetime(2026, 11, 9, 0, 30))
    '30 0 9 11 *'
    """
    return f"{moment.minute} {moment.hour} {moment.day} {moment.month} *"


def to_json(document: Mapping[str, object] | Sequence[object]) -> str:
    """Write a document as a text that ends its last line."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
