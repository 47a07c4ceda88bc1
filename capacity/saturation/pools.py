"""Pools whose instances several APIs share, tested by mixes of their requests."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from capacity.catalog import Catalog
from capacity.loadtest import Gate
from capacity.saturation import rules
from capacity.saturation.answers import Answer, above_production, answer_of, from_tests
from capacity.saturation.combine import Common, EnvironmentRatio
from capacity.saturation.mixes import costs_of_apis, mix_gate, shares_of
from capacity.saturation.production import Proven
from capacity.saturation.runs import RunCapacity

Array = NDArray[np.float64]

_DAYS = 28
"""Production's mix is that of the last four weeks: whole weeks, near today."""


@dataclass(frozen=True)
class Pool:
    """A pool with at least one test of a mix.

    Attributes
    ----------
    host
        The service whose instances they are.
    members
        The host and the APIs that run on it.
    groups
        Shares of the members (A,) in a test's requests, and the runs that had them.
    """

    host: str
    members: tuple[str, ...]
    groups: tuple[tuple[Array, list[RunCapacity]], ...]


def mixed_pools(services: Catalog, runs: Mapping[str, list[RunCapacity]]) -> dict[str, Pool]:
    """Find the pools with a test of a mix of their members, by host."""
    members: dict[str, list[str]] = {}
    for name in services.names:
        members.setdefault(services.pool_of(name), []).append(name)
    found = {}
    for host, names in members.items():
        if len(names) < 2 or services[host].is_fixed:
            continue
        groups: dict[tuple[float, ...], list[RunCapacity]] = {}
        for name in names:
            for run in runs.get(name, ()):
                shares = shares_of(run.mix, service=name, members=names)
                groups.setdefault(tuple(shares.round(3).tolist()), []).append(run)
        if any(max(shares) < 0.999 for shares in groups):
            ordered = [(_whole(s), sorted(rs, key=_when)) for s, rs in groups.items()]
            found[host] = Pool(host, tuple(names), tuple(ordered))
    return found


def _whole(shares: tuple[float, ...]) -> Array:
    values = np.array(shares)
    return np.asarray(values / values.sum())


def _when(run: RunCapacity) -> float:
    return run.started_s if np.isfinite(run.started_s) else -np.inf


def production_mix(traffic: Any, pool: Pool) -> Array | None:
    """Share of each member in the pool's requests of the last four weeks; None where traffic does not say."""
    if traffic is None or getattr(traffic, "is_empty", False) or not hasattr(traffic, "daily"):
        return None
    daily = traffic.daily(list(pool.members))
    recent = daily[daily["date"] > daily["date"].max() - np.timedelta64(_DAYS, "D")]
    sums = recent.groupby("service", observed=True)["requests"].sum()
    counts = np.array([float(sums.get(name, 0.0)) for name in pool.members])
    return counts / counts.sum() if counts.sum() > 0 else None


def pool_answers(
    pool: Pool,
    services: Catalog,
    shown: Mapping[str, Proven],
    ratio: EnvironmentRatio,
    *,
    running: Array | None,
    n: int,
    seed: int,
) -> tuple[dict[str, Answer], tuple[Gate, ...]]:
    """Answer for every member of a pool from the tests of all.

    Parameters
    ----------
    pool
        From `mixed_pools`.
    services
        The catalogue.
    shown
        What production has shown, by service.
    ratio
        From outside production to inside.
    running
        Production's mix, (A,); None unknown.
    n, seed
        Number of samples, seed.

    Returns
    -------
    tuple
        Answers by member, and the gates on the mixes.
    """
    rng = np.random.default_rng([seed, zlib.crc32(pool.host.encode()), 3])
    fleet = services[pool.host].instances
    # What tests have in common is wrong of all APIs together.
    common = Common(ratio, n=n, rng=rng)
    parts = [from_tests(pool.host, runs, common, fleet=fleet) for _, runs in pool.groups]
    shares = np.stack([s for s, _ in pool.groups])
    costs = costs_of_apis(shares, np.stack([1.0 / np.maximum(p.qps, 1e-12) for p in parts], axis=1), rng=rng)
    gates = tuple(mix_gate(s, running, costs, pool.members) for s, _ in pool.groups if s.max() < 0.999)
    answers = {}
    for i, name in enumerate(pool.members):
        own = np.random.default_rng([seed, zlib.crc32(name.encode()), 4])
        if np.isnan(costs[0, i]):
            answers[name] = answer_of(services[name], [], shown.get(name), ratio, fleet=fleet, n=n, rng=own)
            continue
        answer = _of_member(pool, i, parts, shares, costs)
        runs = [r for k, (_, rs) in enumerate(pool.groups) if shares[k, i] > 0 for r in rs]
        answers[name] = above_production(answer, runs, shown.get(name), rng=own)
    return answers, gates


def _of_member(pool: Pool, i: int, parts: Sequence[Answer], shares: Array, costs: Array) -> Answer:
    inside = [k for k in range(len(parts)) if shares[k, i] > 0]
    alone = any(shares[k, i] > 0.999 for k in inside)
    why = list(dict.fromkeys(w for k in inside for w in parts[k].why))
    for k in inside:
        if shares[k].max() < 0.999:
            words = ", ".join(
                f"{m} {100 * s:.0f} %" for m, s in zip(pool.members, shares[k], strict=True) if s >= 0.005
            )
            took = float(np.median(parts[k].qps))
            why.append(f"a test of a mix on {pool.host} ({words}) took {took:.4g} requests/s per instance in all")
    if not alone:
        low, high = np.exp(-rules.API_COST_SPREAD), np.exp(rules.API_COST_SPREAD)
        why.append(
            f"{pool.members[i]} was tested in a mix only: a request of it is taken to cost {low:.1f} to {high:.1f} "
            "times the others', and all together what the mix did; test it alone to tell them apart"
        )
    measured = all(parts[k].evidence == "measured" for k in inside)
    # In a mix its own share was held, and the others' beside it.
    lower = max(float(shares[k, i]) * parts[k].lower_qps for k in inside)
    first = next((parts[k] for k in inside if parts[k].scaling is not None), parts[inside[0]])
    drift = next((parts[k].drift for k in inside if parts[k].drift is not None), None)
    scaling = first.scaling if pool.members[i] == pool.host else None
    return Answer(1.0 / costs[:, i], "measured" if measured else "bounded", lower, why, drift, scaling)
