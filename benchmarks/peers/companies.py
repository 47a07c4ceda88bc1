"""Simulated companies asked of the peers, in the columns that judging companies reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from benchmarks.peers.ask import NAIVE, PEERS_PYTHON, TOLD, peer_forecasts
from benchmarks.peers.panel import Panel

QUANTILES = {0.05: "q05", 0.5: "q50", 0.95: "q95"}


class CompanyDays(Protocol):
    """What is read of a company: its days up to the planning day, its promotions, and how far to look."""

    @property
    def company(self) -> str:
        """Its name, unique."""

    @property
    def country(self) -> str:
        """Whose public holidays count."""

    @property
    def history(self) -> pd.DataFrame:
        """Columns date, series, value."""

    @property
    def events(self) -> pd.DataFrame:
        """Columns kind, starts_on, ends_on, intensity; past and coming."""

    @property
    def horizon(self) -> int:
        """Days ahead."""


def forecast_companies(
    companies: Sequence[CompanyDays], *, methods: Sequence[str] = (*TOLD, *NAIVE), python: Path = PEERS_PYTHON
) -> pd.DataFrame:
    """Forecast companies by peers: columns peer, company, series, date, q05, q50, q95.

    Each company is a panel of its own, told its promotions and its country's holidays. Series that a peer could not
    forecast are left out.
    """
    used = ["kind", "starts_on", "ends_on", "intensity"]
    panels = [
        Panel(each.company, each.history, each.horizon, each.events[used], holidays=each.country) for each in companies
    ]
    found = peer_forecasts(panels, quantiles=QUANTILES, methods=methods, python=python).quantiles
    return found.rename(columns={"method": "peer", "panel": "company"} | QUANTILES).dropna(subset=["q50"])
