"""The workspace's settings and the risk it is ready to take (``capacity.toml``)."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field

from capacity.document import check_document
from capacity.document.contract import (
    Contract,
    Count,
    Fault,
    Name,
    OpenFraction,
    Positive,
    PositiveCount,
    PositiveFraction,
    Text,
)
from capacity.document.zones import find_zone
from capacity.errors import did_you_mean


class Risk(Contract):
    """What may go wrong, and how often.

    Parameters
    ----------
    overload_probability
        That any core service is overloaded in the promotion, jointly; 0.05 is 1 in 20.
    non_core_overload_probability
        The same, jointly over non-core services. Degradable ones are protected by limits.
    zone_losses
        How many zones may be lost at the peak.
    utilization_ceiling
        A policy on top: share of the capacity at the SLO that a plan may use.

    Examples
    --------
    >>> Risk().overload_probability
    0.05
    """

    overload_probability: OpenFraction = 0.05
    non_core_overload_probability: OpenFraction = 0.2
    zone_losses: Count = 1
    utilization_ceiling: PositiveFraction = 1.0


class WhatIf(Risk):
    """A risk to plan for, and a demand to plan for, instead of those of the workspace.

    Parameters
    ----------
    demand
        Multiplies the forecast's people and orders.

    Examples
    --------
    >>> WhatIf.of(Risk(), {"demand": 1.2, "zone_losses": 0}).risk.zone_losses
    0
    >>> WhatIf.of(Risk(), {"demnd": 1.2})
    Traceback (most recent call last):
    capacity.errors.InputError: what-if has a problem...
    """

    demand: Annotated[Positive, Field(le=1000)] = 1.0

    @property
    def risk(self) -> Risk:
        """The risk alone."""
        return Risk(**self.model_dump(include=set(Risk.model_fields)))

    @classmethod
    def of(cls, risk: Risk, changes: Mapping[str, float]) -> "WhatIf":
        """Check changes by name and put them in place of the workspace's risk.

        Raises
        ------
        InputError
            With every unknown name and impossible value.
        """
        values = risk.model_dump() | {
            name: int(value) if float(value).is_integer() else value for name, value in changes.items()
        }
        # JSON is YAML: the numbers meet the same checks, and the same words, as in a file.
        checked: WhatIf = check_document(json.dumps(values), model=cls, where="what-if")
        return checked


class Monitoring(Contract):
    """Where and under which names the company's Prometheus keeps what this program reads and watches.

    Parameters
    ----------
    url
        Of Prometheus, without credentials: these come from ``CAPACITY_PROMETHEUS_TOKEN``, or from the file that
        ``CAPACITY_PROMETHEUS_TOKEN_FILE`` names, never from a file of the workspace.
    service_label
        The label that holds the service's name.
    requests, errors, rejected
        Selectors of counters: requests that arrived, those that failed, those that a limit turned away. Empty: not
        recorded.
    latency_buckets
        Selector of the buckets of a latency histogram in seconds. Empty: not recorded.
    cpu_fraction, instances
        Expressions with a value an instance: the share of its CPU in use (averaged over a service), and anything
        while it serves (counted). Empty: not recorded.
    scrape_interval_s
        How often counters are read: no rate is known over less than two of these.
    trace_url
        Where a service's traces are looked at, with ``{service}`` in its place. Empty: no links.

    Examples
    --------
    >>> Monitoring().service_label
    'service'
    """

    url: Text = ""
    service_label: Annotated[str, Field(strict=True, pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] = "service"
    requests: Text = "http_requests_total"
    errors: Text = 'http_requests_total{code=~"5.."}'
    rejected: Text = 'http_requests_total{code="429"}'
    latency_buckets: Text = "http_request_duration_seconds_bucket"
    cpu_fraction: Text = ""
    instances: Text = "up == 1"
    scrape_interval_s: Positive = 15.0
    trace_url: Text = ""

    def faults(self) -> Iterator[Fault]:
        """Yield a URL that Prometheus cannot have, or that holds a password."""
        parts = urlsplit(self.url)
        if parts.username is not None or parts.password is not None:
            remedy = "put a token into CAPACITY_PROMETHEUS_TOKEN"
            yield Fault(("url",), "a URL with credentials", "none in a file", remedy)
        elif self.url and (parts.scheme not in ("http", "https") or not parts.hostname):
            yield Fault(("url",), repr(self.url), "http://HOST:PORT or https://HOST")
        if not self.requests:
            yield Fault(("requests",), "nothing", "a counter such as http_requests_total")


class Exports(Contract):
    """What exported files have to know of the systems that take them.

    Parameters
    ----------
    gateways
        Over how many gateways requests are spread evenly: each enforces its share of a cluster limit.
    health_path
        Path of health checks, which no limit may turn away.
    caller_header
        Header in which a caller names itself, for limits of single callers.
    item_argument
        Query argument that names the item asked for, for limits of hot keys.
    """

    gateways: PositiveCount = 1
    health_path: Annotated[str, Field(strict=True, pattern="^/[A-Za-z0-9/_.-]*$")] = "/healthz"
    caller_header: Annotated[str, Field(strict=True, pattern="^[A-Za-z][A-Za-z0-9-]*$")] = "X-Caller"
    item_argument: Annotated[str, Field(strict=True, pattern="^[a-z][a-z0-9_]*$")] = "item"


class Settings(Contract):
    """What holds for a whole workspace.

    Parameters
    ----------
    timezone
        IANA name; a time without an offset is in this zone, a day is a day of this zone.
    currency
        Of all costs; a three-letter code.
    country
        Whose holidays count; a two-letter code, ``None`` for none.
    engine
        ``duckdb``, or a connection URL of another engine.
    risk
        See `Risk`.
    monitoring
        See `Monitoring`.
    export
        See `Exports`.

    Examples
    --------
    >>> Settings(timezone="Asia/Shanghai", country="CN").zone
    zoneinfo.ZoneInfo(key='Asia/Shanghai')
    >>> Settings(timezone="UTC", currency="EUR", risk={"zone_losses": 0}).assumptions()[0]
    'country is not given: no public holidays are counted in forecasts'
    """

    timezone: Name = "UTC"
    currency: str = Field(default="CNY", strict=True, pattern="^[A-Z]{3}$")
    country: str | None = Field(default=None, strict=True, pattern="^[A-Z]{2}$")
    engine: Text = "duckdb"
    risk: Risk = Risk()
    monitoring: Monitoring = Monitoring()
    export: Exports = Exports()

    def faults(self) -> Iterator[Fault]:
        """Yield an unknown time zone."""
        if find_zone(self.timezone) is None:
            remedy = did_you_mean(self.timezone, available_timezones())
            yield Fault(("timezone",), repr(self.timezone), "an IANA time zone such as Asia/Shanghai", remedy)

    @property
    def zone(self) -> ZoneInfo:
        """The workspace's time zone."""
        return ZoneInfo(self.timezone)

    def assumptions(self) -> list[str]:
        """Say every default that is in use, with its effect."""
        found = []
        if self.assumed("timezone"):
            found.append("timezone is not given: days and times without an offset are read as UTC")
        if self.assumed("currency"):
            found.append(f"currency is not given: costs are called {self.currency}")
        if self.country is None:
            found.append("country is not given: no public holidays are counted in forecasts")
        meanings = {
            "overload_probability": "a core service may be overloaded in {} of promotions",
            "non_core_overload_probability": "a non-core service may be overloaded in {} of promotions",
            "zone_losses": "{} zone may be lost at the peak",
            "utilization_ceiling": "a plan may use {} of the capacity at the SLO",
        }
        for key, meaning in meanings.items():
            if self.risk.assumed(key):
                value = getattr(self.risk, key)
                shown = str(value) if key == "zone_losses" else f"{100 * value:g} %"
                found.append(f"risk.{key} is not given: {meaning.format(shown)}")
        return found


def parse_settings(text: str, *, where: str = "capacity.toml") -> Settings:
    """Read ``capacity.toml``.

    Parameters
    ----------
    text
        The file's content.
    where
        Its name in messages.

    Returns
    -------
    Settings
        Checked.

    Raises
    ------
    InputError
        With every problem of the file.

    Examples
    --------
    >>> parse_settings('timezone = "Asia/Shanghai"').risk.zone_losses
    1
    """
    settings: Settings = check_document(text, model=Settings, where=where, notation="toml")
    return settings
