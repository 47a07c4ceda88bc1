"""Plans as texts for the systems that carry them out, one file a target."""

from capacity.export.k6 import k6_script
from capacity.export.locust import locust_file
from capacity.export.source import Export, Source
from capacity.export.targets import TARGETS, make_export

__all__ = ["TARGETS", "Export", "Source", "k6_script", "locust_file", "make_export"]
