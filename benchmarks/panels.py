"""Daily series as they were known on the planning day, with the promotions known ahead: what a peer forecasts from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from benchmarks.judgement import row


@dataclass(frozen=True)
class DailyPanel:
    """One company's days for a peer.

    Parameters
    ----------
    company
        Its name, unique over families.
    country
        Whose public holidays count; ISO code.
    as_of
        The planning day: the first day to forecast. Every peer forecasts from here to the last day of `truth`.
    history
        Columns date, series (``dau`` or ``dat``), value: totals of the whole company, every day before `as_of`; a day
        that is missing is unknown.
    events
        Columns kind, starts_on, ends_on (both days included), starts_at, ends_at, intensity (1.0 where nobody wrote one
        down): all promotions known on the planning day, past and coming.
    truth
        Columns date, series, value: days of the promotion that was planned. DAT is what was asked for, before limits.
    """

    company: str
    country: str
    as_of: date
    history: pd.DataFrame
    events: pd.DataFrame
    truth: pd.DataFrame

    @property
    def horizon(self) -> int:
        """Days from the planning day to the promotion's last, both included."""
        return int((self.truth["date"].max().date() - self.as_of).days) + 1


def collect_panel(ws: Any, promotion_id: str, truth: Any, *, company: str) -> DailyPanel:
    """Read a panel out of a workspace opened as of the planning day.

    Parameters
    ----------
    ws
        A `capacity.Workspace`.
    promotion_id
        The promotion to plan.
    truth
        Of the company.
    company
        Its name.
    """
    totals = ws.daily_activity().totals()
    history = totals.melt("date", ["dau", "dat"], var_name="series", value_name="value").dropna(subset=["value"])
    history["value"] = history["value"].astype("float64")
    events = pd.DataFrame(
        [
            {
                "kind": promotion.kind,
                "starts_on": promotion.dates[0],
                "ends_on": promotion.dates[-1],
                "starts_at": promotion.starts_at,
                "ends_at": promotion.ends_at,
                "intensity": promotion.intensity,
            }
            for promotion in ws.promotions.values()
        ]
    )
    days = {day.isoformat() for day in ws.promotions[promotion_id].dates}
    known = [
        {"date": pd.Timestamp(day), "series": series, "value": value}
        for series, by_day in (("dau", truth.dau[promotion_id]), ("dat", truth.dat[promotion_id]))
        for day, value in by_day.items()
        if day in days
    ]
    return DailyPanel(company, ws.settings.country, ws.as_of, history, events, pd.DataFrame(known))


def daily_panels(results: Iterable[Mapping[str, Any]]) -> list[DailyPanel]:
    """Collect the panels of judged companies, for a peer to forecast."""
    return [result["panel"] for result in results]


def peer_rows(panels: Iterable[DailyPanel], forecasts: pd.DataFrame) -> list[dict[str, Any]]:
    """Put peers' forecasts beside the truth, on the promotions' days.

    Parameters
    ----------
    panels
        As from `daily_panels`.
    forecasts
        Columns peer, company, series, date, q05, q50, q95; other days and companies are left aside.

    Returns
    -------
    list of dict
        Rows of `judgement`.

    Raises
    ------
    ValueError
        If columns are missing.
    """
    absent = {"peer", "company", "series", "date", "q05", "q50", "q95"} - set(forecasts.columns)
    if absent:
        raise ValueError(f"forecasts of peers lack {sorted(absent)}")
    truths = pd.concat([panel.truth.assign(company=panel.company) for panel in panels], ignore_index=True)
    said = forecasts[["peer", "company", "series", "q05", "q50", "q95"]].assign(date=pd.to_datetime(forecasts["date"]))
    both = truths.merge(said, on=["company", "series", "date"], how="inner")
    return [
        row(
            str(line["company"]),
            str(line["peer"]),
            str(line["series"]),
            line["date"].date().isoformat(),
            {part: float(line[part]) for part in ("q05", "q50", "q95")},
            float(line["value"]),
        )
        for line in both.to_dict("records")
    ]
