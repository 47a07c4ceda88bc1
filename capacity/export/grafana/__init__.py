"""Dashboards of the evening for Grafana: the eight views of the playbook."""

from capacity.export.grafana.export import export_grafana

__all__ = ["export_grafana"]
