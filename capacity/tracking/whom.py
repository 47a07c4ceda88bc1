"""Whom to call, and what to open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from capacity.catalog import Catalog
from capacity.promotion import Promotion
from capacity.tracking.anomalies import Anomaly


@dataclass(frozen=True)
class Contacts:
    """Who is there, and which runbooks are.

    Attributes
    ----------
    on_call
        Says who has the duty at a moment; empty when nobody is known.
    runbooks
        Path of a service's runbook, relative to the workspace.
    """

    on_call: Callable[[datetime], str] = field(default=lambda _: "")
    runbooks: Mapping[str, str] = field(default_factory=dict)

    def fill(self, anomaly: Anomaly, services: Catalog, promotion: Promotion, now: datetime) -> Anomaly:
        """Put whom to call and what to open into an anomaly."""
        owners = [services[anomaly.service].owner] if anomaly.service in services else []
        terms = [one.contact for one in promotion.third_parties if one.name == anomaly.service and one.contact]
        duty = self.on_call(now)
        call = ", ".join(dict.fromkeys(who for who in (*owners, *terms, duty) if who))
        return replace(anomaly, call=call, runbook=self.runbooks.get(anomaly.service, ""))
