"""The evening: what is seen against the plan's band and limits, and what it makes of the rest.

The way through: `watch` brings the last minutes, `paths` lays the plan's futures out by the clock, `update` moves
their peaks by what was seen, `projection` says what is to come, `anomalies` what is out of order; `tracker` does it
again and again, `record` writes it down.
"""

from capacity.tracking.alerts import ask_alerts
from capacity.tracking.anomalies import Anomaly
from capacity.tracking.misfit import Misfit, learn_misfit
from capacity.tracking.record import entries_of
from capacity.tracking.status import Status
from capacity.tracking.tracker import Tracker
from capacity.tracking.watch import WatchedPrometheus, WatchedTraffic
from capacity.tracking.whom import Contacts

__all__ = [
    "Anomaly", "Contacts", "Misfit", "Status", "Tracker", "WatchedPrometheus", "WatchedTraffic", "ask_alerts",
    "entries_of", "learn_misfit",
]  # fmt: skip
