"""Panels of a dashboard, in the schema of Grafana 10 and later."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes
    ----------
    title, says
        What it shows, and how to read it.
    queries
        Legend by expression.
    unit
        In Grafana's words: ``reqps``, ``percentunit``, ``s``, ``short``.
    kind
        ``timeseries``, ``stat``, ``table`` or ``text``.
    links
        Title and address.
    """

    title: str
    says: str
    queries: Mapping[str, str] = field(default_factory=dict)
    unit: str = "reqps"
    kind: str = "timeseries"
    links: Sequence[tuple[str, str]] = ()


def write_panels(panels: Iterable[Panel]) -> list[dict[str, Any]]:
    """Lay panels out, two a row."""
    return [_panel(number, panel) for number, panel in enumerate(panels)]


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    place = {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)}
    body: dict[str, Any] = {
        "id": number + 1,
        "title": panel.title,
        "description": panel.says,
        "type": panel.kind,
        "gridPos": place,
    }
    if panel.links:
        body["links"] = [{"title": title, "url": url, "targetBlank": True} for title, url in panel.links]
    if panel.kind == "text":
        return body | {"options": {"mode": "markdown", "content": panel.says}}
    targets: list[dict[str, Any]] = [
        {"refId": chr(65 + i), "expr": expr, "legendFormat": legend, "datasource": DATASOURCE}
        for i, (expr, legend) in enumerate(panel.queries.items())
    ]
    if panel.kind == "table":
        targets = [target | {"format": "table", "instant": True} for target in targets]
    return body | {
        "datasource": DATASOURCE,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
    }
