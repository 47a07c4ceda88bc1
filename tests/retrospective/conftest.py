"""A small world whose truth is known: two entries, a database and an optional service behind them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from capacity.catalog import Catalog, Service
from capacity.journal import Journal, new_entry
from capacity.promotion import Promotion
from capacity.retrospective import Review, review

ZONE = "Asia/Shanghai"
SERVICES = ("shop", "search", "db", "rec")
FACTORS = ("dau", "dat_per_dau", "requests_per_dat", "peak_share", "burst")
FIRST, STOP = pd.Timestamp("2026-11-09", tz=ZONE), pd.Timestamp("2026-11-13", tz=ZONE)


class FakeTraffic:
    """The interface of history's Traffic over a frame."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.timezone = ZONE

    @property
    def is_empty(self) -> bool:
        return self.frame.empty

    @property
    def first_at(self) -> Any:
        return None if self.frame.empty else self.frame["ts"].min()

    @property
    def last_at(self) -> Any:
        return None if self.frame.empty else self.frame["ts"].max()

    def window(self, starts_at: Any, ends_at: Any, services: Any = None) -> pd.DataFrame:
        inside = (self.frame["ts"] >= pd.Timestamp(starts_at)) & (self.frame["ts"] < pd.Timestamp(ends_at))
        return self.frame[inside].reset_index(drop=True)

    def daily(self) -> pd.DataFrame:
        day = self.frame["ts"].dt.tz_localize(None).dt.normalize()
        grouped = self.frame.assign(date=day).groupby(["date", "service"], as_index=False)
        out = grouped[["requests", "rejected", "test_requests"]].sum()
        out["covered_fraction"] = grouped["interval_s"].sum()["interval_s"] / 86_400.0
        return out

    def typical_day(self, services: Any = None, *, before: date, days: int = 28) -> pd.DataFrame:
        minute = np.arange(1440)
        share = shape()[:1440] / shape()[:1440].sum()
        return pd.concat([pd.DataFrame({"service": s, "minute_of_day": minute, "share": share}) for s in services])


@dataclass
class FakeActivity:
    frame: pd.DataFrame
    has_total: bool = True

    def totals(self) -> pd.DataFrame:
        return self.frame.assign(dau_is_upper_bound=not self.has_total)


@dataclass
class World:
    """Everything a review reads; change it, then call `review()`."""

    promotion: Promotion
    catalog: Catalog | None
    document: dict[str, Any]
    peaks: Any
    traffic: pd.DataFrame
    activity: pd.DataFrame
    journal: Journal = field(default_factory=lambda: Journal(timezone=ZONE))
    has_total: bool = True
    truth: dict[str, dict[str, float]] = field(default_factory=dict)

    def review(self) -> Review:
        plan = SimpleNamespace(
            document=self.document, peaks=self.peaks, services=self.catalog, promotion_id=self.promotion.id
        )
        activity = FakeActivity(self.activity, self.has_total)
        return review(plan, FakeTraffic(self.traffic), daily_activity=activity, journal=self.journal)

    def say(self, kind: str, at: str, text: str = "", **more: str) -> str:
        """Write a journal entry at a time of the evening (``20:05``, or a whole ISO time); return its id."""
        moment = at if "T" in at else f"2026-11-10T{at}"
        entry = new_entry(kind, text, at=moment, timezone=ZONE, **more)
        entries = tuple(sorted((*self.journal.entries, entry), key=lambda one: one.at))
        self.journal = replace(self.journal, entries=entries)
        return entry.id

    def rows(self, service: str, begin: str, end: str) -> "pd.Series[bool]":
        stamps = [pd.Timestamp(f"2026-11-10T{t}" if "T" not in t else t, tz=ZONE) for t in (begin, end)]
        traffic = self.traffic
        return (traffic["service"] == service) & (traffic["ts"] >= stamps[0]) & (traffic["ts"] < stamps[1])


def shape() -> np.ndarray:
    """Relative rate of every minute of the four days: a calm day, ten times as much at the opening."""
    minute = np.arange(4 * 1440)
    calm = 1.0 + 0.4 * np.sin(2 * np.pi * (minute - 600) / 1440)
    opening = 1440 + 20 * 60
    return calm + np.where(minute >= opening, 9.0 * np.exp(-np.maximum(minute - opening, 0) / 20.0), 0.0)


def build(multipliers: dict[str, float] | None = None, *, spread: float = 0.1, n_samples: int = 400) -> World:
    """Build a world whose actual factors are the forecast's centre times `multipliers`, for all entries."""
    times = dict.fromkeys(FACTORS, 1.0) | (multipliers or {})
    promotion = Promotion.model_validate(
        {
            "id": "2026-double11",
            "kind": "double11",
            "starts_at": "2026-11-10T20:00+08:00",
            "ends_at": "2026-11-12T00:00+08:00",
            "freeze": {"starts_at": "2026-11-09T00:00+08:00", "ends_at": "2026-11-13T00:00+08:00"},
        }
    )
    catalog = Catalog.from_services(
        [
            service("shop", owner="trade", calls=[{"to": "db", "per_request": 2.0}, {"to": "rec", "per_request": 0.5}]),
            service("search", owner="find"),
            service("db", entry={"per_dau": 0.0}, scalable=False, max_qps=90000.0),
            service("rec", tier="degradable", entry={"per_dau": 0.0}),
        ]
    )
    dau, dat_per_dau = 1e6 * times["dau"], 0.1 * times["dat_per_dau"]
    per_dat = {"shop": 30.0, "search": 80.0}
    day = slice(1440, 2880)
    base = shape()
    top = base[day].max() / base[day].sum()
    rates, seconds = {}, {}
    for entry, requests in per_dat.items():
        share = top * times["peak_share"]
        weights = base[day].copy()
        worst = int(weights.argmax())
        weights[worst] = share / (1 - share) * (weights.sum() - weights[worst])
        volume = dau * dat_per_dau * requests * times["requests_per_dat"]
        curve = base / base[day].sum() * volume
        curve[day] = weights / weights.sum() * volume
        rates[entry] = curve / 60.0
        seconds[entry] = rates[entry] * 1.5 * times["burst"]
    rates |= {"db": 2.0 * rates["shop"], "rec": 0.5 * rates["shop"]}
    seconds |= {"db": 2.0 * seconds["shop"], "rec": 0.5 * seconds["shop"]}
    centre = {entry: (1e6, 0.1, requests, top, 1.5) for entry, requests in per_dat.items()}
    return World(
        promotion=promotion,
        catalog=catalog,
        document=document(),
        peaks=samples(promotion, centre, spread, n_samples),
        traffic=frame(rates, seconds),
        activity=pd.DataFrame(
            {
                "date": pd.date_range("2026-11-09", "2026-11-12"),
                "dau": [dau] * 4,
                "dat": [dau * dat_per_dau] * 4,
            }
        ),
        truth={entry: dict(zip(FACTORS, values, strict=True)) for entry, values in centre.items()},
    )


def service(name: str, **more: Any) -> Service:
    given = {"name": name, "tier": "core", "instances": 30, "zones": 3, "instance_cost": 2.0, "slo": {"p99_ms": 300.0}}
    given |= {"entry": {"per_dau": 1.0}} | more
    return Service.model_validate(given)


def frame(rates: dict[str, np.ndarray], seconds: dict[str, np.ndarray]) -> pd.DataFrame:
    stamps = pd.date_range(FIRST, STOP, freq="min", inclusive="left")
    parts = [
        pd.DataFrame(
            {
                "ts": stamps,
                "service": name,
                "interval_s": 60.0,
                "requests": rates[name] * 60.0,
                "errors": 0.0,
                "rejected": 0.0,
                "test_requests": 0.0,
                "bot_requests": 0.0,
                "peak_qps": seconds[name],
                "p50_ms": 20.0,
                "p95_ms": 80.0,
                "p99_ms": 150.0,
                "cpu_fraction": 0.5,
                "instances": 30.0,
            }
        )
        for name in SERVICES
    ]
    return pd.concat(parts, ignore_index=True)


def samples(promotion: Promotion, centre: dict[str, tuple[float, ...]], spread: float, n: int) -> Any:
    rng = np.random.default_rng(7)
    half = rng.normal(0.0, spread, (n // 2, 1, len(FACTORS)))
    noise = np.concatenate([half, -half])  # antithetic: the mean log is the centre, exactly
    factors = np.array([list(centre[e]) for e in centre])[None] * np.exp(noise)
    external = factors.prod(axis=2) / 60.0
    phases = tuple(phase.name for phase in promotion.phases)
    peak = np.zeros((n, len(phases), len(SERVICES)))
    part = {"opening": 1.0}
    for number, phase in enumerate(phases):
        scale = part.get(phase, 0.2)
        peak[:, number, 0], peak[:, number, 1] = external[:, 0] * scale, external[:, 1] * scale
        peak[:, number, 2], peak[:, number, 3] = 2.0 * external[:, 0] * scale, 0.5 * external[:, 0] * scale
    dims = ("sample", "phase", "service")
    return SimpleNamespace(
        promotion=promotion,
        services=SERVICES,
        phases=phases,
        entries=tuple(centre),
        peak_qps=xr.DataArray(peak, dims=dims, coords={"phase": list(phases), "service": list(SERVICES)}),
        peak_at_s=xr.DataArray(np.zeros_like(peak), dims=dims),
        factors=xr.DataArray(
            factors,
            dims=("sample", "entry_service", "factor"),
            coords={"entry_service": list(centre), "factor": list(FACTORS)},
        ),
    )


def document() -> dict[str, Any]:
    band = {
        "dau": {"q05": 0.85e6, "q50": 1e6, "q95": 1.18e6},
        "dat": {"q05": 0.8e5, "q50": 1e5, "q95": 1.25e5},
    }
    services = {
        name: {
            "decision": "keep",
            "instance_capacity_qps": {"q05": 18.0, "q50": 20.0, "q95": 22.0},
            "capacity_evidence": "measured",
            "instances": 30,
            "cluster_limit_qps": 5400.0,
            "limited_by": [name],
        }
        for name in SERVICES
    }
    return {
        "schema": "capacity.plan/1",
        "promotion": "2026-double11",
        "as_of": "2026-11-01",
        "risk": {"overload_probability": 0.05, "zone_losses": 1, "utilization_ceiling": 1.0},
        "demand": {f"2026-11-{day}": band for day in ("09", "10", "11", "12")},
        "services": services,
        "degradation": [
            {
                "order": 1,
                "feature": "recommendations",
                "service": "shop",
                "on_at": "2026-11-10T19:55:00+08:00",
                "off_at": "2026-11-10T22:00:00+08:00",
                "owner": "growth",
                "saves_qps": {"rec": 100.0},
            }
        ],
        "cost": {"currency": "CNY"},
        "inputs": [{"path": "data/services.yaml", "sha256": "ab", "rows": None}],
        "signature": "s" * 64,
    }


@pytest.fixture
def build_world() -> Callable[..., World]:
    return build


@pytest.fixture
def world() -> World:
    return build()
