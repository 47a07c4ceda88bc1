"""What is seen: the minutes up to now, from Prometheus or from the ``traffic`` table."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.history.prometheus import Prometheus, ask_traffic
from capacity.settings import Monitoring

if TYPE_CHECKING:
    from capacity.history import Traffic

Floats = NDArray[np.float64]
MEASURES = ("requests", "errors", "rejected", "p95_ms", "p99_ms", "instances")


class Watched(Protocol):
    """Where minutes come from."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    def minutes(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Return ``ts, service, interval_s`` and the measures that are known, of intervals that are over at `end`."""
        ...


@dataclass(frozen=True)
class WatchedPrometheus:
    """A Prometheus server, asked minute by minute, or as finely as it is scraped."""

    server: Prometheus
    names: Monitoring

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"Prometheus at {self.server.url}"

    @property
    def step_s(self) -> float:
        """Two scrapes, a minute at least."""
        return float(60 * max(-(-2 * self.names.scrape_interval_s // 60), 1))

    def minutes(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Ask for whole intervals of a span."""
        first = start.timestamp() // self.step_s * self.step_s
        rows, _ = ask_traffic(
            self.server, self.names, start_s=first, end_s=end.timestamp(), step_s=self.step_s, columns=MEASURES
        )
        return rows.assign(interval_s=self.step_s)


@dataclass(frozen=True)
class WatchedTraffic:
    """The ``traffic`` table: an evening played again."""

    traffic: "Traffic"

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "the traffic table"

    def minutes(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Read the intervals of a span that are over at its end."""
        rows = self.traffic.window(start, end)
        over = rows["ts"] + pd.to_timedelta(rows["interval_s"], unit="s") <= end
        return rows[over & (rows["interval_s"] <= 600)]


@dataclass(frozen=True)
class Seen:
    """The last minutes of every service.

    Attributes
    ----------
    services : tuple of str
    level_qps : ndarray, shape (service,)
        Mean over the window; NaN where nothing is known.
    latest_qps : ndarray, shape (service,)
        Of the last interval.
    error_fraction, rejected_fraction : ndarray, shape (service,)
        Over the window; errors of what was not rejected.
    p95_ms, p99_ms, instances : ndarray, shape (service,)
        Of the last interval that knows them.
    covered : ndarray, shape (service,)
        Share of the window that is known.
    """

    services: tuple[str, ...]
    level_qps: Floats
    latest_qps: Floats
    error_fraction: Floats
    rejected_fraction: Floats
    p95_ms: Floats
    p99_ms: Floats
    instances: Floats
    covered: Floats


def last_minutes(rows: pd.DataFrame, services: tuple[str, ...], *, start: datetime, end: datetime) -> Seen:
    """Sum up the intervals of a window.

    Parameters
    ----------
    rows
        As of `Watched.minutes`.
    services
        In the plan's order; others are left out.
    start, end
        The window.
    """
    inside = rows[(rows["ts"] >= start) & (rows["ts"] < end) & rows["service"].isin(services)].sort_values("ts")
    groups = inside.groupby("service")

    def total(name: str) -> Floats:
        return _aligned(groups[name].sum(min_count=1), services) if name in inside else np.full(len(services), np.nan)

    def latest(name: str) -> Floats:
        return _aligned(groups[name].last(), services) if name in inside else np.full(len(services), np.nan)

    requests, seconds = total("requests"), total("interval_s")
    rejected, errors = total("rejected"), total("errors")
    served = requests - np.nan_to_num(rejected)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Seen(
            services=services,
            level_qps=requests / seconds,
            latest_qps=latest("requests") / latest("interval_s"),
            error_fraction=np.where(served > 0, errors / served, np.nan),
            rejected_fraction=np.where(requests > 0, rejected / requests, np.nan),
            p95_ms=latest("p95_ms"),
            p99_ms=latest("p99_ms"),
            instances=latest("instances"),
            covered=np.nan_to_num(seconds) / max((end - start).total_seconds(), 1.0),
        )


def _aligned(values: "pd.Series[float]", services: tuple[str, ...]) -> Floats:
    return np.asarray(values.reindex(list(services)).to_numpy(dtype=float))
