"""People and orders by day and segment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import ClassVar, Self

import pandas as pd

from capacity.history.clock import read_zone
from capacity.history.contracts import DAILY_ACTIVITY
from capacity.history.engine import quiet
from capacity.result import Result

TOTAL = "total"


@dataclass(frozen=True)
class DailyActivity(Result):
    """Active users (DAU) and orders placed (DAT) by local day and segment, as known before `as_of`.

    Parameters
    ----------
    frame
        Columns date (midnight, without a zone), segment, dau, dat (Int64; NA is unknown, which a day without logs is),
        sorted by date and segment. The segment ``total`` is the de-duplicated whole.
    timezone
        IANA name; whose days these are.
    country
        Of the holiday calendar; None when unknown.
    as_of
        The first day that is not known; None when nothing is hidden.
    ask_order_requests
        Reads `order_requests`; asked when first needed.

    Examples
    --------
    >>> days = pd.DataFrame({"date": ["2026-11-10"] * 2, "segment": ["app", "web"], "dau": [900, 300], "dat": [80, 7]})
    >>> activity = DailyActivity.from_frame(days, timezone="Asia/Shanghai")
    >>> activity.totals()
            date   dau  dat  dau_is_upper_bound
    0 2026-11-10  1200   87                True
    """

    units: ClassVar[dict[str, str]] = {"dau": "users", "dat": "orders"}

    frame: pd.DataFrame
    timezone: str
    country: str | None = None
    as_of: date | None = None
    ask_order_requests: Callable[[], pd.DataFrame] | None = None

    @classmethod
    def from_frame(
        cls, frame: pd.DataFrame, *, timezone: str, country: str | None = None, as_of: date | None = None
    ) -> Self:
        """Hold a frame in the columns of the contract; its rows are checked as `ingest` checks a file's.

        Raises
        ------
        InputError
            If columns are missing or any row breaks the contract.
        """
        read_zone(timezone)
        if not len(frame):
            return cls(empty_frame(), timezone, country, as_of)
        from capacity.history.ingestion import settle_frame

        with quiet():
            checked = settle_frame(frame, DAILY_ACTIVITY, timezone=timezone).to_pyarrow().to_pandas()
        return cls(tidy(checked, as_of), timezone, country, as_of)

    @property
    def segments(self) -> tuple[str, ...]:
        """Names of the segments, the total left out, sorted."""
        return tuple(sorted(str(name) for name in self.frame["segment"].unique() if name != TOTAL))

    @property
    def has_total(self) -> bool:
        """Whether a de-duplicated total is known."""
        return bool(((self.frame["segment"] == TOTAL) & self.frame["dau"].notna()).any())

    @property
    def first_forecast_day(self) -> date | None:
        """The first day that is not known: `as_of`, else the day after the last; None without any day."""
        if self.as_of is not None:
            return self.as_of
        return None if self.frame.empty else self.frame["date"].max().date() + timedelta(days=1)

    def with_order_requests(self, ask: Callable[[], pd.DataFrame]) -> Self:
        """Return the same days, with a way to learn what limits turned away; `ask` is called when first needed."""
        return replace(self, ask_order_requests=ask)

    @cached_property
    def order_requests(self) -> pd.DataFrame | None:
        """Requests a day to the services that count transactions; None where nobody can tell.

        Columns date, service, requests, rejected, covered_fraction, per_dat; see
        :func:`capacity.history.order_requests.order_requests`. Days at or after `as_of` are not among them.
        """
        if self.ask_order_requests is None:
            return None
        rows = self.ask_order_requests()
        return rows if self.as_of is None else rows[rows["date"] < pd.Timestamp(self.as_of)]

    def totals(self) -> pd.DataFrame:
        """Return the whole company by day.

        The segment ``total`` where it is known. Else the sum of the segments, of which DAU is an upper bound, since
        people use several; unknown when a segment is that was known before and after.

        Returns
        -------
        DataFrame
            Columns date, dau, dat, dau_is_upper_bound.
        """
        dates = pd.Index(self.frame["date"].unique(), name="date").sort_values()
        of_total = self.frame[self.frame["segment"] == TOTAL].set_index("date").reindex(dates)
        parts = self.frame[self.frame["segment"] != TOTAL]
        out = {}
        for metric in ("dau", "dat"):
            known = of_total[metric]
            added = _added(parts, metric, self.segments, dates)
            out[metric] = known.where(known.notna(), added).astype("Int64")
        upper = of_total["dau"].isna().to_numpy() & (len(self.segments) > 1)
        return pd.DataFrame({**out, "dau_is_upper_bound": upper}).reset_index()

    def summary(self) -> str:
        """Say what is known in one line."""
        if self.frame.empty:
            return "no day"
        first, last = self.frame["date"].min(), self.frame["date"].max()
        n = len(self.segments)
        whole = (
            "with a de-duplicated total" if self.has_total else "no de-duplicated total: DAU added up is an upper bound"
        )
        return f"{first:%Y-%m-%d} to {last:%Y-%m-%d}, {n} segment{'s' * (n != 1)}, {whole}"

    def to_frame(self) -> pd.DataFrame:
        """Return the rows."""
        return self.frame.copy()


def tidy(frame: pd.DataFrame, as_of: date | None) -> pd.DataFrame:
    """Bring rows to the types and the order of `DailyActivity.frame`, those at or after `as_of` left out."""
    out = pd.DataFrame(
        {
            "date": pd.to_datetime(frame["date"]).astype("datetime64[us]"),
            "segment": frame["segment"].astype("str"),
            "dau": frame["dau"].astype("Int64"),
            "dat": frame["dat"].astype("Int64"),
        }
    )
    if as_of is not None:
        out = out[out["date"] < pd.Timestamp(as_of)]
    return out.sort_values(["date", "segment"]).reset_index(drop=True)


def empty_frame() -> pd.DataFrame:
    """Return the frame of a company that is not known at all."""
    return tidy(pd.DataFrame({"date": [], "segment": [], "dau": [], "dat": []}), None)


def _added(
    parts: pd.DataFrame, metric: str, segments: Sequence[str], dates: "pd.Index[pd.Timestamp]"
) -> "pd.Series[int]":
    """Sum over segments, unknown on days on which a segment's own logs are missing."""
    wide = parts.pivot_table(index="date", columns="segment", values=metric, aggfunc="first", dropna=False)
    wide = wide.reindex(index=dates, columns=list(segments)).astype("float64")
    began, lasts = wide.ffill().notna(), wide.bfill().notna()
    lost = (wide.isna() & began & lasts).any(axis=1)
    added = wide.sum(axis=1, min_count=1).where(~lost)
    return added.astype("Int64")
