"""The `daily_activity` and `calls` tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.demo.demand import Baseline
from capacity.demo.events import ORIGIN, RECORDED_DAYS, Event
from capacity.demo.graph import Edge
from capacity.demo.parameters import SEGMENTS, Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import INDEX
from capacity.demo.traffic import stamps

_CALL_DAYS = 60


def daily_activity(
    baseline: Baseline, events: tuple[Event, ...], orders: NDArray[np.float64], *, lost_day: int
) -> pd.DataFrame:
    """One row a day and segment, and the de-duplicated total; the day of lost logs is missing.

    Parameters
    ----------
    baseline, events
        The company.
    orders
        Completed orders by day, all segments.
    lost_day
        Day from the origin without rows.
    """
    days = np.arange(RECORDED_DAYS)
    active = np.rint(baseline.segment_active[days])
    total = np.minimum(np.rint(baseline.total_active[days]), active.sum(axis=1))
    weight = baseline.dat[days].copy()
    for event in events:
        for day in event.days:
            if day < RECORDED_DAYS:
                weight[day] *= np.exp(np.asarray(event.segment_dat))
    parts = np.floor(orders[:, None] * weight / weight.sum(axis=1, keepdims=True))
    parts[:, 0] += orders - parts.sum(axis=1)
    dates = np.datetime64(ORIGIN.date(), "us") + days.astype("timedelta64[D]")
    columns = [(name, active[:, k], parts[:, k]) for k, name in enumerate(SEGMENTS)] + [("total", total, orders)]
    frames = [
        pd.DataFrame({"date": dates, "segment": name, "dau": dau.astype(np.int64), "dat": dat.astype(np.int64)})
        for name, dau, dat in columns
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[frame["date"] != dates[lost_day]]
    frame["segment"] = frame["segment"].astype("str")
    ordered: pd.DataFrame = frame.sort_values(["date", "segment"], ignore_index=True)
    return ordered


def call_rows(
    parameters: Parameters,
    edges: tuple[Edge, ...],
    matrix: NDArray[np.float64],
    requests: Mapping[int, NDArray[np.float64]],
    features_off: Mapping[int, frozenset[tuple[str, str]]],
) -> pd.DataFrame:
    """One row a day and edge from tracing: calls that arrived, and how many of them were retries.

    Parameters
    ----------
    parameters, edges, matrix
        The company; arrivals at j per request to i.
    requests
        By day: requests to every service.
    features_off
        By day: edges that were switched off.
    """
    rng = stream(parameters.seed, "calls")
    rows = []
    for day, total in requests.items():
        for edge in edges:
            rate = matrix[INDEX[edge.caller], INDEX[edge.callee]]
            mean = total[INDEX[edge.caller]] * rate
            if (edge.caller, edge.callee) in features_off.get(day, frozenset()) or mean <= 0:
                continue
            count = int(rng.poisson(mean * np.exp(parameters.mix_noise * rng.normal())))
            retries = int(rng.binomial(count, 1 - 1 / edge.attempts)) if edge.retries else 0
            rows.append((edge.caller, edge.callee, count, retries, day * 86400, (day + 1) * 86400))
    frame = pd.DataFrame(rows, columns=["caller", "callee", "calls", "retries", "starts", "ends"])
    for column in ("caller", "callee"):
        frame[column] = frame[column].astype("str")
    frame["window_start"] = stamps(frame.pop("starts").to_numpy())
    frame["window_end"] = stamps(frame.pop("ends").to_numpy())
    return frame


def call_days() -> range:
    """Days whose calls were traced."""
    return range(RECORDED_DAYS - _CALL_DAYS, RECORDED_DAYS)
