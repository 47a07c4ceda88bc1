"""APIs that share a pool's instances: what tests of single ones and of mixes say of each.

A request to API a costs c_a = 1/q_a of an instance's second, and a mix with shares m costs Σ m_a·c_a: the load λ
fits n instances where Σ λ_a/q_a ≤ n. A test of a mix gives one such sum and no more. So each sample draws costs as
unlike as APIs' costs are, and moves them, as little as it takes, until every test's sum is what that sample says. A
pool tested with the evening's mix is then known as well as its test, whatever its single APIs cost, and one that meets
another mix is less known the more the mixes differ.

References
----------
.. [1] J. M. Bardsley et al., "Randomize-then-optimize: a method for sampling from posterior distributions in nonlinear
   inverse problems", SIAM J. Sci. Comput. 36 (2014).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from capacity.loadtest import Gate
from capacity.saturation import rules
from capacity.saturation.leastsquares import fit_batch

Array = NDArray[np.float64]

_FARTHEST = 12.0
"""Bound on a log cost's way from where it started; no API costs a hundred thousand times another."""


def shares_of(mix: Mapping[str, float], *, service: str, members: Sequence[str]) -> Array:
    """Share of each member of the pool in a run's requests, (A,); kinds that are no member count as the tested service.

    Examples
    --------
    >>> shares_of({"browse": 3.0, "order-api": 1.0}, service="shop", members=["shop", "order-api"]).tolist()
    [0.75, 0.25]
    >>> shares_of({}, service="shop", members=["shop", "order-api"]).tolist()
    [1.0, 0.0]
    """
    found = np.zeros(len(members))
    place = {name: i for i, name in enumerate(members)}
    for kind, share in mix.items():
        found[place.get(kind, place[service])] += share
    if found.sum() <= 0:
        found[place[service]] = 1.0
    return np.asarray(found / found.sum())


def costs_of_apis(shares: Array, costs: Array, *, rng: np.random.Generator) -> Array:
    """Instance-seconds that a request to each API costs, as samples.

    Parameters
    ----------
    shares
        Of each API in each test's mix, (k, A).
    costs
        Instance-seconds that a request of each test's mix cost, samples (S, k).
    rng
        Generator.

    Returns
    -------
    numpy.ndarray
        (S, A), positive; an API that no test held is NaN.

    Examples
    --------
    One API was tested alone, and then with another half and half:

    >>> import numpy as np
    >>> tested = np.array([[1.0, 0.0], [0.5, 0.5]])
    >>> found = costs_of_apis(tested, np.tile([0.01, 0.02], (5, 1)), rng=np.random.default_rng(0))
    >>> found.round(4)[0].tolist()
    [0.01, 0.03]
    """
    seen = shares.sum(axis=0) > 0
    own = shares[:, seen]
    start = np.log(costs.mean(axis=1, keepdims=True)) + rules.API_COST_SPREAD * rng.standard_normal(
        (len(costs), own.shape[1])
    )
    # How sure a test is against how unlike the APIs are; what is told exactly is met to a thousandth.
    trust = rules.API_COST_SPREAD / (np.log(costs).std(axis=0) + 1e-3)
    told = np.concatenate([np.log(costs) * trust, start], axis=1)

    def model(logs: Array, _: Array) -> Array:
        return np.concatenate([np.log(np.exp(logs) @ own.T) * trust, logs], axis=1)

    def slopes(logs: Array, _: Array, at: Array) -> Array:
        each = np.exp(logs)
        of_tests = each[:, None, :] * own / (each @ own.T)[:, :, None] * trust[None, :, None]
        of_start = np.broadcast_to(np.eye(own.shape[1]), (len(at), own.shape[1], own.shape[1]))
        return np.concatenate([of_tests, of_start], axis=1).transpose(2, 0, 1)

    bounds = start - _FARTHEST, start + _FARTHEST
    found = np.exp(fit_batch(model, told, told, start=start, low=bounds[0], high=bounds[1], slopes=slopes).parameters)
    whole = np.full((len(costs), shares.shape[1]), np.nan)
    whole[:, seen] = found
    return whole


def mix_gate(tested: Array, running: Array | None, costs: Array, members: Sequence[str]) -> Gate:
    """Compare the tested mix with production's, and say what that does to the pool's capacity.

    Parameters
    ----------
    tested, running
        Shares of the members, (A,); ``running`` is None where no traffic tells.
    costs
        Samples (S, A) of `costs_of_apis`.
    members
        Names.

    Examples
    --------
    >>> gate = mix_gate(np.array([0.7, 0.3]), np.array([0.3, 0.7]), np.array([[0.01, 0.03]] * 3), ["a", "b"])
    >>> gate.verdict, round(gate.value, 2), gate.says
    ('flagged', 0.4, 'tested a 70 %, b 30 %; production sends a 30 %, b 70 %: an instance takes 41.7 (41.7 to 41.7) \
requests/s of that mix against 62.5 of the tested one')
    """
    if running is None:
        says = f"tested {_in_words(tested, members)}; no traffic says what production sends"
        return Gate("mix_differs", "unknown", None, rules.MIX_DIFFERS, says, "ingest traffic of the pool's services")
    apart = float(np.abs(tested - running).sum() / 2.0)
    # An API that was never tested is taken to cost what the others do.
    held = np.where(np.isnan(costs), np.nanmean(costs, axis=1, keepdims=True), costs)
    at = 1.0 / (held @ running)
    low, middle, high = np.quantile(at, [0.05, 0.5, 0.95])
    before = float(np.median(1.0 / (held @ tested)))
    says = f"tested {_in_words(tested, members)}; production sends {_in_words(running, members)}"
    if apart <= rules.MIX_DIFFERS:
        return Gate("mix_differs", "ok", apart, rules.MIX_DIFFERS, says)
    says += (
        f": an instance takes {middle:.3g} ({low:.3g} to {high:.3g}) requests/s of that mix against {before:.3g} of "
    )
    says += "the tested one"
    return Gate("mix_differs", "flagged", apart, rules.MIX_DIFFERS, says, "repeat the test with production's mix")


def _in_words(shares: Array, members: Sequence[str]) -> str:
    return ", ".join(f"{name} {100 * s:.0f} %" for name, s in zip(members, shares, strict=True) if s >= 0.005)
