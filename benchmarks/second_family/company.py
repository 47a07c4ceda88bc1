"""A company of the second family put together: tables, files, truth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.second_family.clock import DAY_S
from benchmarks.second_family.events import Event
from benchmarks.second_family.files import promotion_head, write_texts
from benchmarks.second_family.fleet import Fleet, make_fleet
from benchmarks.second_family.hours import Hours, draw_hours
from benchmarks.second_family.instances import TrueService, draw_services
from benchmarks.second_family.loadtests import draw_runs
from benchmarks.second_family.nights import Played, largest, open_windows, record
from benchmarks.second_family.tables import Recorder, calls_table, daily_table, finish_traffic
from benchmarks.second_family.truth import SecondTruth
from benchmarks.second_family.world import World, draw_world
from capacity.promotion import Promotion

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SecondCompany:
    """A company of the second family, in the shape of `capacity.demo.Company`, and what is to be planned.

    Parameters
    ----------
    seed
        Seed it was drawn from.
    daily_activity, traffic, calls
        Tables of the contracts of the same names, some days past the promotion.
    texts
        By path in the workspace: text of every file.
    truth
        What really is.
    promotion, before, as_of
        The promotion to plan, the last one of its kind that was over by then, and the planning day.
    """

    seed: int
    daily_activity: pd.DataFrame
    traffic: pd.DataFrame
    calls: pd.DataFrame
    texts: dict[str, str]
    truth: SecondTruth
    promotion: str
    before: str | None
    as_of: date


def make_second_company(seed: int = 0) -> SecondCompany:
    """Make the company of a seed. Nothing is written.

    Parameters
    ----------
    seed
        0 or larger; the same seed gives the same company.

    Raises
    ------
    ValueError
        For a negative seed.

    Examples
    --------
    >>> make_second_company(-1)
    Traceback (most recent call last):
    ValueError: seed is -1; expected 0 or larger
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or larger")
    world = draw_world(seed)
    hours = draw_hours(world)
    recent = slice((world.setting.as_of_day - 28) * 24 - hours.first, world.setting.as_of_day * 24 - hours.first)
    usual_dau = float(world.days.total[world.setting.as_of_day - 28 : world.setting.as_of_day].mean())
    services = draw_services(world.setting, world.graph, usual_dau)
    before = _before(world)
    ordinary = np.quantile(hours.requests[recent] / 3600, 0.98, axis=0)
    last = largest(open_windows(world, before or world.target))
    names = world.graph.names
    fleet = make_fleet(world, services, ordinary=dict(zip(names, ordinary.tolist(), strict=True)), last=last)
    recorder = Recorder(world, services, fleet)
    nights = {
        event.id: record(
            world, services, fleet, recorder, open_windows(world, event), phases=_phases(world, event), hours=hours
        )
        for event in world.played
    }
    offered, completed = _orders_by_day(services[world.graph.orders], hours, nights)
    daily = daily_table(world, completed)
    runs = draw_runs(world.setting, services)
    return SecondCompany(
        seed=seed,
        daily_activity=daily,
        traffic=_traffic(world, recorder, hours, nights),
        calls=calls_table(world, hours.requests, hours.first),
        texts=write_texts(world, services, fleet, nights, runs, offered=offered, completed=completed),
        truth=_truth(world, services, fleet, offered, nights),
        promotion=world.target.id,
        before=before.id if before else None,
        as_of=world.setting.as_of,
    )


def _before(world: World) -> Event | None:
    past = [e for e in world.played if e.kind == world.target.kind and e.ends_s <= world.setting.as_of_day * DAY_S]
    return past[-1] if past else None


def _phases(world: World, event: Event) -> dict[str, tuple[int, int]]:
    """Phases by the words' own rule, in seconds from the origin."""
    origin = world.setting.clock.moment(0)
    phases = Promotion.model_validate(promotion_head(world, event)).phases
    return {
        phase.name: (
            round((phase.starts_at - origin).total_seconds()),
            round((phase.ends_at - origin).total_seconds()),
        )
        for phase in phases
    }


def _orders_by_day(orders: TrueService, hours: Hours, nights: Mapping[str, Played]) -> tuple[Array, Array]:
    """Orders of every day, offered and completed; hours that were played replace those that were drawn."""
    offered = hours.orders.copy()
    completed = np.rint(offered * (1 - orders.instance.base_errors))
    for night in nights.values():
        offered[night.hours] = night.offered_orders
        completed[night.hours] = night.completed_orders
    return offered.reshape(-1, 24).sum(axis=1), completed.reshape(-1, 24).sum(axis=1)


def _traffic(world: World, recorder: Recorder, hours: Hours, nights: Mapping[str, Played]) -> pd.DataFrame:
    kept = np.arange(hours.first, world.setting.recorded_days * 24)
    by_minute = [night.hours for night in nights.values() if night.rows]
    kept = np.setdiff1d(kept, np.concatenate(by_minute)) if by_minute else kept
    rows = recorder.hours(kept, hours.requests[kept - hours.first], hours.peak_qps[kept - hours.first])
    return finish_traffic(world, [*(frame for night in nights.values() for frame in night.rows), *rows])


def _truth(
    world: World, services: Mapping[str, TrueService], fleet: Fleet, offered: Array, nights: Mapping[str, Played]
) -> SecondTruth:
    clock = world.setting.clock
    known = {name: night for name, night in nights.items() if world.is_remembered(night.event)}
    dates = {name: {clock.date_of(day).isoformat(): day for day in night.event.days} for name, night in known.items()}
    active = np.rint(world.days.total)
    return SecondTruth(
        seed=world.setting.seed,
        instance_capacity_qps={name: service.capacity_qps for name, service in services.items()},
        fixed_capacity_qps=fleet.fixed_qps,
        tiers={node.name: node.tier for node in world.graph.nodes},
        instances_now=fleet.instances_now,
        zones=fleet.zones,
        dau={name: {text: float(active[day]) for text, day in days.items()} for name, days in dates.items()},
        dat={name: {text: float(offered[day]) for text, day in days.items()} for name, days in dates.items()},
        offered_peak_qps={name: night.peaks for name, night in known.items()},
        peak_tps={name: night.peak_tps for name, night in known.items()},
        peak_at={name: night.peak_at for name, night in known.items()},
        queued_qps={name: night.queued for name, night in known.items()},
        degraded_peak_qps={name: night.degraded for name, night in known.items() if night.degraded},
        process={
            "market": world.setting.market.name,
            "growth": world.days.form,
            "segments": world.days.segments,
            "history_days": world.setting.as_of_day,
            "habits": asdict(world.habits),
            "limits_qps": {name: night.limit_qps for name, night in nights.items() if night.limit_qps is not None},
            "rejected": {name: night.rejected for name, night in nights.items()},
        },
    )
