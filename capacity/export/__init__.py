"""Plans as texts for the systems that carry them out, one file a target."""

from capacity.export.k6 import k6_script
from capacity.export.locust import locust_file

__all__ = ["k6_script", "locust_file"]
