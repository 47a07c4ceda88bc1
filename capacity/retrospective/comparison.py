"""Forecast against actual: DAU and DAT by day, the worst second by phase and service."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.promotion import Phase, Promotion
from capacity.retrospective.findings import SwitchedOff
from capacity.retrospective.frames import rows_of
from capacity.retrospective.observed import Observed, busiest

if TYPE_CHECKING:
    from capacity.catalog import Catalog
    from capacity.history import DailyActivity
    from capacity.peaks import Peaks

Floats = NDArray[np.float64]

FLOOR_SHARE = 0.001  # of a day's or phase's requests turned away: from here what came is called a floor
SPARED_SHARE = 0.01  # of one interval's requests turned away: from here what lies behind was spared at that moment
_LEVELS = (0.05, 0.5, 0.95, 0.99)
FORECAST = ("forecast_q05", "forecast_q50", "forecast_q95", "forecast_q99")


def compare_demand(
    document: Mapping[str, Any], daily_activity: "DailyActivity", promotion: Promotion, floor_days: Mapping[Any, float]
) -> pd.DataFrame:
    """Compare the plan's DAU and DAT with what came.

    Parameters
    ----------
    document
        The plan; ``demand`` is read.
    daily_activity
        What came.
    promotion
        Which days are its own.
    floor_days
        Share of requests turned away by day, where any were: DAT of such a day is a floor.

    Returns
    -------
    DataFrame
        One row a date and metric: ``date, metric, forecast_q05, forecast_q50, forecast_q95, actual, error``
        (actual ÷ q50 − 1), ``log_error``, ``inside_band`` (missing where it cannot be judged), ``in_promotion``,
        ``floor_because``.
    """
    totals = daily_activity.totals()
    known = {pd.Timestamp(row["date"]).date(): row for row in rows_of(totals)}
    rows = []
    for day_text, metrics in sorted(document.get("demand", {}).items()):
        day = pd.Timestamp(day_text).date()
        actual = known.get(day, {})
        for metric in ("dau", "dat"):
            band = metrics.get(metric) or {}
            because = ""
            if metric == "dat" and floor_days.get(day, 0.0) >= FLOOR_SHARE:
                because = f"{floor_days[day]:.1%} of requests were turned away"
            rows.append((day, metric, band.get("q05"), band.get("q50"), band.get("q95"), actual.get(metric), because))
    columns = ["date", "metric", *FORECAST[:3], "actual", "floor_because"]
    frame = pd.DataFrame(rows, columns=columns)
    for column in (*FORECAST[:3], "actual"):
        frame[column] = pd.to_numeric(frame[column]).to_numpy(dtype=float, na_value=np.nan)
    frame.insert(6, "in_promotion", frame["date"].isin(promotion.dates))
    return _judge(frame)


def compare_estimates(promotion: Promotion, demand: pd.DataFrame) -> pd.DataFrame:
    """Compare the business's estimate of the largest day with what came.

    Parameters
    ----------
    promotion
        With what was ``expected``.
    demand
        From :func:`compare_demand`.

    Returns
    -------
    DataFrame
        One row a metric that was estimated: ``metric, low, mid, high, forecast_q50`` (of the largest day), ``actual``,
        ``log_error`` (ln(actual ÷ mid)), ``inside`` its range, ``floor_because``, ``owner``.
    """
    rows = []
    for metric in ("dau", "dat"):
        guess = getattr(promotion.expected, metric, None)
        own = demand[(demand["metric"] == metric) & demand["in_promotion"]]
        if guess is None or own.empty:
            continue
        largest = rows_of(own.sort_values("actual", na_position="first"))[-1]
        # A day of the promotion that is not there may have been the largest.
        actual = np.nan if own["actual"].isna().any() else largest["actual"]
        error = np.log(actual / guess.mid) if actual > 0 and guess.mid > 0 else np.nan
        inside = bool(guess.low <= actual <= guess.high) if np.isfinite(actual) else None
        forecast, owner = own["forecast_q50"].max(), getattr(promotion.expected, "owner", "")
        rows.append(
            (metric, guess.low, guess.mid, guess.high, forecast, actual, error, inside, largest["floor_because"], owner)
        )
    columns = [
        "metric",
        "low",
        "mid",
        "high",
        "forecast_q50",
        "actual",
        "log_error",
        "inside",
        "floor_because",
        "owner",
    ]
    return pd.DataFrame(rows, columns=columns)


def compare_peaks(
    observed: Observed, forecast: "Peaks", catalog: "Catalog | None", switched_off: Sequence[SwitchedOff]
) -> pd.DataFrame:
    """Compare the forecast of each service's worst second with what came, by phase.

    Parameters
    ----------
    observed
        What came.
    forecast
        The plan's samples.
    catalog
        Whose calls say which services were spared by a limit of their callers.
    switched_off
        What degradations took off which service, and when.

    Returns
    -------
    DataFrame
        One row a phase and service: ``phase, service, resolution, forecast_q05 … forecast_q99, actual, error,
        log_error, inside_band, peak_at, planned_at, shift_s, covered_fraction, peak_may_be_lost, rejected,
        rejected_fraction, floor_because``. The forecast is of the same resolution as the actual. Where
        ``floor_because`` is not empty the actual is a floor: it is judged only where the floor itself lies above the
        band.
    """
    frame = busiest(observed)
    names = [phase.name for phase in observed.phases]
    samples, at_s, services, phases = _forecast_arrays(forecast)
    frame["phase_name"] = [names[number] for number in frame["phase"]]
    column = frame["service"].map({name: number for number, name in enumerate(services)})
    row = frame["phase_name"].map({name: number for number, name in enumerate(phases)})
    known = (column.notna() & row.notna()).to_numpy()
    where = (row[known].to_numpy(dtype=int), column[known].to_numpy(dtype=int))
    bands = {
        "second": np.quantile(samples, _LEVELS, axis=0)[:, *where],
        "minute": np.quantile(samples / minute_burst(forecast, catalog, services), _LEVELS, axis=0)[:, *where],
    }
    resolution = frame["resolution"].to_numpy()
    for level, name in enumerate(FORECAST):
        values = np.full(len(frame), np.nan)
        values[known] = np.where(resolution[known] == "second", bands["second"][level], bands["minute"][level])
        frame[name] = values
    middle = np.full(len(frame), np.nan)
    middle[known] = np.nanmedian(at_s, axis=0)[where]
    start = pd.Timestamp(forecast.promotion.starts_at).tz_convert(observed.timezone)
    frame["planned_at"] = (start + pd.to_timedelta(middle, unit="s")).as_unit("us")
    frame["peak_at"] = frame["peak_at"].dt.as_unit("us")
    frame["shift_s"] = (frame["peak_at"] - frame["planned_at"]).dt.total_seconds()
    place = {name: number for number, name in enumerate(observed.services)}
    cell = (frame["phase"].to_numpy(), frame["service"].map(place).to_numpy())
    frame["covered_fraction"], frame["peak_may_be_lost"] = observed.covered[cell], observed.hides_peak[cell]
    frame["floor_because"] = _why_floor(frame, observed.phases, catalog, switched_off)
    frame = frame.sort_values(["phase", "service"], kind="stable").drop(columns=["phase"])
    frame = _judge(frame.rename(columns={"phase_name": "phase", "actual_peak_qps": "actual"}))
    order = [
        *("phase", "service", "resolution", *FORECAST, "actual", "error", "log_error", "inside_band", "peak_at"),
        *(
            "planned_at",
            "shift_s",
            "covered_fraction",
            "peak_may_be_lost",
            "rejected",
            "rejected_fraction",
            "floor_because",
        ),
    ]
    return frame[order].reset_index(drop=True)


def minute_burst(forecast: "Peaks", catalog: "Catalog | None", services: Sequence[str]) -> Floats | float:
    """Return busiest second ÷ its minute in the forecast, shape ``(sample, 1, service)``.

    An entry has its own; a service behind entries has theirs, weighed by the requests they send it.
    """
    factors = forecast.factors
    burst = factors.sel(factor="burst").to_numpy()
    entries = [str(name) for name in factors["entry_service"].to_numpy()]
    external = np.exp(np.log(np.maximum(factors.to_numpy(), 1e-300)).sum(axis=2))
    if not entries:
        return 1.0
    reach = np.ones((len(entries), len(services)))
    if catalog is not None and set(services) <= set(catalog.names):
        from capacity.graph import call_matrix, reach_matrix

        order = {name: number for number, name in enumerate(catalog.names)}
        every = np.asarray(reach_matrix(call_matrix(catalog)))
        reach = every[np.ix_([order[name] for name in entries], [order[name] for name in services])]
    second = external @ reach
    minute = (external / burst) @ reach
    ratio = np.divide(second, minute, out=np.ones_like(second), where=minute > 0)
    return np.asarray(ratio[:, None, :])


def coverage(frame: pd.DataFrame) -> tuple[int, int]:
    """Return how many of a comparison's judged rows lie inside the 90 % band, and how many were judged."""
    judged = frame["inside_band"].dropna()
    return int(judged.astype(bool).sum()), len(judged)


def signed_bias(frame: pd.DataFrame) -> float | None:
    """Return the mean log error of the rows that are no floors: above zero, more came than forecast."""
    sound = frame.loc[(frame["floor_because"] == "") & frame["log_error"].notna(), "log_error"]
    return float(sound.mean()) if len(sound) else None


def bias_table(demand: pd.DataFrame, services: pd.DataFrame) -> pd.DataFrame:
    """Return the error's summary by group: ``what, group, n, bias, mean_abs_log_error, inside, judged``.

    ``bias`` is exp(mean log error) − 1. Days of one promotion, and services behind one entry, miss together:
    the counts are not independent trials.
    """
    days = np.where(demand["in_promotion"], "promotion days", "days around it")
    parts = [
        _summarise(demand, demand["metric"], pd.Series(days, index=demand.index, dtype="str")),
        _summarise(services, "peak", "phase " + services["phase"]),
        _summarise(services, "peak", "service " + services["service"]),
    ]
    return pd.concat(parts, ignore_index=True)


def _summarise(frame: pd.DataFrame, what: "pd.Series[str] | str", group: "pd.Series[str]") -> pd.DataFrame:
    error = frame["log_error"].where(frame["floor_because"] == "")
    table = pd.DataFrame({"what": what, "group": group, "error": error, "size": error.abs()})
    table["inside"] = (frame["inside_band"] == True).fillna(False).astype(int)  # noqa: E712 - may be missing
    table["judged"] = frame["inside_band"].notna().astype(int)
    groups = table.groupby(["what", "group"], sort=False)
    sums = groups[["inside", "judged"]].sum()
    out = groups[["error", "size"]].mean().rename(columns={"size": "mean_abs_log_error"})
    out.insert(0, "n", groups["error"].count())
    out.insert(1, "bias", np.expm1(out.pop("error")))
    return out.join(sums).reset_index()


def _judge(frame: pd.DataFrame) -> pd.DataFrame:
    actual, low, middle, high = (frame[name] for name in ("actual", *FORECAST[:3]))
    good = (actual > 0) & (middle > 0)
    frame["error"] = (actual / middle - 1.0).where(middle > 0)
    frame["log_error"] = np.log(actual.where(good) / middle.where(good))
    inside = ((actual >= low) & (actual <= high)).astype("boolean")
    unknown = actual.isna() | low.isna() | high.isna()
    # A floor below the upper end says nothing: the truth may lie inside or above.
    unknown |= (frame["floor_because"] != "") & ~(actual > high)
    frame["inside_band"] = inside.mask(unknown)
    return frame


def _why_floor(
    frame: pd.DataFrame, phases: Sequence[Phase], catalog: "Catalog | None", switched_off: Sequence[SwitchedOff]
) -> list[str]:
    spared = _spared(frame, catalog)
    reasons = []
    for row in rows_of(frame):
        said = []
        if row["peak_may_be_lost"]:
            said.append(f"logs are missing ({row['covered_fraction']:.1%} of what was expected is there)")
        if row["resolution"] == "interval":
            said.append("the traffic's intervals are longer than a minute")
        if row["service"] in spared.get(row["phase"], ()):
            said.append("its callers turned requests away")
        phase = phases[row["phase"]]
        off = [one.feature for one in switched_off if one.service == row["service"] and one.touches(phase)]
        if off:
            said.append(f"switched off: {', '.join(off)}")
        reasons.append("; ".join(said))
    return reasons


def _spared(frame: pd.DataFrame, catalog: "Catalog | None") -> dict[int, set[str]]:
    limiting = frame[frame["worst_rejected_fraction"] >= SPARED_SHARE]
    if limiting.empty or catalog is None:
        return {}
    from capacity.graph import downstream

    below = {name: set(downstream(catalog, name)) - {name} for name in limiting["service"].unique() if name in catalog}
    spared: dict[int, set[str]] = {}
    for row in rows_of(limiting):
        spared.setdefault(row["phase"], set()).update(below.get(row["service"], set()))
    return spared


def _forecast_arrays(forecast: "Peaks") -> tuple[Floats, Floats, tuple[str, ...], tuple[str, ...]]:
    peak = forecast.peak_qps.transpose("sample", "phase", "service")
    at_s = forecast.peak_at_s.transpose("sample", "phase", "service")
    return peak.to_numpy(), at_s.to_numpy(), tuple(forecast.services), tuple(forecast.phases)
