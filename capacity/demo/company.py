"""The sample company put together: tables, files, truth."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.demo import activity
from capacity.demo.events import RECORDED_DAYS, day_text
from capacity.demo.files import write_texts
from capacity.demo.fleet import LAST_YEAR, ZONES, Fleet, make_fleet
from capacity.demo.graph import event_matrix
from capacity.demo.hourly import Hours, draw_hours
from capacity.demo.loadtests import requests_of_tests
from capacity.demo.nights import Played, play
from capacity.demo.services import DEGRADES, INDEX, NAMES, NEW_FROM, NEW_SERVICE, SPECS
from capacity.demo.simulate import HALF_DAY_MARGIN_S, simulate
from capacity.demo.traffic import finish, hour_rows
from capacity.demo.truth import FILE, Truth
from capacity.demo.world import World, draw_world

TARGET = "2026-double11"
_HOURLY_DAYS = 427  # about fourteen months of hourly rows before the end of the data
_DAY_S = 86400


@dataclass(frozen=True)
class Company:
    """A simulated company: three years of days, promotions by the minute, files, and the truth behind them.

    Parameters
    ----------
    seed
        Seed it was drawn from.
    daily_activity, traffic, calls
        Tables of the contracts of the same names, up to 2026-11-15; what lies after an `as_of` is the future
        that a forecast made then had to meet.
    texts
        By path in the workspace: text of every file, `truth/truth.json` included.
    truth
        What really is; only tests and benchmarks may look.
    """

    seed: int
    daily_activity: pd.DataFrame
    traffic: pd.DataFrame
    calls: pd.DataFrame
    texts: dict[str, str]
    truth: Truth

    def __repr__(self) -> str:
        """Say seed and sizes."""
        rows = f"{len(self.daily_activity)} days × segments, {len(self.traffic)} rows of traffic"
        return f"<Company seed={self.seed}: {rows}, {len(self.texts)} files>"


def make_company(seed: int = 0, *, promotion: str = TARGET) -> Company:
    """Make the sample company of a seed. Nothing is written.

    Parameters
    ----------
    seed
        0 or larger; the same seed gives the same company to the last byte.
    promotion
        The recorded promotion that the journal tells of and whose seconds are kept most finely.

    Returns
    -------
    Company
        Tables, files and truth.

    Raises
    ------
    ValueError
        For a negative seed, or a promotion that is not recorded.

    Examples
    --------
    >>> make_company(-1)
    Traceback (most recent call last):
    ValueError: seed is -1; expected 0 or larger
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or larger")
    world = draw_world(seed)
    recorded = [event.id for event in world.events if event.is_recorded]
    if promotion not in recorded[1:]:
        raise ValueError(f"promotion is {promotion!r}; expected one of {recorded[1:]}")
    hours = _draw_hours(world, promotion)
    fleet, nights = _play_all(world, hours, recorded, promotion)
    traffic = _traffic(world, fleet, hours, nights)
    offered, completed = _orders_by_day(world, hours, nights)
    daily = activity.daily_activity(world.baseline, world.events, completed, lost_day=fleet.lost_hours[0] // 24)
    truth = _truth(world, fleet, offered, nights)
    texts = write_texts(world, fleet, nights, daily, offered=offered, target=promotion)
    texts[FILE] = truth.to_json()
    return Company(seed, daily, traffic, _calls(world, hours, nights[promotion]), texts, truth)


def _draw_hours(world: World, target: str) -> Hours:
    # A feature that was never switched on again stays off until the end of the data.
    off_from = {"similar-items": world.event(target).starts_s // 3600} if target == TARGET else {}
    first = (RECORDED_DAYS - _HOURLY_DAYS) * 24
    return draw_hours(
        world.parameters, world.rates, world.edges, first=first, new_from=NEW_FROM // 3600, off_from=off_from
    )


def _play_all(world: World, hours: Hours, recorded: list[str], target: str) -> tuple[Fleet, dict[str, Played]]:
    """Play last year's first, because the fleet was sized by it; then the others, one at a time."""
    last = simulate(world.parameters, world.rates, world.edges, world.event(LAST_YEAR))
    recent = hours.requests[-_HOURLY_DAYS * 24 :] / 3600
    ordinary = np.quantile(recent, 0.98, axis=0)
    fleet = make_fleet(
        world.parameters,
        world.services,
        last_peaks={name: float(last.offered[name].max()) for name in NAMES},
        ordinary_peaks=dict(zip(NAMES, ordinary.tolist(), strict=True)),
        target=target,
    )
    nights = {}
    for name in recorded:
        is_target = name == target
        margin = _DAY_S if is_target else HALF_DAY_MARGIN_S
        simulated = last if name == LAST_YEAR and not is_target else simulate(
            world.parameters, world.rates, world.edges, world.event(name), margin_s=margin
        )  # fmt: skip
        nights[name] = play(world, fleet, simulated, is_target=is_target)
    return fleet, nights


def _traffic(world: World, fleet: Fleet, hours: Hours, nights: Mapping[str, Played]) -> pd.DataFrame:
    first = (RECORDED_DAYS - _HOURLY_DAYS) * 24
    kept = np.arange(first, RECORDED_DAYS * 24)
    for night in nights.values():
        kept = kept[(kept < night.first_hour) | (kept >= night.last_hour)]
    kept = kept[(kept < fleet.lost_hours[0]) | (kept >= fleet.lost_hours[1])]
    matrix = event_matrix(world.parameters, world.edges, "ordinary days", with_new=True)
    rows = hour_rows(
        world.parameters,
        world.services,
        fleet,
        hours=kept,
        requests=hours.requests,
        peak_qps=hours.peak_qps,
        tests=requests_of_tests(world.runs, _downstream(matrix)),
        bots={name: entry.extra_qps for name, entry in world.entries.items()},
        new_from={NEW_SERVICE: NEW_FROM // 3600},
    )
    return finish([*(night.rows for night in nights.values()), rows])


def _downstream(matrix: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Count the requests that each service sees per request to another, itself included."""
    reach = np.linalg.inv(np.eye(len(NAMES)) - matrix)
    return {
        name: {
            other: float(reach[INDEX[name], INDEX[other]]) for other in NAMES if reach[INDEX[name], INDEX[other]] > 0
        }
        for name in NAMES
    }


def _orders_by_day(
    world: World, hours: Hours, nights: Mapping[str, Played]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Orders of every day: offered, and completed (neither turned away nor failed)."""
    failing = world.services["checkout"].instance.base_errors
    offered = hours.requests[:, INDEX["checkout"]].copy()
    completed = np.rint(offered * (1 - failing))
    for night in nights.values():
        rows = night.rows[night.rows["service"] == "checkout"]
        asked = rows["requests"].to_numpy(dtype=np.float64)
        lost = (rows["rejected"] + rows["errors"]).to_numpy(dtype=np.float64)
        offered[night.first_hour : night.last_hour] = asked.reshape(-1, 60).sum(axis=1)
        completed[night.first_hour : night.last_hour] = (asked - lost).reshape(-1, 60).sum(axis=1)
    return offered.reshape(-1, 24).sum(axis=1), completed.reshape(-1, 24).sum(axis=1)


def _calls(world: World, hours: Hours, target: Played) -> pd.DataFrame:
    """Trace ordinary days; on the promotion's own days tracing was off to save the services the work."""
    matrix = event_matrix(world.parameters, world.edges, "ordinary days", with_new=True)
    by_day = hours.requests.reshape(RECORDED_DAYS, 24, len(NAMES)).sum(axis=1)
    days = [day for day in activity.call_days() if day not in target.event.days]
    forgotten = [DEGRADES[name] for name, (_, last) in target.night.off.items() if last > RECORDED_DAYS * _DAY_S]
    off = {day: frozenset(forgotten) for day in days if day > target.event.days[0]}
    return activity.call_rows(world.parameters, world.edges, matrix, {day: by_day[day] for day in days}, off)


def _truth(world: World, fleet: Fleet, offered: NDArray[np.float64], nights: Mapping[str, Played]) -> Truth:
    days = {name: {day_text(day): day for day in night.event.days} for name, night in nights.items()}
    active = np.rint(world.baseline.total_active)
    dau = {name: {text: float(active[day]) for text, day in dates.items()} for name, dates in days.items()}
    dat = {name: {text: float(offered[day]) for text, day in dates.items()} for name, dates in days.items()}
    return Truth(
        seed=world.parameters.seed,
        instance_capacity_qps={name: service.capacity_qps for name, service in world.services.items()},
        capacity_by_part_qps={name: service.capacity_by_part for name, service in world.services.items()},
        fixed_capacity_qps=fleet.fixed_qps,
        tiers={spec.name: spec.tier for spec in SPECS},
        zones=dict.fromkeys(world.services, ZONES),
        instances_now=fleet.instances_now,
        dau=dau,
        dat=dat,
        offered_peak_qps={name: night.peaks for name, night in nights.items()},
        peak_tps={name: night.peak_tps for name, night in nights.items()},
        peak_at={name: night.peak_at for name, night in nights.items()},
        queued_qps={name: night.queued_qps for name, night in nights.items()},
        process=_process(world, fleet, nights),
        seconds={name: night.seconds for name, night in nights.items()},
    )


def _process(world: World, fleet: Fleet, nights: Mapping[str, Played]) -> dict[str, object]:
    events = {event.id: asdict(event) for event in world.events}
    for values in events.values():
        values["starts_at"], values["ends_at"] = values["starts_at"].isoformat(), values["ends_at"].isoformat()
    return {
        "parameters": asdict(world.parameters),
        "events": events,
        "entries": {name: asdict(entry) for name, entry in world.entries.items()},
        "edges": [asdict(edge) for edge in world.edges],
        "instances": {name: asdict(service.instance) for name, service in world.services.items()},
        "load_tests": {
            run.name: {"defect": run.defect, "speed": run.speed, "closed": run.closed} for run in world.runs
        },
        "limits_qps": {
            name: night.night.limit_qps for name, night in nights.items() if night.night.limit_qps is not None
        },
        "rejected": {name: night.rejected for name, night in nights.items()},
        "lost_hours": list(fleet.lost_hours),
    }
