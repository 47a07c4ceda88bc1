"""Access logs into ``traffic``: lines taken apart by DuckDB in one pass, counted by the second, kept by the minute."""

from capacity.history.access_log.ingest import AccessLogReport, ingest_access_log
from capacity.history.access_log.services import ServiceRule, parse_service_rule

__all__ = ["AccessLogReport", "ServiceRule", "ingest_access_log", "parse_service_rule"]
