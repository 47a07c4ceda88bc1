"""A small truth of our own: companies of two families, with every constant known."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from capacity.catalog import Call, Catalog, Entry, Service
from capacity.promotion import Promotion

ZONE = ZoneInfo("Asia/Shanghai")
NAMES = ("home", "search", "checkout", "catalog", "inventory", "db")
REACH = np.array([[1, 0, 0, 1.5, 0, 0.45], [0, 1, 0, 2.0, 0, 0.6], [0, 0, 1, 0, 2.0, 2.0]])
RATES = {"home": (20.0, 2.0), "search": (8.0, 0.5), "checkout": (0.0, 3.0)}


class FakeTraffic:
    """`Traffic`'s methods over one frame, with nothing but pandas."""

    def __init__(self, frame: pd.DataFrame, *, timezone: str = "Asia/Shanghai") -> None:
        self.frame, self.timezone = frame.astype({"service": "category"}), timezone

    @property
    def is_empty(self) -> bool:
        return self.frame.empty

    @property
    def first_at(self) -> datetime | None:
        return None if self.is_empty else self.frame["ts"].min().to_pydatetime()

    def daily(self) -> pd.DataFrame:
        day = self.frame["ts"].dt.tz_localize(None).dt.normalize()
        columns = [c for c in ("requests", "rejected", "errors", "interval_s") if c in self.frame]
        out = (
            self.frame[columns].groupby([day.rename("date"), self.frame["service"]], observed=True).sum().reset_index()
        )
        out["covered_fraction"] = out.pop("interval_s") / 86400
        return out

    def window(self, starts_at: datetime, ends_at: datetime, services: Any = None) -> pd.DataFrame:
        ts = self.frame["ts"]
        keep = (ts >= pd.Timestamp(starts_at)) & (ts < pd.Timestamp(ends_at))
        if services is not None:
            keep &= self.frame["service"].isin(list(services))
        return self.frame[keep].reset_index(drop=True)

    def typical_day(self, services: Any = None, *, before: date, days: int = 28) -> pd.DataFrame:
        start = pd.Timestamp(before, tz=self.timezone) - pd.Timedelta(days=days)
        part = self.window(start, pd.Timestamp(before, tz=self.timezone), services)
        minute = part["ts"].dt.hour * 60 + part["ts"].dt.minute
        total = part["requests"].groupby([part["service"], minute.rename("minute_of_day")], observed=True).sum()
        return (total / total.groupby("service", observed=True).transform("sum")).rename("share").reset_index()


@dataclass(frozen=True)
class FakeDemand:
    """What `forecast_peaks` reads of a Demand."""

    promotion: Promotion
    as_of: date
    total_dau: xr.DataArray
    total_dat: xr.DataArray
    history: pd.DataFrame
    past: tuple[Promotion, ...] = ()
    assumptions: tuple[str, ...] = field(default=())

    def scaled(self, factor: float) -> "FakeDemand":
        return FakeDemand(
            self.promotion, self.as_of, self.total_dau * factor, self.total_dat * factor, self.history, self.past
        )


@dataclass(frozen=True)
class World:
    """One company: what it saw before ``as_of`` and what came."""

    demand: FakeDemand
    traffic: FakeTraffic
    catalog: Catalog
    truth: dict[tuple[str, str], float]


def promotion(year: int, kind: str = "double11", *, hour: int = 20) -> Promotion:
    start = (
        datetime(year, 11, 10, hour, tzinfo=ZONE) if kind == "double11" else datetime(year, 6, 17, hour, tzinfo=ZONE)
    )
    end = datetime(year, 11, 12, tzinfo=ZONE) if kind == "double11" else datetime(year, 6, 19, tzinfo=ZONE)
    return Promotion(id=f"{year}-{kind}", kind=kind, starts_at=start, ends_at=end)


def catalog_of(*, told: bool = True, fanout: float = 1.5) -> Catalog:
    def entry(name: str) -> Entry | None:
        return Entry(per_dau=RATES[name][0], per_dat=RATES[name][1]) if told else None

    return Catalog.from_services([
        Service(name="home", tier="core", entry=entry("home"), calls=(Call(to="catalog", per_request=fanout),)),
        Service(name="search", tier="core", entry=entry("search"), calls=(Call(to="catalog", per_request=2.0),)),
        Service(name="checkout", tier="core", entry=entry("checkout"), counts_as="transaction",
                calls=(Call(to="inventory", per_request=2.0),)),
        Service(name="catalog", tier="core", calls=(Call(to="db", per_request=0.3),)),
        Service(name="inventory", tier="core", calls=(Call(to="db", per_request=1.0),)),
        Service(name="db", tier="core"),
    ])  # fmt: skip


def ordinary_shape(rng: np.random.Generator) -> np.ndarray:
    clock = np.arange(1440) / 60
    bumps = [(3.5, 2.0, -0.75), (11, 2.5, 0.25), (20.5, 2.2, 0.9)]
    shape = np.ones(1440)
    for centre, width, height in bumps:
        away = (clock - centre + 12) % 24 - 12
        shape = shape + height * np.exp(-0.5 * (away / width) ** 2) * rng.uniform(0.85, 1.15)
    return np.maximum(shape, 0.08) / np.maximum(shape, 0.08).mean()


def spike(tau_min: np.ndarray, family: str, pace: float) -> np.ndarray:
    """Opening spike of height one at the start, zero before."""
    late = np.maximum(tau_min, 0.0)
    body = (
        0.7 * np.exp(-late / (3 * pace)) + 0.3 * np.exp(-late / (40 * pace))
        if family == "a"
        else (1 + late / (2 * pace)) ** -0.9
    )
    return np.where(tau_min >= 0, body, 0.0)


class Company:
    """Draws events of one company; everything between events is shared."""

    def __init__(self, seed: int, family: str) -> None:
        self.rng = np.random.default_rng([seed, ord(family)])
        self.family = family
        self.shape = {n: ordinary_shape(self.rng) for n in RATES}
        self.pace = self.rng.uniform(0.7, 1.5)
        self.height = {
            "home": self.rng.uniform(2, 5),
            "search": self.rng.uniform(1, 2.5),
            "checkout": self.rng.uniform(10, 25),
        }
        self.growth = self.rng.normal(0.05, 0.05)
        self.spread = self.rng.uniform(0.06, 0.2)
        self.phi = {n: float(np.exp(self.rng.normal(np.log(0.003), 0.5))) for n in RATES}
        self.ramp = self.rng.uniform(1.05, 1.4)
        self.fanout_spread = 0.03

    def day_volume(self, name: str, dau: float, dat: float) -> float:
        return RATES[name][0] * dau + RATES[name][1] * dat

    def event(
        self, p: Promotion, dau: float, dat: float
    ) -> tuple[pd.DataFrame, pd.DataFrame, dict[tuple[str, str], float]]:
        """Minutes of four local days around a start; rows, volumes and truth by phase."""
        rng = self.rng
        first = pd.Timestamp(p.starts_at).normalize() - pd.Timedelta(days=1)
        minutes = pd.date_range(first, periods=4 * 1440, freq="min")
        tau = ((minutes - pd.Timestamp(p.starts_at)) / pd.Timedelta(minutes=1)).to_numpy()
        hours = (p.ends_at - p.starts_at) / timedelta(hours=1)
        inside = (tau >= 0) & (tau < hours * 60)
        shared = rng.normal(0, self.spread * 0.8)
        rate, people = {}, {}
        days = minutes.normalize()
        for name in RATES:
            own = shared + rng.normal(0, self.spread * 0.6)
            height = (
                self.height[name]
                * np.exp(self.growth * (p.starts_at.year - 2025) + own)
                * (0.6 if p.kind == "618" else 1)
            )
            clock = np.tile(self.shape[name], 4)
            noise = np.exp(rng.normal(0, 0.02, tau.size) if self.family == "a" else 0.02 * rng.standard_t(5, tau.size))
            y = clock * np.where(inside, 1.4, 1.0) + height * spike(tau, self.family, self.pace)
            y = y * noise
            per_day = np.empty(tau.size)
            for d in pd.unique(days):
                rows = days == d
                lift = 3.0 if inside[rows].mean() > 0.5 else 1.6 if inside[rows].any() else 1.0
                people[d] = (dau * (1 + 0.25 * (lift - 1)), dat * lift)
                v = self.day_volume(name, *people[d]) * np.exp(rng.normal(0, 0.02))
                per_day[rows] = y[rows] / y[rows].sum() * v
            rate[name] = per_day / 60
        entry = np.stack([rate[n] for n in RATES])
        reach = REACH * np.exp(rng.normal(0, self.fanout_spread, REACH.shape[1]) * (np.arange(6) >= 3))
        mean = reach.T @ entry
        first = np.flatnonzero((tau >= -3) & (tau < 20))
        # The other minutes' worst seconds by formula: they are never a phase's worst.
        spread = np.sqrt(0.004 + 1 / np.maximum(mean, 1e-9))
        peak = mean * (1 + 2.3 * spread)
        busy = np.unique(np.concatenate([*np.argsort(-mean, axis=1)[:, :60], first, *(
            np.flatnonzero(part)[np.argsort(-mean[k][part])[:50]]
            for part in (self._inside(p, i, minutes) for i in range(len(p.phases))) for k in range(3)
        )]))  # fmt: skip
        seconds = np.einsum("ems,ek->kms", self._seconds(entry[:, busy], tau[busy]), reach)
        mean[:, busy], peak[:, busy] = seconds.mean(-1), seconds.max(-1)
        truth, rows = {}, []
        for k, name in enumerate(NAMES):
            rows.append(pd.DataFrame({
                "ts": minutes, "service": name, "interval_s": 60, "requests": np.round(mean[k] * 60),
                "peak_qps": np.round(peak[k]), "rejected": 0,
            }))  # fmt: skip
            for i, phase in enumerate(p.phases):
                part = np.isin(np.arange(tau.size), busy) & self._inside(p, i, minutes)
                truth[phase.name, name] = float(peak[k][part].max())
        frame = pd.DataFrame([(d, *v) for d, v in people.items()], columns=["date", "dau", "dat"])
        return pd.concat(rows), frame, truth

    def _inside(self, p: Promotion, i: int, minutes: pd.DatetimeIndex) -> np.ndarray:
        return np.asarray(
            (minutes >= pd.Timestamp(p.phases[i].starts_at)) & (minutes < pd.Timestamp(p.phases[i].ends_at))
        )

    def _seconds(self, minute_rate: np.ndarray, tau: np.ndarray) -> np.ndarray:
        rng = self.rng
        phi = np.array([self.phi[n] for n in RATES])[:, None, None]
        within = np.ones((1, tau.size, 60))
        first = np.flatnonzero(tau == 0)
        kernel = 1 + (self.ramp - 1) * np.exp(-np.arange(60) / 15.0)
        within[0, first] = kernel / kernel.mean()
        rate = minute_rate[:, :, None] * within
        common = rng.standard_normal((1, tau.size, 60)) * 0.5**0.5
        own = rng.standard_normal(rate.shape) * 0.5**0.5
        noisy = rate * np.exp(np.sqrt(phi) * (common + own) - phi / 2)
        return np.maximum(noisy + np.sqrt(noisy) * rng.standard_normal(rate.shape), 0.0)


def build(
    seed: int = 0, family: str = "a", *, years: tuple[int, ...] = (2023, 2024, 2025),
    kinds: tuple[str, ...] = ("double11", "618"),
    hours: dict[int, int] | None = None, n_samples: int = 400, as_of: date = date(2026, 10, 20), told: bool = True,
    fanout: float = 1.5,
) -> World:  # fmt: skip
    company = Company(seed, family)
    hours = hours or {}
    frames, history, past = [], [], []
    for year in years:
        for kind in kinds:
            p = promotion(year, kind, hour=hours.get(year, 20))
            growth = 1.1 ** (year - 2023)
            rows, people, _ = company.event(p, 2e7 * growth, 1e6 * growth)
            frames.append(rows)
            history.append(people)
            past.append(p)
            ordinary, days = _ordinary(company, p.starts_at - timedelta(days=31), 28, 2e7 * growth, 1e6 * growth)
            frames.append(ordinary)
            history.append(days)
    ordinary, days = _ordinary(company, datetime(2026, 9, 20, tzinfo=ZONE), 30, 2e7 * 1.33, 1e6 * 1.33)
    frames.append(ordinary)
    history.append(days)
    target = promotion(2026, hour=hours.get(2026, 20))
    _, people, truth = company.event(target, 2e7 * 1.33, 1e6 * 1.33)
    people = people.set_index("date")

    def samples(column: str) -> xr.DataArray:
        values = np.repeat(people[column].to_numpy()[None], n_samples, 0)
        index = people.index.tz_localize(None)
        return xr.DataArray(values, dims=("sample", "date"), coords={"date": index.to_numpy()})

    past_people = pd.concat(history).drop_duplicates("date").sort_values("date").reset_index(drop=True)
    past_people["date"] = pd.to_datetime(past_people["date"]).dt.tz_localize(None)
    demand = FakeDemand(target, as_of, samples("dau"), samples("dat"), past_people, tuple(past))
    frame = pd.concat(frames).reset_index(drop=True)
    return World(demand, FakeTraffic(frame), catalog_of(told=told, fanout=fanout), truth)


def _ordinary(
    company: Company, start: datetime, n_days: int, dau: float, dat: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    first = pd.Timestamp(start).normalize()
    hours = pd.date_range(first, periods=24 * n_days, freq="h")
    noise = np.exp(company.rng.normal(0, 0.03, n_days))
    people = pd.DataFrame({"date": pd.date_range(first, periods=n_days), "dau": dau * noise, "dat": dat * noise})
    entry = []
    for name in RATES:
        share = company.shape[name].reshape(24, 60).mean(1) / 24
        volume = np.array([company.day_volume(name, a, b) for a, b in zip(people["dau"], people["dat"], strict=True)])
        entry.append((volume[:, None] * share[None] * np.exp(company.rng.normal(0, 0.01, (n_days, 24)))).ravel())
    total = np.stack(entry).T @ REACH
    rows = [
        pd.DataFrame(
            {
                "ts": hours,
                "service": n,
                "interval_s": 3600,
                "requests": np.round(total[:, k]),
                "peak_qps": np.nan,
                "rejected": 0,
            }
        )
        for k, n in enumerate(NAMES)
    ]
    return pd.concat(rows), people


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    return build


@pytest.fixture(scope="session")
def world() -> World:
    return build(1)
