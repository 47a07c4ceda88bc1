"""How many instances: a joint chance-constrained program over samples, on plain arrays.

Row ``i`` of every array is one future, the same in all of them; column ``p`` is one pool of
instances. Nothing here knows a catalogue, a file or a clock.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from capacity.plan.giving_up import GivingUp, rules_of
from capacity.plan.relaxation import least_cost

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_ENDLESS = 10**15
_TIE = 1e-9  # a load of 3.0000000001 instances is three instances and rounding noise


def effective_losses(zones: ArrayLike, losses: int) -> Ints:
    """Zones that a pool can lose and still exist; 0 where it has no more zones than would be lost.

    Examples
    --------
    >>> effective_losses([1, 2, 3], 1)
    array([0, 1, 1])
    """
    z = np.asarray(zones, dtype=np.int64)
    return np.where(z > losses, losses, 0)


def survivors(instances: ArrayLike, zones: ArrayLike, losses: ArrayLike) -> Ints:
    """Instances left when the ``losses`` fullest zones of an even spread are gone.

    Examples
    --------
    >>> survivors([3, 7, 8], 3, 1)
    array([2, 4, 5])
    """
    n, z, k = (np.asarray(a, dtype=np.int64) for a in (instances, zones, losses))
    lost: Ints = k * (n // z) + np.minimum(k, n % z)
    return n - lost


def instances_for(surviving: ArrayLike, zones: ArrayLike, losses: ArrayLike) -> Ints:
    """Fewest instances of which ``surviving`` remain after the loss: the inverse of `survivors`.

    Examples
    --------
    >>> instances_for([2, 4, 5], 3, 1)
    array([3, 6, 8])
    """
    t, z, k = (np.asarray(a, dtype=np.int64) for a in (surviving, zones, losses))
    full: Ints = -(-t // (z - k))
    return t + k * full


def needed_survivors(load: Floats) -> Ints:
    """Whole instances that carry ``load`` (in instances), counting rounding noise as nothing."""
    return np.ceil(np.maximum(load - _TIE * np.maximum(load, 1.0), 0.0)).astype(np.int64)


def allowed_samples(probability: float, n_samples: int) -> int:
    """How many of ``n_samples`` futures a plan may lose so that ``probability`` also holds outside them.

    The share counted in samples is an estimate; a plan chosen on those same samples is flattered by
    them. One binomial standard error is kept in hand.

    Examples
    --------
    >>> allowed_samples(0.05, 2000), allowed_samples(0.05, 50), allowed_samples(0.0, 2000)
    (90, 0, 0)
    """
    margin = np.sqrt(probability * (1.0 - probability) / n_samples)
    return max(int(np.floor(n_samples * (probability - margin) + _TIE)), 0)


@dataclass(frozen=True)
class Sizing:
    """An answer of `Program.choose`.

    Attributes
    ----------
    surviving : ndarray (pool,)
        Whole instances each pool needs after the loss.
    instances : ndarray (pool,)
        Instances before the loss.
    cost : float
        Currency per hour of ``instances``.
    cost_bound : float
        No choice that gives up as few of these futures is cheaper; ``cost`` itself where no bound was asked for.
    kept : ndarray (sample,)
        Futures that the plan covers.
    """

    surviving: Ints
    instances: Ints
    cost: float
    cost_bound: float
    kept: Bools

    @property
    def gap(self) -> float:
        """Certified distance to the cheapest choice, as a fraction of the bound."""
        return self.cost / self.cost_bound - 1.0 if self.cost_bound > 0 else 0.0


@dataclass(frozen=True)
class Program:
    """Cheapest whole instances such that few futures see any pool overloaded: sorted once, answered for any few.

    Attributes
    ----------
    needed : ndarray (sample, pool)
        Whole instances each future needs after the loss.
    covering : ndarray (sample, pool)
        What covering a future costs in a pool, as far as its quota goes.
    lost : ndarray (sample,)
        Futures lost whatever is done: beyond a quota, or to something that no instance mends.
    prices, price : ndarray (pool,)
        Currency per instance-hour; the same, with a tiny price for free ones, as few are better than many.
    zones, losses : ndarray (pool,)
    most : int
        Most futures that will be given up.

    Notes
    -----
    With finite samples the program is: choose levels t_p minimising Σ c_p(t_p) such that
    #{i : ∃p load_ip > t_p} ≤ m. Several nested heuristics give candidates and the cheapest is taken (`GivingUp`); the
    relaxation of the extended formulation of the mixing set says how far from the optimum that can be
    (`capacity.plan.relaxation`): about one percent on lognormal joint demands.

    References
    ----------
    Luedtke, Ahmed, Nemhauser: An integer programming approach for linear programs with probabilistic
    constraints. Mathematical Programming 122 (2010).
    """

    needed: Ints
    covering: Floats
    lost: Bools
    prices: Floats
    price: Floats
    zones: Ints
    losses: Ints
    most: int

    @classmethod
    def build(
        cls,
        load: Floats,
        cost: ArrayLike,
        *,
        zones: ArrayLike,
        losses: ArrayLike,
        floor: ArrayLike = 0,
        quota: ArrayLike | None = None,
        lost_anyway: Bools | None = None,
        most: int = 0,
    ) -> "Program":
        """Build the program of a load; the parameters are those of `size_jointly`."""
        n, p = load.shape
        prices = np.broadcast_to(np.asarray(cost, dtype=float), (p,))
        z, k, least = (np.broadcast_to(np.asarray(a, dtype=np.int64), (p,)) for a in (zones, losses, floor))
        roof = np.full(p, _ENDLESS) if quota is None else np.maximum(np.asarray(quota, np.int64), least)
        top = survivors(np.minimum(roof, _ENDLESS), z, k)
        needed = needed_survivors(load)
        lost = np.zeros(n, dtype=bool) if lost_anyway is None else np.asarray(lost_anyway, dtype=bool)
        price = np.maximum(prices, _TIE)
        covered = np.clip(needed, survivors(least, z, k), top)
        covering = price * np.maximum(instances_for(covered, z, k), least)
        return cls(needed, covering, lost | (needed > top).any(axis=1), prices, price, z, k, most)

    @cached_property
    def _open(self) -> GivingUp:
        return GivingUp.of(self.covering[~self.lost], max(self.most - int(self.lost.sum()), 0))

    @cached_property
    def _whole(self) -> GivingUp:
        return GivingUp.of(self.covering, self.most)

    @property
    def n_rules(self) -> int:
        """Rules by which futures can be given up."""
        return rules_of(self.covering.shape[1])

    def choose(self, allowed: int, rule: int | None = None) -> Sizing:
        """Give up at most ``allowed`` futures, those lost anyway among them, by one rule or the cheapest.

        Where those use it up, the pools add nothing to them, and still hold ``allowed`` on their own, so that a
        tighter promise never comes cheaper.
        """
        if rule is None:
            return min((self.choose(allowed, r) for r in range(self.n_rules)), key=lambda found: found.cost)
        spare = allowed - int(self.lost.sum())
        chosen = self._open.levels(max(spare, 0), rule)
        if self.lost.all():
            chosen = self.covering.min(axis=0, initial=np.inf)
        if spare < 0:
            chosen = np.maximum(chosen, self._whole.levels(allowed, rule))
        kept = (self.covering <= chosen).all(axis=1) & ~self.lost
        # Cost is one to one with instances, and those with what survives of them.
        instances = np.rint(chosen / self.price).astype(np.int64)
        total = float((self.prices * instances).sum())
        return Sizing(survivors(instances, self.zones, self.losses), instances, total, total, kept)

    def certify(self, sizing: Sizing, allowed: int) -> Sizing:
        """Return the sizing with the bound of its cost; without one where so few futures cannot be given up."""
        spare = allowed - int(self.lost.sum())
        if spare < 0:
            return sizing
        return replace(sizing, cost_bound=min(least_cost(self.covering[~self.lost], spare), sizing.cost))


def size_jointly(
    load: Floats,
    cost: ArrayLike,
    *,
    zones: ArrayLike,
    losses: ArrayLike,
    floor: ArrayLike = 0,
    quota: ArrayLike | None = None,
    allowed: int = 0,
    lost_anyway: Bools | None = None,
    bound: bool = True,
) -> Sizing:
    """Cheapest whole instances such that at most ``allowed`` futures see any pool overloaded.

    Parameters
    ----------
    load : ndarray (sample, pool)
        Instances each future needs after the loss, not rounded; finite.
    cost : array (pool,)
        Currency per instance-hour.
    zones, losses : array (pool,)
        Zones the instances are spread over, and how many of them are gone.
    floor : array (pool,)
        Instances that are there anyway; never fewer.
    quota : array (pool,), optional
        Most instances that may run; futures which need more are lost whatever is done.
    allowed : int
        Futures that may be lost, jointly over all pools.
    lost_anyway : ndarray (sample,), optional
        Futures lost to something that no instance mends. They count against ``allowed``.
    bound : bool
        Whether to solve the relaxation that certifies the gap.

    Returns
    -------
    Sizing

    Examples
    --------
    >>> loads = np.array([[4.0, 1.0], [4.0, 1.0], [9.0, 1.0]])
    >>> size_jointly(loads, [1.0, 1.0], zones=[3, 3], losses=[1, 1], allowed=1).instances
    array([6, 2])
    """
    program = Program.build(
        load, cost, zones=zones, losses=losses, floor=floor, quota=quota, lost_anyway=lost_anyway, most=allowed
    )
    sizing = program.choose(allowed)
    return program.certify(sizing, allowed) if bound else sizing
