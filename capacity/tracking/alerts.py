"""Alerts that Prometheus raised, as entries of a journal."""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from capacity.history.prometheus import Prometheus, Series
from capacity.journal import Entry, new_entry

AUTHOR = "Prometheus"
_TEXT_LABELS = ("severity", "promotion", "phase")


def ask_alerts(
    server: Prometheus, *, start: datetime, end: datetime, timezone: str, service_label: str, step_s: float = 15.0
) -> tuple[Entry, ...]:
    """Return an entry for each time an alert began to fire in a span.

    Read from the series ``ALERTS{alertstate="firing"}`` that Prometheus writes of itself (its documentation, "Alerting
    rules"). The same span asked again gives the same entries, so that importing twice adds nothing.

    Parameters
    ----------
    server
        Whom to ask.
    start, end
        Aware.
    timezone
        The workspace's zone.
    service_label
        The label that holds the service's name.
    step_s
        How finely to look: an alert that fires for less may be missed, one that pauses for less is one.

    Raises
    ------
    UnreachableError
        If the server does not answer.
    """
    first = np.ceil(start.timestamp() / step_s) * step_s
    found = server.query_range('ALERTS{alertstate="firing"}', start_s=first, end_s=end.timestamp(), step_s=step_s)
    entries = [
        new_entry(
            "alert", _text(one.labels), timezone=timezone, at=datetime.fromtimestamp(moment, UTC), who=AUTHOR,
            service=one.labels.get(service_label), ref=one.labels.get("runbook"),
        )
        for one in found for moment in _began(one, step_s)
    ]  # fmt: skip
    return tuple(sorted(entries, key=lambda entry: (entry.at, entry.service or "", entry.text)))


def _began(series: Series, step_s: float) -> list[float]:
    fresh = np.diff(series.at_s, prepend=-np.inf) > 1.5 * step_s
    return [float(moment) for moment in series.at_s[fresh]]


def _text(labels: Mapping[str, str]) -> str:
    more = [f"{name} {labels[name]}" for name in _TEXT_LABELS if labels.get(name)]
    name = labels.get("alertname", "an alert without a name")
    return f"{name} ({', '.join(more)})" if more else name
