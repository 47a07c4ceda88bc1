"""How a promotion stands at one moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from capacity.result import Result
from capacity.tracking.anomalies import Anomaly
from capacity.tracking.projection import Projection
from capacity.tracking.watch import Seen

if TYPE_CHECKING:
    from capacity.display.figures import Chart
    from capacity.tracking.paths import Paths


@dataclass(frozen=True, repr=False, eq=False)
class Status(Result):
    """What is seen, what it makes of the rest, and what is out of order.

    Attributes
    ----------
    promotion_id, now, phase
        Which promotion, when, in which of its phases (None: in none).
    seen, projection
        The last minutes, and the peak to come.
    anomalies
        What is urgent first.
    limits_qps, capacity_qps : ndarray, shape (service,)
        Cluster limits and safe capacities of the plan; NaN where there are none.
    minutes
        What was seen so far: ``ts, service, interval_s, requests`` and more.
    paths
        The plan's futures.
    notes
        What a reader must know: where it comes from, what is missing.
    watched
        Whether the last look brought anything.
    """

    promotion_id: str
    starts_at: datetime
    now: datetime
    phase: str | None
    seen: Seen
    projection: Projection
    anomalies: tuple[Anomaly, ...]
    limits_qps: Any
    capacity_qps: Any
    minutes: pd.DataFrame
    paths: "Paths"
    notes: tuple[str, ...] = ()
    watched: bool = True

    units: ClassVar[dict[str, str]] = dict.fromkeys(
        ("now", "forecast_q05", "forecast_q95", "peak_q05", "peak_q50", "peak_q95", "limit", "takes"), "requests/s"
    ) | {"to_limit": "min"}

    @property
    def urgent(self) -> tuple[Anomaly, ...]:
        """What somebody has to act on now."""
        return tuple(one for one in self.anomalies if one.urgent)

    def summary(self) -> str:
        """Return one line: when, in which phase, how much is urgent, and what first."""
        where = f"in {self.phase}" if self.phase else "outside of its phases"
        head = f"{self.promotion_id} at {self.now:%Y-%m-%d %H:%M:%S %z}, {where}"
        if not self.anomalies:
            return f"{head}: nothing is out of order"
        first = self.anomalies[0]
        what = f"{first.service} {first.kind.replace('_', ' ')}: {first.says}".strip()
        return f"{head}: {len(self.urgent)} urgent of {len(self.anomalies)}; {what}"

    def to_frame(self) -> pd.DataFrame:
        """Return one row a service, those nearest to their limit first."""
        p = self.projection
        frame = pd.DataFrame(
            {
                "service": list(self.seen.services),
                "now": self.seen.latest_qps,
                "forecast_q05": p.now_q05,
                "forecast_q95": p.now_q95,
                "peak_q05": p.rest_peak[0],
                "peak_q50": p.rest_peak[1],
                "peak_q95": p.rest_peak[2],
                "limit": self.limits_qps,
                "takes": self.capacity_qps,
                "limit_probability": p.limit_probability,
                "to_limit": p.minutes_to_limit,
                "rejected_fraction": self.seen.rejected_fraction,
                "instances": self.seen.instances,
            }
        )
        used = np.nan_to_num(p.rest_peak[1] / np.where(self.limits_qps > 0, self.limits_qps, np.nan), nan=-1.0)
        order = np.lexsort((-used, -p.limit_probability))
        return frame.iloc[order].reset_index(drop=True)

    def anomaly_frame(self) -> pd.DataFrame:
        """Return one row an anomaly, what is urgent first."""
        rows = [
            ("now" if one.urgent else "watch", one.kind.replace("_", " "), one.service, one.says, one.call, one.runbook)
            for one in self.anomalies
        ]
        return pd.DataFrame(rows, columns=["when", "what", "service", "says", "call", "open"])

    def to_document(self) -> dict[str, object]:
        """Return plain values, as ``capacity track --json`` prints them."""
        return {
            "promotion": self.promotion_id,
            "at": self.now.isoformat(),
            "phase": self.phase,
            "summary": self.summary(),
            "services": self.to_frame().to_dict("records"),
            "anomalies": [vars(one) for one in self.anomalies],
            "notes": list(self.notes),
        }

    def plot(self, service: str | None = None) -> "Chart":
        """Draw what a service gets against the forecast's band, its limit and the peak to come."""
        from capacity.tracking.figure import draw_service

        return draw_service(self, service or self.to_frame()["service"].iloc[0])
