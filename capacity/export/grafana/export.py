"""The files of the target ``grafana``: one dashboard a view."""

import hashlib
from typing import Any

from capacity.export.grafana.panel import DATASOURCE, write_panels
from capacity.export.grafana.views import find_views
from capacity.export.source import Export, Source
from capacity.export.words import to_json

_SCHEMA = 39


def export_grafana(source: Source) -> Export:
    """Make one dashboard a view, linked with each other, phases marked."""
    files = {
        f"{name}.json": to_json(_dashboard(source, name, title, write_panels(panels)))
        for name, (title, panels) in find_views(source).items()
    }
    return Export(
        "grafana", files,
        next_steps=("put the files into a provisioned folder, or import them one by one",),
        warnings=("the dashboards read the series of the prometheus target: load its rules first",),
    )  # fmt: skip


def _dashboard(source: Source, name: str, title: str, panels: list[dict[str, Any]]) -> dict[str, Any]:
    phases = source.promotion.phases
    return {
        "uid": hashlib.sha256(f"{source.promotion.id}/{name}".encode()).hexdigest()[:20],
        "title": f"{source.promotion.id}: {title}",
        "description": " ".join(source.header()),
        "tags": ["capacity", source.promotion.id],
        "timezone": source.settings.timezone,
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": phases[0].starts_at.isoformat(), "to": phases[-1].ends_at.isoformat()},
        "links": [
            {"type": "dashboards", "tags": ["capacity", source.promotion.id], "title": "Views", "asDropdown": True}
        ],
        "templating": {"list": [_datasource(), _services()]},
        "annotations": {"list": [_phases()]},
        "panels": panels,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _services() -> dict[str, Any]:
    query = "label_values(capacity:requests:rate, service)"
    return {
        "name": "service", "type": "query", "datasource": DATASOURCE, "query": {"query": query, "refId": "services"},
        "refresh": 2, "multi": True, "includeAll": True, "current": {"text": "All", "value": "$__all"},
    }  # fmt: skip


def _phases() -> dict[str, Any]:
    return {
        "name": "phases",
        "datasource": DATASOURCE, "enable": True, "expr": "capacity:phase", "titleFormat": "{{phase}}",
        "step": "60s", "iconColor": "#E69F00",
    }  # fmt: skip
