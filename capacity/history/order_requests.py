"""Requests a day to the services that count transactions, and how many of them limits turned away."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from capacity.history.traffic import Traffic

if TYPE_CHECKING:
    from capacity.catalog import Service

COLUMNS = {
    "date": "datetime64[us]", "service": "str", "requests": "int64", "rejected": "float64",
    "covered_fraction": "float64", "per_dat": "float64",
}  # fmt: skip


def order_requests(traffic: Traffic, services: "Mapping[str, Service]") -> pd.DataFrame:
    """Ask traffic for the services that ``counts_as: transaction``.

    Parameters
    ----------
    traffic
        As known before the day of the forecast.
    services
        The catalogue.

    Returns
    -------
    DataFrame
        One row a local day and service: date, service, requests (load tests left out), rejected (of those, turned away
        by a limit; NaN where never told), covered_fraction, per_dat (requests per order that the catalogue names, NaN
        where it names none).

    Examples
    --------
    >>> from capacity.catalog import Service
    >>> rows = pd.DataFrame({"ts": ["2026-06-18 00:00"], "service": ["checkout"], "requests": [900], "rejected": [400]})
    >>> traffic = Traffic.from_frame(rows, timezone="Asia/Shanghai")
    >>> services = {"checkout": Service(name="checkout", tier="core", counts_as="transaction")}
    >>> order_requests(traffic, services)[["date", "service", "requests", "rejected"]]
            date   service  requests  rejected
    0 2026-06-18  checkout       900     400.0
    """
    per_dat = {
        name: service.entry.per_dat if service.entry is not None and service.entry.per_dat > 0 else float("nan")
        for name, service in services.items()
        if service.counts_as == "transaction"
    }
    if not per_dat or traffic.is_empty:
        return empty_order_requests()
    frame = traffic.daily(list(per_dat))
    frame["per_dat"] = frame["service"].astype("str").map(per_dat).astype("float64")
    return frame[list(COLUMNS)].astype(COLUMNS)


def empty_order_requests() -> pd.DataFrame:
    """Return the frame of a company of which no such service, or no traffic, is known."""
    return pd.DataFrame({name: pd.Series([], dtype=kind) for name, kind in COLUMNS.items()})
