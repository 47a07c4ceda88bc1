"""The service catalogue and its call graph, as written in data/services.yaml."""

from capacity.catalog.catalog import Catalog, parse_services
from capacity.catalog.relations import find_cycles
from capacity.catalog.service import Call, Degrade, Entry, HotKey, Service, Slo, Tier

__all__ = [
    "Call",
    "Catalog",
    "Degrade",
    "Entry",
    "HotKey",
    "Service",
    "Slo",
    "Tier",
    "find_cycles",
    "parse_services",
]
