"""Every text of the company by its path in the workspace."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from capacity.demo.catalogue import most_connections, services_yaml
from capacity.demo.estimates import Estimate, Memory, Outcome, draw_estimate, expected_outcome
from capacity.demo.events import Event, day_text
from capacity.demo.fleet import LAST_YEAR, Fleet
from capacity.demo.journal import write_journal
from capacity.demo.nights import Played
from capacity.demo.randomness import nice_up
from capacity.demo.texts import OPERATIONS, SETTINGS, promotions_yaml, run_yaml
from capacity.demo.world import World

_REMEMBERED = ("checkout", "cart", "product-detail", "search")


def write_texts(
    world: World,
    fleet: Fleet,
    nights: Mapping[str, Played],
    daily: pd.DataFrame,
    *,
    offered: NDArray[np.float64],
    target: str,
) -> dict[str, str]:
    """Write settings, promotions, catalogue, load tests and journal.

    Parameters
    ----------
    world, fleet, nights
        The company.
    daily
        The table `daily_activity`.
    offered
        Offered orders by day.
    target
        The promotion that the journal tells of.
    """
    memories = {name: _remember(night, daily) for name, night in nights.items()}
    played = nights[target]
    texts = {
        "capacity.toml": SETTINGS,
        "data/operations.yaml": OPERATIONS,
        "data/promotions.yaml": promotions_yaml(
            world.events,
            _estimates(world, nights, memories, offered),
            memories,
            target=target,
            sla_qps=fleet.fixed_qps["payco-gateway"],
            notes=_notes(nights, target),
        ),
        "data/services.yaml": services_yaml(
            world.parameters, world.services, world.entries, world.edges, fleet,
            hottest_qps=nice_up(0.12 * nights[LAST_YEAR].arrived_qps["inventory"]),
            connections=most_connections(world.edges, fleet),
        ),
        f"data/journal/{target}.jsonl": write_journal(
            world.parameters, played.event, played.night, peaks=played.arrived_qps, rejected=played.rejected
        ),
    }  # fmt: skip
    for run in world.runs:
        texts[f"data/loadtests/{run.name}/run.yaml"] = run_yaml(run)
        texts[f"data/loadtests/{run.name}/steps.csv"] = run.to_csv()
    return texts


def _notes(nights: Mapping[str, Played], target: str) -> dict[str, str]:
    return {
        name: f"the limit of {night.night.limit_qps:.0f}/s turned away {night.rejected} orders; counts are floors."
        for name, night in nights.items()
        if night.rejected and name != target
    }


def _estimates(
    world: World, nights: Mapping[str, Played], memories: Mapping[str, Memory], offered: NDArray[np.float64]
) -> dict[str, Estimate]:
    estimates: dict[str, Estimate] = {}
    last: dict[str, int] = {}
    for event in world.events:
        estimate = draw_estimate(
            world.parameters, event, _outcome(world, event, nights, offered), last_dat=last.get(event.kind)
        )
        estimates[event.id] = estimate
        if event.id in memories:
            last[event.kind] = memories[event.id].dat
    return estimates


def _outcome(world: World, event: Event, nights: Mapping[str, Played], offered: NDArray[np.float64]) -> Outcome:
    if event.id not in nights:
        return expected_outcome(world.baseline, world.rates, world.parameters, event)
    night = nights[event.id]
    dau = float(max(world.baseline.total_active[list(event.days)]))
    return Outcome(dau, float(max(offered[list(event.days)])), night.peak_tps)


def _remember(night: Played, daily: pd.DataFrame) -> Memory:
    dates = [pd.Timestamp(day_text(day)) for day in night.event.days]
    total = daily[(daily["segment"] == "total") & daily["date"].isin(dates)]
    return Memory(
        dau=int(total["dau"].max()),
        dat=int(total["dat"].max()),
        peak_tps=night.completed_tps,
        peak_at=night.completed_at,
        peak_qps={name: night.arrived_qps[name] for name in _REMEMBERED},
    )
