"""Who calls whom: measured calls related to the requests that caused them."""

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from capacity.history.traffic import Traffic

_COVERED = 0.95
_COLUMNS = ("caller", "callee", "calls", "retries", "per_request", "window_start", "window_end")


def empty_calls() -> pd.DataFrame:
    """Return the frame of calls that nobody measured."""
    return pd.DataFrame(
        {name: pd.Series(dtype="str" if name in {"caller", "callee"} else "float64") for name in _COLUMNS}
    )


def calls_per_request(rows: pd.DataFrame, traffic: "Traffic") -> pd.DataFrame:
    """Add calls up by caller and callee, and divide them by the requests to the caller in the same windows.

    Parameters
    ----------
    rows
        Columns caller, callee, calls, retries, window_start, window_end (aware, or NaT).
    traffic
        The callers' requests. Only windows that its rows cover count; load tests are in both.

    Returns
    -------
    DataFrame
        One row a caller and callee: caller, callee, calls, retries, per_request, window_start, window_end.
    """
    if rows.empty:
        return empty_calls()
    known = rows.assign(start_s=_seconds(rows["window_start"]), end_s=_seconds(rows["window_end"]))
    known = known.merge(_requests(traffic, known), on=["caller", "start_s", "end_s"], how="left")
    known["first_tries"] = known["calls"] - known["retries"].fillna(0)
    measured = known[known["requests"] > 0]
    grouped = measured.groupby(["caller", "callee"])
    per_request = (grouped["first_tries"].sum() / _requests_of(measured)).rename("per_request")
    added = known.groupby(["caller", "callee"]).agg(
        calls=("calls", "sum"),
        retries=("retries", lambda column: column.sum(min_count=1)),
        window_start=("window_start", "min"),
        window_end=("window_end", "max"),
    )
    return added.join(per_request).reset_index()[list(_COLUMNS)]


def _requests_of(measured: pd.DataFrame) -> "pd.Series[float]":
    """Sum the caller's requests over all its windows: a callee that is absent from one was not called there."""
    windows = measured.drop_duplicates(["caller", "start_s", "end_s"])
    total = windows.groupby("caller")["requests"].sum()
    pairs = measured[["caller", "callee"]].drop_duplicates().set_index(["caller", "callee"]).index
    return pd.Series(total.reindex(pairs.get_level_values("caller")).to_numpy(dtype=float), index=pairs)


def _seconds(moments: "pd.Series[pd.Timestamp]") -> "pd.Series[int]":
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds().round().astype("Int64")


def _requests(traffic: "Traffic", known: pd.DataFrame) -> pd.DataFrame:
    """Sum the requests to every service in windows that its rows cover, scaled to the whole window."""
    windows = known[["start_s", "end_s"]].dropna().drop_duplicates().astype("int64")
    seen = traffic.sums(windows)
    length = seen["end_s"] - seen["start_s"]
    share = (seen["covered_s"] / length).clip(upper=1.0)
    seen = seen.assign(requests=seen["requests"] / share.clip(lower=1e-9), caller=seen["service"].astype("str"))
    seen = seen[share >= _COVERED].astype({"start_s": "Int64", "end_s": "Int64"})
    return seen[["caller", "start_s", "end_s", "requests"]]
