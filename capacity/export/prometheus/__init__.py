"""Recording and alert rules of the evening, with their unit tests: for Prometheus 2.42 and later."""

from capacity.export.prometheus.export import export_prometheus

__all__ = ["export_prometheus"]
