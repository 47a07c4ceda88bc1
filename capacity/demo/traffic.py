"""The `traffic`, `daily_activity` and `calls` tables, as the company's systems would have recorded them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.demo.events import ORIGIN, ZONE_NAME
from capacity.demo.fleet import Fleet, Night
from capacity.demo.graph import Floats
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import FIXED, NAMES, TrueService

Array = NDArray[np.float64]

COLUMNS = (
    "ts", "service", "requests", "errors", "rejected", "test_requests", "bot_requests", "peak_qps",
    "p50_ms", "p95_ms", "p99_ms", "cpu_fraction", "instances",
)  # fmt: skip
_FIXED_LATENCY_MS = {"catalog-db": 3.0, "order-db": 4.5, "payco-gateway": 160.0}


def minute_rows(
    parameters: Parameters,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    night: Night,
    event: str,
    *,
    starts_s: int,
    arriving: Mapping[str, Floats],
    rejected: Floats,
    bots: Mapping[str, float],
    known: Sequence[str],
) -> pd.DataFrame:
    """One row a minute and service around a promotion, from its seconds."""
    rng = stream(parameters.seed, "minutes", event)
    minutes = len(rejected) // 60
    start = starts_s + 60 * np.arange(minutes)
    turned = rejected.reshape(minutes, 60).sum(axis=1, dtype=np.float64)
    frames = []
    for name in known:
        seconds = arriving[name].reshape(minutes, 60)
        requests = seconds.sum(axis=1, dtype=np.float64)
        away = turned if name == "checkout" else np.zeros(minutes)
        measured = _measure(
            parameters, rng, services, fleet, name, rate=(requests - away) / 60, seconds=60,
            instances=night.instances.get(name),
        )  # fmt: skip
        bot = rng.poisson(bots.get(name, 0.0) * 60, size=minutes)
        frames.append(_frame(name, start, requests, away, np.minimum(bot, requests), seconds.max(axis=1), measured))
    return pd.concat(frames, ignore_index=True)


def hour_rows(
    parameters: Parameters,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    *,
    hours: NDArray[np.int64],
    requests: Array,
    peak_qps: Array,
    tests: Mapping[tuple[int, str], tuple[float, float]],
    bots: Mapping[str, float],
    new_from: Mapping[str, int],
) -> pd.DataFrame:
    """One row an hour and service on ordinary days; `tests` adds load tests: requests and largest rate."""
    rng = stream(parameters.seed, "hour rows")
    frames = []
    for k, name in enumerate(NAMES):
        here = hours >= new_from.get(name, 0)
        rows = hours[here]
        tested = np.array([tests.get((int(hour), name), (0.0, 0.0)) for hour in rows]).reshape(-1, 2)
        test = np.rint(tested[:, 0])
        total = requests[rows, k] + test
        measured = _measure(
            parameters, rng, services, fleet, name, rate=requests[rows, k] / 3600, seconds=3600,
            instances=fleet.instances_now.get(name),
        )  # fmt: skip
        bot = np.minimum(rng.poisson(bots.get(name, 0.0) * 3600, size=len(rows)), requests[rows, k])
        peak = peak_qps[rows, k] + np.ceil(tested[:, 1])
        frame = _frame(name, rows * 3600, total, np.zeros(len(rows)), bot, peak, measured)
        frame["test_requests"] = test.astype(np.int64)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _measure(
    parameters: Parameters,
    rng: np.random.Generator,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    name: str,
    *,
    rate: Array,
    seconds: int,
    instances: int | None,
) -> dict[str, Array]:
    """Latency, failures and CPU at these rates, with measurement noise."""
    noise = parameters.latency_noise * rng.normal(size=(len(rate), 3)) * np.array([0.4, 0.8, 1.0])
    if name in FIXED:
        use = np.minimum(rate / fleet.fixed_qps[name], 0.97)
        base = _FIXED_LATENCY_MS[name] * (1 + 0.3 * use**2 / (1 - use))
        latency = base[:, None] * np.array([1.0, 2.1, 3.4])
        failing = np.full(len(rate), 3e-3 if name == "payco-gateway" else 2e-5)
        cpu = np.full(len(rate), np.nan) if name == "payco-gateway" else 0.04 + 0.8 * use
        count = np.full(len(rate), np.nan)
    else:
        service = services[name].instance
        each = rate / float(instances or 1)
        latency, failing, _ = service.table.at(each)
        cpu = np.minimum(service.cpu(each), 1.0) * np.exp(0.02 * rng.normal(size=len(rate)))
        count = np.full(len(rate), float(instances or 1))
    return {
        "errors": rng.poisson(rate * seconds * failing).astype(np.float64),
        "latency": np.sort(latency * np.exp(noise), axis=1),
        "cpu": np.minimum(cpu, 1.0),
        "instances": count,
    }


def _frame(
    name: str,
    start: NDArray[np.int64],
    requests: Array,
    rejected: Array,
    bots: Array,
    peak: Array,
    measured: Mapping[str, Array],
) -> pd.DataFrame:
    latency = np.round(measured["latency"], 1)
    quiet = requests <= rejected
    latency[quiet] = np.nan
    return pd.DataFrame(
        {
            "second": start,
            "service": name,
            "requests": requests.astype(np.int64),
            "errors": np.minimum(measured["errors"], requests - rejected).astype(np.int64),
            "rejected": rejected.astype(np.int64),
            "test_requests": np.zeros(len(start), np.int64),
            "bot_requests": bots.astype(np.int64),
            "peak_qps": peak.astype(np.float64),
            "p50_ms": latency[:, 0],
            "p95_ms": latency[:, 1],
            "p99_ms": latency[:, 2],
            "cpu_fraction": np.round(measured["cpu"], 3),
            "instances": measured["instances"],
        }
    )


def finish(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put all rows in order of service and time, with times in the company's zone."""
    frame = pd.concat(list(frames), ignore_index=True)
    frame["service"] = pd.Categorical(frame["service"], categories=list(NAMES))
    frame = frame.sort_values(["service", "second"], kind="stable", ignore_index=True)
    frame.insert(0, "ts", stamps(frame.pop("second").to_numpy()))
    frame["service"] = frame["service"].astype("str")
    frame["instances"] = frame["instances"].astype("Int64")
    return frame[list(COLUMNS)]


def stamps(seconds: NDArray[np.int64]) -> pd.DatetimeIndex:
    """Seconds from the origin as times in the company's zone."""
    origin = np.datetime64(int(ORIGIN.timestamp()), "s")
    utc = pd.DatetimeIndex((origin + seconds.astype("timedelta64[s]")).astype("datetime64[us]"))
    return utc.tz_localize("UTC").tz_convert(ZONE_NAME)
