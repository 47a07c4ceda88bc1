"""The tracking page: how a promotion stood at one moment."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from capacity.errors import NotCoveredError, UsageError
from capacity.questions import follow_promotion
from capacity.report.verdict import Metric, Verdict, record

if TYPE_CHECKING:
    from capacity.tracking import Status
    from capacity.workspace import Workspace

_FIRST = timedelta(minutes=10)


def tracking_status(ws: "Workspace", promotion_id: str, *, at: str = "") -> "Status":
    """Say how a promotion stands, or stood.

    Parameters
    ----------
    ws
        The company's folder.
    promotion_id
        Which promotion.
    at
        The moment, ISO 8601. Empty: now where Prometheus is known, else the last minute of the ``traffic`` table; when
        the promotion is over, ten minutes after its start.

    Raises
    ------
    NotCoveredError
        If no minute is known, or there is no plan.
    UsageError
        If the moment is none.
    """
    promotion = ws.promotions[promotion_id]
    replay = not ws.settings.monitoring.url
    tracker = follow_promotion(ws, promotion_id, replay=replay)
    last = ws.traffic().last_at if replay else datetime.now(ws.settings.zone)
    if last is None:
        raise NotCoveredError(
            "no traffic is known to be tracked", remedy="ingest it, or name Prometheus in capacity.toml"
        )
    moment = _read(ws, at) if at else last.astimezone(ws.settings.zone)
    if not at and moment >= promotion.phases[-1].ends_at:
        moment = promotion.starts_at + _FIRST
    return tracker.poll(moment, journal=ws.journal(promotion_id))


def tracking_verdict(status: "Status") -> Verdict:
    """Say what is urgent, and how many futures reach a limit."""
    most = float(status.projection.limit_probability.max(initial=0.0))
    metrics: list[Metric] = [
        {"name": "urgent", "value": len(status.urgent), "unit": "things"},
        {"name": "out_of_order", "value": len(status.anomalies), "unit": "things"},
        {"name": "largest_limit_probability", "value": most, "unit": "fraction"},
    ]
    return record(f"{status.summary()}.", metrics)


def _read(ws: "Workspace", at: str) -> datetime:
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f"at: got {at!r}, expected a time such as 2026-11-10T20:10") from None
    return found.replace(tzinfo=ws.settings.zone) if found.tzinfo is None else found
