"""One promotion after another: played, recorded by the minute, and only what truth and files need is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.second_family.clock import HOUR_S
from benchmarks.second_family.events import Event
from benchmarks.second_family.fleet import Fleet, promotion_instances
from benchmarks.second_family.hours import Hours
from benchmarks.second_family.instances import TrueService
from benchmarks.second_family.seconds import Window, play_window, windows_of
from benchmarks.second_family.tables import Recorder
from benchmarks.second_family.world import World
from capacity.demo.truth import queued_rate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Played:
    """What is kept of one promotion.

    Parameters
    ----------
    event
        The promotion.
    hours
        Hours (from the origin) that were played by the second.
    offered_orders, completed_orders
        In each of them.
    rows
        Minute rows of the traffic table; none of a promotion whose minutes have expired.
    peaks
        By service and phase, offered.
    degraded
        By set of features that are off: largest second by service; only of the promotion to plan.
    peak_tps, peak_at, completed_tps, arrived
        Orders of the largest second and when; as completed; largest second by service as it arrived.
    queued
        By service behind a queue.
    limit_qps, rejected
        What the limit let through, and how many orders it turned away.
    """

    event: Event
    hours: NDArray[np.int64]
    offered_orders: Array
    completed_orders: Array
    rows: list[pd.DataFrame]
    peaks: dict[str, dict[str, float]]
    degraded: dict[frozenset[str], dict[str, float]]
    peak_tps: float
    peak_at: str
    completed_tps: float
    arrived: dict[str, float]
    queued: dict[str, float]
    limit_qps: float | None
    rejected: int


def largest(windows: list[Window]) -> dict[str, float]:
    """Largest second by service over some windows."""
    names = windows[0].world.graph.names
    return dict(
        zip(names, np.max([w.offered.max(axis=0) for w in windows], axis=0).astype(float).tolist(), strict=True)
    )


def open_windows(world: World, event: Event) -> list[Window]:
    """Play the promotion's windows."""
    spans = windows_of(event, remembered=world.is_remembered(event))
    end = world.setting.recorded_days * 86400
    return [play_window(world, event, max(first, 0), min(last, end)) for first, last in spans]


def record(
    world: World,
    services: Mapping[str, TrueService],
    fleet: Fleet,
    recorder: Recorder,
    windows: list[Window],
    *,
    phases: Mapping[str, tuple[int, int]],
    hours: Hours,
) -> Played:
    """Record one promotion and keep what is needed of it."""
    event, graph = windows[0].event, world.graph
    most, place = largest(windows), graph.index[graph.orders]
    share = fleet.limit_share.get(event.id, np.inf)
    limit = max(float(np.floor(share * most[graph.orders])), 1.0) if np.isfinite(share) else None
    instances = promotion_instances(world, services, fleet, event, most)
    failing = services[graph.orders].instance.base_errors
    kept: dict[str, list[Any]] = {"hours": [], "offered": [], "completed": [], "rows": [], "arrived": [], "tps": []}
    rejected = 0.0
    for window in windows:
        arriving, away = window.admitting(limit)
        rejected += float(away.sum())
        kept["hours"].append(np.arange(window.starts_s // HOUR_S, window.ends_s // HOUR_S))
        asked = window.offered[:, place].reshape(-1, HOUR_S).sum(axis=1, dtype=np.float64)
        kept["offered"].append(asked)
        kept["completed"].append(
            np.rint((asked - away.reshape(-1, HOUR_S).sum(axis=1, dtype=np.float64)) * (1 - failing))
        )
        kept["arrived"].append(arriving.max(axis=0))
        kept["tps"].append(float((arriving[:, place] - away).max()))
        if world.is_remembered(event):
            kept["rows"] += recorder.minutes(event.id, window.starts_s, arriving, away, instances)
    played = np.concatenate(kept["hours"])
    best = max(windows, key=lambda w: float(w.offered[:, place].max()))
    return Played(
        event=event,
        hours=played,
        offered_orders=np.concatenate(kept["offered"]),
        completed_orders=np.concatenate(kept["completed"]),
        rows=kept["rows"],
        peaks=_peaks(world, windows, phases, hours, played),
        degraded=_degraded(world, windows, hours, played) if event.id == world.target.id else {},
        peak_tps=most[graph.orders],
        peak_at=world.setting.clock.moment(best.starts_s + int(best.offered[:, place].argmax())).isoformat(),
        completed_tps=max(kept["tps"]),
        arrived=dict(zip(graph.names, np.max(kept["arrived"], axis=0).astype(float).tolist(), strict=True)),
        queued=_queued(world, windows),
        limit_qps=limit,
        rejected=int(rejected),
    )


def _peaks(
    world: World, windows: list[Window], phases: Mapping[str, tuple[int, int]], hours: Hours, played: NDArray[np.int64]
) -> dict[str, dict[str, float]]:
    """Largest second by service and phase, over the seconds that were played and the hours that were not."""
    found: dict[str, Array] = {}
    for phase, (first, last) in phases.items():
        parts = [np.zeros(len(world.graph.nodes))]
        for window in windows:
            part = window.offered[max(first - window.starts_s, 0) : max(last - window.starts_s, 0)]
            parts += [part.max(axis=0)] if len(part) else []
        rest = np.setdiff1d(np.arange(first // HOUR_S, last // HOUR_S), played) - hours.first
        rest = rest[(rest >= 0) & (rest < len(hours.peak_qps))]
        parts += [hours.peak_qps[rest].max(axis=0)] if len(rest) else []
        found[phase] = np.max(parts, axis=0)
    names = world.graph.names
    return {name: {phase: float(values[k]) for phase, values in found.items()} for k, name in enumerate(names)}


def _degraded(
    world: World, windows: list[Window], hours: Hours, played: NDArray[np.int64]
) -> dict[frozenset[str], dict[str, float]]:
    """Largest second of the promotion by service, for every choice of features that are off all the time."""
    event, graph = world.target, world.graph
    inside = np.setdiff1d(np.arange(event.starts_s // HOUR_S, event.ends_s // HOUR_S), played) - hours.first
    usual = graph.reach(graph.matrix())
    entries = [graph.index[entry.name] for entry in world.rates.entries]
    found = {}
    features = sorted(graph.features)
    for off in (frozenset(some) for size in range(len(features) + 1) for some in combinations(features, size)):
        parts = []
        for window in windows:
            offered = window.without(off) if off else window.offered
            at = slice(event.starts_s - window.starts_s if window.starts_s < event.starts_s else 0,
                       max(event.ends_s - window.starts_s, 0))  # fmt: skip
            parts.append(offered[at].max(axis=0))
        left = graph.reach(graph.matrix(without=off))
        # Hours are not played: what is left of a service's load there is what is left of its mean.
        ratio = left[entries].sum(axis=0) / np.maximum(usual[entries].sum(axis=0), 1e-12)
        parts += [hours.peak_qps[inside].max(axis=0) * ratio] if len(inside) else []
        found[off] = dict(zip(graph.names, np.max(parts, axis=0).astype(float).tolist(), strict=True))
    return found


def _queued(world: World, windows: list[Window]) -> dict[str, float]:
    delays = {edge.callee: edge.max_delay_s for edge in world.graph.edges if edge.max_delay_s is not None}
    return {
        name: max(queued_rate(w.offered[:, world.graph.index[name]], max_delay_s=delay) for w in windows)
        for name, delay in delays.items()
    }
