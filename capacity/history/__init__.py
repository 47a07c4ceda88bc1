"""What was: daily activity, traffic and calls, taken in by strict contracts and read as of a day."""

from capacity.history.daily_activity import DailyActivity
from capacity.history.draft import draft_services
from capacity.history.ingest_report import IngestReport
from capacity.history.ingestion import ingest
from capacity.history.order_requests import order_requests
from capacity.history.store import Store
from capacity.history.traffic import Traffic

__all__ = ["DailyActivity", "IngestReport", "Store", "Traffic", "draft_services", "ingest", "order_requests"]
