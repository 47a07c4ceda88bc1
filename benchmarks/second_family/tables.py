"""The tables as the company's systems recorded them: traffic, daily activity, calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.second_family.clock import DAY_S, HOUR_S
from benchmarks.second_family.fleet import Fleet
from benchmarks.second_family.instances import TrueService
from benchmarks.second_family.seconds import edge_factors
from benchmarks.second_family.setting import rng_of
from benchmarks.second_family.world import World

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
_LATENCY = ["p50_ms", "p95_ms", "p99_ms"]


@dataclass(frozen=True)
class Recorder:
    """What the company's monitoring writes down.

    Five of six companies know the largest second, four of five latency, two of three CPU.
    """

    world: World
    services: Mapping[str, TrueService]
    fleet: Fleet

    def minutes(
        self, event: str, starts_s: int, arriving: Floats, away: Floats, instances: Mapping[str, int]
    ) -> list[pd.DataFrame]:
        """One row a minute and service, from seconds."""
        rng = rng_of(self.world.setting, "minutes", event, str(starts_s))
        count = len(arriving) // 60
        start = starts_s + 60 * np.arange(count)
        frames = []
        for k, name in enumerate(self.world.graph.names):
            seconds = arriving[:, k].reshape(count, 60)
            requests = seconds.sum(axis=1, dtype=np.float64)
            turned = np.zeros(count)
            if name == self.world.graph.orders:
                turned = away.reshape(count, 60).sum(axis=1, dtype=np.float64)
            peak = seconds.max(axis=1).astype(np.float64)
            frames.append(self._frame(rng, name, start, 60, requests, turned, peak, instances.get(name), None))
        return frames

    def hours(self, hours: NDArray[np.int64], requests: Array, peak_qps: Array) -> list[pd.DataFrame]:
        """One row an hour and service; `requests` and `peak_qps` have a row an hour."""
        rng = rng_of(self.world.setting, "hour rows")
        down = self.world.incidents.hourly[hours] < 0.5
        frames = []
        for k, name in enumerate(self.world.graph.names):
            count = self.fleet.instances_now.get(name)
            zero = np.zeros(len(hours))
            frames.append(
                self._frame(rng, name, hours * HOUR_S, HOUR_S, requests[:, k], zero, peak_qps[:, k], count, down)
            )
        return frames

    def _frame(
        self, rng: np.random.Generator, name: str, start: NDArray[np.int64], seconds: int, requests: Array, away: Array,
        peak: Array, instances: int | None, down: NDArray[np.bool_] | None,
    ) -> pd.DataFrame:  # fmt: skip
        knows = rng_of(self.world.setting, "monitoring").random(3) < np.array([5 / 6, 4 / 5, 2 / 3])
        served = requests - away
        latency, failing, cpu = self._measured(rng, name, served / seconds, instances)
        if down is not None:
            failing = np.where(down, 0.4, failing)
        entry = next((e for e in self.world.rates.entries if e.name == name), None)
        bots = np.minimum(rng.poisson((entry.extra_qps if entry else 0.0) * seconds, len(start)), requests)
        latency[(served <= 0) | (not knows[1])] = np.nan
        unknown = np.full(len(start), np.nan)
        frame = pd.DataFrame(
            {
                "second": start,
                "service": name,
                "requests": requests.astype(np.int64),
                "errors": np.minimum(rng.poisson(served * failing), served).astype(np.int64),
                "rejected": away.astype(np.int64),
                "bot_requests": bots.astype(np.int64),
                "peak_qps": peak if knows[0] else unknown,
                "cpu_fraction": cpu if knows[2] else unknown,
                "instances": np.nan if instances is None else float(instances),
            }
        )
        frame[_LATENCY] = latency
        return frame

    def _measured(
        self, rng: np.random.Generator, name: str, rate: Array, instances: int | None
    ) -> tuple[Array, Array, Array]:
        noise = np.exp(rng.normal(size=(len(rate), 3)) * np.array([0.02, 0.04, 0.06]))
        if name in self.fleet.fixed_qps:
            use = np.minimum(rate / self.fleet.fixed_qps[name], 0.97)
            usual = 120.0 if name in self.world.graph.of_role("partner") else 3.0
            latency = usual * (1 + 0.3 * use**2 / (1 - use))[:, None] * np.array([1.0, 2.3, 4.0]) * noise
            return np.sort(latency, axis=1).round(2), np.full(len(rate), 1e-4), np.full(len(rate), np.nan)
        instance = self.services[name].instance
        each = rate / float(instances or 1)
        latency, failing, _ = instance.table.at(each)
        cpu = np.minimum(instance.cpu(each) * np.exp(0.02 * rng.normal(size=len(rate))), 1.0)
        return np.sort(latency * noise, axis=1).round(2), failing, cpu.round(3)


def finish_traffic(world: World, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put all rows in order of service and time, the hours of lost logs left out, times in the company's zone."""
    frame = pd.concat(list(frames), ignore_index=True)
    hour = frame["second"].to_numpy() // HOUR_S
    lost = np.zeros(len(frame), dtype=bool)
    for first, last in world.incidents.lost_hours:
        lost |= (hour >= first) & (hour < last)
    frame = frame[~lost]
    frame = frame.sort_values(["service", "second"], kind="stable", ignore_index=True)
    frame.insert(0, "ts", world.setting.clock.stamps(frame.pop("second").to_numpy(dtype=np.int64)))
    frame["service"] = frame["service"].astype("str")
    frame["instances"] = frame["instances"].astype("Int64")
    return frame


def daily_table(world: World, completed: Array) -> pd.DataFrame:
    """One row a day and segment and the total without doubles; lost days are missing.

    Parameters
    ----------
    world
        The company.
    completed
        Orders completed by day.
    """
    days = world.setting.recorded_days
    active = np.rint(world.days.active[:days])
    total = np.minimum(np.rint(world.days.total[:days]), active.sum(axis=1))
    weight = world.days.ordinary_orders[:days].copy()
    for event in world.events:
        inside = [day for day in event.days if day < days]
        weight[inside] *= np.exp(np.asarray(event.segment_orders))
    parts = np.floor(completed[:, None] * weight / weight.sum(axis=1, keepdims=True))
    parts[:, 0] += completed - parts.sum(axis=1)
    columns = [("total", total, completed)]
    if len(world.days.segments) > 1:
        columns += [(name, active[:, k], parts[:, k]) for k, name in enumerate(world.days.segments)]
    dates = world.setting.clock.dates(days)
    frames = [
        pd.DataFrame({"date": dates, "segment": name, "dau": dau.astype(np.int64), "dat": dat.astype(np.int64)})
        for name, dau, dat in columns
    ]
    frame = pd.concat(frames, ignore_index=True)
    frame = frame[~frame["date"].isin(dates[list(world.incidents.lost_days)])]
    frame["segment"] = frame["segment"].astype("str")
    ordered: pd.DataFrame = frame.sort_values(["date", "segment"], ignore_index=True)
    return ordered


def calls_table(world: World, requests: Array, first_hour: int) -> pd.DataFrame:
    """One row a day and edge, from tracing of ordinary days, from 40 days before the planning day on.

    Parameters
    ----------
    world
        The company.
    requests
        By hour and service.
    first_hour
        Hour of the first row.
    """
    rng, graph = rng_of(world.setting, "calls"), world.graph
    factors = edge_factors(world, "ordinary days")
    busy = {day for event in world.events for day in event.days}
    rows = []
    for day in range(world.setting.as_of_day - 40, world.setting.recorded_days):
        if day in busy:
            continue
        total = requests[day * 24 - first_hour : (day + 1) * 24 - first_hour].sum(axis=0)
        for edge, factor in zip(graph.edges, factors, strict=True):
            count = int(rng.poisson(total[graph.index[edge.caller]] * edge.arrivals * factor))
            retries = int(rng.binomial(count, 1 - 1 / edge.attempts)) if edge.retries else 0
            rows.append((edge.caller, edge.callee, count, retries, day * DAY_S, (day + 1) * DAY_S))
    frame = pd.DataFrame(rows, columns=["caller", "callee", "calls", "retries", "starts", "ends"])
    frame["window_start"] = world.setting.clock.stamps(frame.pop("starts").to_numpy(dtype=np.int64))
    frame["window_end"] = world.setting.clock.stamps(frame.pop("ends").to_numpy(dtype=np.int64))
    return frame
