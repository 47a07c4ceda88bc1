"""What was left: peaks against limits and capacity, what limiters turned away, instances in money, SLO minutes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.retrospective.frames import number, rows_of
from capacity.retrospective.observed import MINUTE_S, Observed
from capacity.retrospective.planned import Planned

if TYPE_CHECKING:
    from capacity.catalog import Catalog

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.integer[Any]]

UNITS: dict[str, str] = {
    "peak_qps": "requests/s",
    "limit_qps": "requests/s",
    "peak_of_limit": "fraction",
    "planned_capacity_qps": "requests/s",
    "peak_of_planned_capacity": "fraction",
    "used_capacity_qps": "requests/s",
    "peak_of_used_capacity": "fraction",
    "proven_instance_qps": "requests/s",
    "rejected": "requests",
    "rejected_fraction": "fraction",
    "limited_minutes": "min",
    "limited_seconds_at_most": "s",
    "wrongly_rejected": "requests",
    "possibly_wrongly_rejected": "requests",
    "instances_planned": "instances",
    "instances_used": "instances",
    "instances_needed": "instances",
    "wasted_instance_hours": "instance-hours",
    "wasted_cost": "currency",
    "idle_cost": "currency",
    "short_hours": "h",
    "slo_minutes_broken": "min",
    "slo_minutes_judged": "min",
}


@dataclass(frozen=True)
class Rows:
    """The traffic's rows as arrays, all of shape ``(row,)``; NaN where unknown.

    Attributes
    ----------
    of
        Position of each row's service.
    host_at
        Position of each row's pool and moment together, below ``n_cells``.
    seconds, requests, rejected, rate, second
        Length of the interval; requests in it and those turned away; its mean and its busiest second, requests/s. Of
        what waits in queues both are the mean over the time it may wait.
    serving
        Instances serving, of the pool where the service has none of its own.
    broken, judged
        Whether the SLO was broken, and whether that can be told.
    moments
        Start of the interval.
    """

    of: Places
    host_at: Places
    n_cells: int
    seconds: Floats
    requests: Floats
    rejected: Floats
    rate: Floats
    second: Floats
    serving: Floats
    broken: Mask
    judged: Mask
    moments: NDArray[np.datetime64]

    @property
    def admitted_per_instance(self) -> Floats:
        """Requests/s let in, an instance."""
        with np.errstate(divide="ignore", invalid="ignore"):
            admitted = (self.requests - np.nan_to_num(self.rejected)) / self.seconds / self.serving
        return np.where(np.isfinite(admitted), admitted, np.nan)


def lay_out_rows(observed: Observed, planned: Planned, catalog: "Catalog | None") -> Rows:
    """Bring the observed rows into arrays and judge each against its service's SLO."""
    frame = observed.rows
    of = frame["service"].map({name: place for place, name in enumerate(planned.services)}).to_numpy(dtype=np.int64)
    moments = np.asarray(frame["ts"].dt.tz_convert("UTC").dt.tz_localize(None), dtype="datetime64[us]")
    unique, when = np.unique(moments, return_inverse=True)
    host_at = planned.host[of] * len(unique) + when
    n_cells = len(planned.services) * len(unique)
    own = frame["instances"].to_numpy()
    is_host = planned.host[of] == of
    by_cell = np.full(n_cells, np.nan)
    by_cell[host_at[is_host]] = own[is_host]
    has_own = np.zeros(len(planned.services), dtype=bool)
    has_own[of[np.isfinite(own)]] = True
    broken, judged = _judge_slo(frame, of, planned.services, catalog)
    rate, second = frame["rate_qps"].to_numpy(), frame["second_qps"].to_numpy()
    for place in np.flatnonzero(planned.may_wait_s > MINUTE_S):
        queue = of == place
        rate = np.where(queue, 0.0, rate)
        rate[queue] = _drained(moments[queue], frame["requests"].to_numpy()[queue], planned.may_wait_s[place])
        second = np.where(queue, rate, second)
    return Rows(
        of,
        host_at,
        n_cells,
        frame["interval_s"].to_numpy(),
        frame["requests"].to_numpy(),
        frame["rejected"].to_numpy(),
        rate,
        second,
        np.where(has_own[of], own, by_cell[host_at]),
        broken,
        judged,
        moments,
    )


def measure_headroom(rows: Rows, planned: Planned, peaks: pd.DataFrame, catalog: "Catalog | None") -> pd.DataFrame:
    """Compare what each service bore with what it was given.

    Parameters
    ----------
    rows
        What came.
    planned
        What the plan gave.
    peaks
        The comparison by phase, for each service's largest peak.
    catalog
        Zones, cost and SLO; without one what needs them stays empty.

    Returns
    -------
    DataFrame
        One row a service, the one nearest to its limit first. Columns: see ``UNITS``; all phases are counted, those
        before and after the promotion too. ``wrongly_rejected`` counts requests turned away in intervals whose busiest
        second lay below what the service could safely take (instances serving × q05 of the capacity, and below the
        plan's limit where that protects others); where only the interval's mean is known they are
        ``possibly_wrongly_rejected``. ``wasted_cost`` is of instances above what the largest peak needed,
        ``idle_cost`` above what each hour needed, both with the reserve for lost zones. What comes through queues alone
        is judged by its mean over the time it may wait (``judged_by``).
    """
    n = len(planned.services)
    columns: dict[str, Floats] = _against(rows, planned, peaks)
    columns |= _turned_away(rows, planned, n)
    columns |= _instances(rows, planned, catalog)
    columns |= _slo_minutes(rows, n)
    good = rows.judged & ~rows.broken
    columns["proven_instance_qps"] = _largest(rows.admitted_per_instance[good], rows.of[good], n)
    frame = pd.DataFrame(
        {
            "service": planned.services,
            "tier": [catalog[s].tier if catalog is not None and s in catalog else "" for s in planned.services],
            "decision": planned.decision,
            "capacity_evidence": planned.evidence,
            "judged_by": [f"mean of {wait:.0f} s" if wait > MINUTE_S else "peak" for wait in planned.may_wait_s],
        }
        | {name: columns[name] for name in UNITS}
    )
    return frame.sort_values("peak_of_limit", ascending=False, na_position="last", kind="stable").reset_index(drop=True)


def needed_instances(
    load: Floats, capacity_qps: float | Floats, *, zones: int | Places, zone_losses: int, ceiling: float
) -> Floats:
    """Return how many instances carry a load safely after the loss of zones.

    Parameters
    ----------
    load
        Requests/s.
    capacity_qps
        Of one instance.
    zones, zone_losses
        Instances are spread evenly; with no more zones than may be lost no reserve can be held.
    ceiling
        Share of the capacity that may be used.

    Examples
    --------
    >>> needed_instances(np.array([200.0, 0.0]), 10.0, zones=3, zone_losses=1, ceiling=1.0)
    array([30.,  0.])
    """
    spread = np.asarray(zones, dtype=float)
    kept = np.where(spread > zone_losses, (spread - zone_losses) / spread, 1.0)
    return np.asarray(np.ceil(np.round(np.asarray(load, dtype=float) / (capacity_qps * kept * ceiling), 9)))


def _drained(moments: NDArray[np.datetime64], requests: Floats, may_wait_s: float) -> Floats:
    """Return the rate at which work that came by each moment must be done for none to wait too long, on average."""
    rolling = pd.Series(requests, index=pd.DatetimeIndex(moments)).sort_index().rolling(f"{int(may_wait_s)}s").sum()
    return np.asarray(rolling.to_numpy() / may_wait_s)


def _judge_slo(
    frame: pd.DataFrame, of: Places, services: Sequence[str], catalog: "Catalog | None"
) -> tuple[Mask, Mask]:
    """Errors are judged against the requests that were not turned away."""
    broken, judged = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    if catalog is None:
        return broken, judged
    slos = [catalog[name].slo if name in catalog else None for name in services]
    admitted = frame["requests"].to_numpy() - frame["rejected"].fillna(0.0).to_numpy()
    share = np.divide(frame["errors"].to_numpy(), admitted, out=np.full(len(frame), np.nan), where=admitted > 0)
    measured = {"p99_ms": frame["p99_ms"].to_numpy(), "p95_ms": frame["p95_ms"].to_numpy(), "error_fraction": share}
    for name, values in measured.items():
        bound = np.array([number(getattr(slo, name, None)) for slo in slos])[of]
        judged |= np.isfinite(values) & np.isfinite(bound)
        broken |= values > bound
    return broken, judged


def _against(rows: Rows, planned: Planned, peaks: pd.DataFrame) -> dict[str, Floats]:
    n = len(planned.services)
    place = {name: position for position, name in enumerate(planned.services)}
    peak, at = np.full(n, np.nan), np.full(n, np.datetime64("NaT", "us"))
    for row in rows_of(peaks.sort_values("actual", na_position="first")):
        peak[place[row["service"]]] = row["actual"]
        at[place[row["service"]]] = row["peak_at"].tz_convert("UTC").tz_localize(None).to_datetime64()
    for queue in np.flatnonzero(planned.may_wait_s > MINUTE_S):
        own = rows.of == queue
        peak[queue], at[queue] = rows.rate[own].max(), rows.moments[own][int(rows.rate[own].argmax())]
    here = rows.moments == at[rows.of]
    at_peak = _largest(rows.serving[here], rows.of[here], n)
    for queue in np.flatnonzero(planned.may_wait_s > MINUTE_S):
        begin = at[queue] - np.timedelta64(int(planned.may_wait_s[queue]), "s")
        served = rows.serving[(rows.of == queue) & (rows.moments > begin) & (rows.moments <= at[queue])]
        at_peak[queue] = served.mean()
    capacity, used = planned.instances * planned.capacity_q50, at_peak * planned.capacity_q50
    return {
        "peak_qps": peak,
        "limit_qps": planned.limit_qps,
        "peak_of_limit": _ratio(peak, planned.limit_qps),
        "planned_capacity_qps": capacity,
        "peak_of_planned_capacity": _ratio(peak, capacity),
        "used_capacity_qps": used,
        "peak_of_used_capacity": _ratio(peak, used),
    }


def _turned_away(rows: Rows, planned: Planned, n: int) -> dict[str, Floats]:
    away = np.nan_to_num(rows.rejected)
    limited = away > 0
    safe = rows.serving * planned.capacity_q05[rows.of] * planned.ceiling
    limit = planned.limit_qps[rows.of]
    guards = planned.protects_others[rows.of] & np.isfinite(limit)
    safe = np.where(guards, np.minimum(safe, limit), safe)  # NaN, an unknown capacity, stays unknown
    known = limited & np.isfinite(safe)
    judged, unsure = known & np.isfinite(rows.second), known & ~np.isfinite(rows.second)
    told = np.bincount(rows.of[np.isfinite(rows.rejected)], minlength=n) > 0

    def total(weights: Floats, where: Mask) -> Floats:
        return np.where(told, np.bincount(rows.of[where], weights[where], minlength=n), np.nan)

    everything = np.ones(len(away), dtype=bool)
    rejected, open_question = total(away, everything), total(away, limited & ~judged)
    wrong = total(away, judged & (rows.second <= safe))
    return {
        "rejected": rejected,
        "rejected_fraction": _ratio(rejected, total(rows.requests, everything)),
        "limited_minutes": total(np.ceil(rows.seconds / MINUTE_S), limited),
        "limited_seconds_at_most": total(rows.seconds, limited),
        # None judged and some not: unknown, not zero.
        "wrongly_rejected": np.where((open_question > 0) & (open_question == rejected), np.nan, wrong),
        "possibly_wrongly_rejected": total(away, unsure & (rows.rate <= safe)),
    }


def _instances(rows: Rows, planned: Planned, catalog: "Catalog | None") -> dict[str, Floats]:
    n = len(planned.services)
    unknown = np.full(n, np.nan)
    names = ("instances_needed", "wasted_instance_hours", "wasted_cost", "idle_cost", "short_hours")
    is_pool = planned.host == np.arange(n)
    used = np.where(is_pool, _largest(rows.serving, rows.of, n), np.nan)
    columns = {"instances_planned": np.where(is_pool, planned.instances, np.nan), "instances_used": used}
    if catalog is None:
        return columns | dict.fromkeys(names, unknown)
    load = np.where(np.isfinite(rows.second), rows.second, rows.rate)
    busy = np.zeros(rows.n_cells)
    np.add.at(busy, rows.host_at, load / planned.capacity_q05[rows.of])
    need = needed_instances(
        busy[rows.host_at], 1.0, zones=planned.zones[rows.of], zone_losses=planned.zone_losses, ceiling=planned.ceiling
    )
    at_peak = np.where(planned.counts & is_pool, _largest(need, rows.of, n, strict=True), np.nan)
    hours = rows.seconds / 3600.0
    hour = rows.moments.astype("datetime64[h]").astype(np.int64)
    cell = rows.of * int(np.ptp(hour) + 1) + hour - hour.min()
    hourly = _largest(need, cell, int(cell.max()) + 1)[cell]
    sound = np.isfinite(rows.serving) & np.isfinite(at_peak[rows.of])
    told = np.bincount(rows.of[sound], minlength=n) > 0

    def total(weights: Floats) -> Floats:
        return np.where(told, np.bincount(rows.of[sound], weights[sound], minlength=n), np.nan)

    wasted = total(np.maximum(rows.serving - at_peak[rows.of], 0.0) * hours)
    idle = total(np.maximum(rows.serving - hourly, 0.0) * hours)
    values = (at_peak, wasted, wasted * planned.instance_cost, idle * planned.instance_cost)
    return columns | dict(zip(names, (*values, total(np.where(rows.serving < need, hours, 0.0))), strict=True))


def _slo_minutes(rows: Rows, n: int) -> dict[str, Floats]:
    minutes = rows.seconds / MINUTE_S
    judged = np.bincount(rows.of, np.where(rows.judged, minutes, 0.0), minlength=n)
    broken = np.bincount(rows.of, np.where(rows.broken, minutes, 0.0), minlength=n)
    return {
        "slo_minutes_broken": np.where(judged > 0, broken, np.nan),
        "slo_minutes_judged": np.where(judged > 0, judged, np.nan),
    }


def _largest(values: Floats, of: Places, n: int, *, strict: bool = False) -> Floats:
    """Return the largest value of each group; NaN where none is known, or with `strict` where any is not."""
    known = np.isfinite(values)
    out = np.full(n, -np.inf)
    np.maximum.at(out, of[known], values[known])
    out[np.isneginf(out)] = np.nan
    if strict:
        out[of[~known]] = np.nan
    return out


def _ratio(value: Floats, of: Floats) -> Floats:
    return np.asarray(np.divide(value, of, out=np.full(len(value), np.nan), where=np.isfinite(of) & (of > 0)))
