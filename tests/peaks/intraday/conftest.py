"""Simulated intraday traffic with known shape, over-dispersion and level."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

WEEKEND = 0.6


def weekday_shape(n_slots: int) -> np.ndarray:
    """(7, slot) factors: a day with a morning and an evening, the weekend later and lower."""
    hour = np.arange(n_slots) * 24.0 / n_slots
    work = 0.4 + np.exp(-0.5 * ((hour - 10) / 2.5) ** 2) + 1.3 * np.exp(-0.5 * ((hour - 20) / 2.0) ** 2)
    rest = WEEKEND * (0.4 + 1.4 * np.exp(-0.5 * ((hour - 15) / 4.0) ** 2))
    return np.stack([work] * 5 + [rest] * 2)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., pd.DataFrame]:
    def make(
        *,
        n_days: int = 35,
        interval: str = "1h",
        level: float = 1000.0,
        phi: float = 0.01,
        drift: float = 0.02,
        n_series: int = 1,
        seed: int = 0,
        start: str = "2026-03-02",
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        n_slots = round(pd.Timedelta("1D") / pd.Timedelta(interval))
        ts = pd.date_range(start, periods=n_days * n_slots, freq=interval)
        shape = weekday_shape(n_slots)[ts.day_of_week, np.arange(ts.size) % n_slots]
        parts = []
        for s in range(n_series):
            days = np.exp(np.cumsum(rng.normal(0, drift, n_days)))
            mean = level * np.repeat(days, n_slots) * shape
            value = rng.poisson(mean * rng.gamma(1 / phi, phi, mean.size))
            parts.append(pd.DataFrame({"ts": ts, "series": f"s{s}", "value": value.astype(float), "mean": mean}))
        return pd.concat(parts, ignore_index=True)

    return make
