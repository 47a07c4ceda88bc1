"""A sizing whose promise also holds outside the samples that it was chosen on."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from capacity.plan.giving_up import POWERS
from capacity.plan.sizing import Bools, Floats, Ints, Program, Sizing, allowed_samples

_FEW = 20  # futures below which halves of them say nothing
_STEP = 1.05  # of the ladder of futures given up: a try costs milliseconds, a wider ladder instances


@dataclass(frozen=True)
class Promise:
    """A sizing and the honest probability that it fails.

    Attributes
    ----------
    sizing : Sizing
    overload_probability : float
    allowed : int
        Futures it was allowed to lose.
    holds : bool
        Whether ``overload_probability`` is within what was asked for.
    cost_on_samples : float
        Of a sizing that need not hold outside the samples; NaN where it was not asked for.
    trials : Trials
        What other probabilities can be asked of, without sorting again.
    """

    sizing: Sizing
    overload_probability: float
    allowed: int
    holds: bool
    trials: "Trials" = field(repr=False)
    cost_on_samples: float = float("nan")


@dataclass(frozen=True)
class Trials:
    """The program of all futures, and of each half of them to be judged on the other.

    Attributes
    ----------
    whole : Program
    halves : tuple of (Program, ndarray (sample, pool), ndarray (sample,))
        The program of one half; what each future of the other half needs, and whether it is lost anyway.
    anyway : int
        Futures lost to something that no instance mends.
    """

    whole: Program
    halves: tuple[tuple[Program, Ints, Bools], ...]
    anyway: int
    _found: dict[tuple[int, int | None], tuple[Sizing, float]] = field(default_factory=dict, repr=False)

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
        most: int,
    ) -> "Trials":
        """Sort the futures for up to ``most`` of them given up; the parameters are those of `size_jointly`."""
        n = len(load)
        anyway = np.zeros(n, dtype=bool) if lost_anyway is None else np.asarray(lost_anyway, dtype=bool)
        terms = {"zones": zones, "losses": losses, "floor": floor, "quota": quota}

        def program(rows: Bools | slice, given_up: int) -> Program:
            return Program.build(load[rows], cost, lost_anyway=anyway[rows], most=given_up, **terms)  # type: ignore[arg-type]

        whole = program(slice(None), most)
        if n < _FEW:
            return cls(whole, (), int(anyway.sum()))
        even = np.arange(n) % 2 == 0
        halves = ((even, ~even), (~even, even))
        return cls(
            whole,
            tuple((program(own, most // 2), whole.needed[other], anyway[other]) for own, other in halves),
            int(anyway.sum()),
        )

    def give_up(self, allowed: int, rule: int | None = None) -> tuple[Sizing, float]:
        """Return the sizing that gives up so many futures by a rule, and the probability that it fails outside them.

        The sizing is repeated on each half of the futures and judged on the other; the mean difference
        between both counts is the optimism that is added to the count. It is never subtracted.
        """
        if (allowed, rule) not in self._found:
            sizing = self.whole.choose(allowed, rule)
            flattery = []
            for program, needed, anyway in self.halves:
                part = program.choose(allowed // 2, rule)
                outside = (needed > part.surviving).any(axis=1) | anyway
                flattery.append(float(outside.mean()) - float((~part.kept).mean()))
            # Halves overfit more than the whole: measured on lognormal companies of 12 to 60 pools, the whole's
            # optimism is 0.6 to 0.9 of theirs. What is too much stays in hand for the choice among several sizings.
            optimism = max(float(np.mean(flattery)), 0.0) if flattery else 0.0
            self._found[allowed, rule] = sizing, min(float((~sizing.kept).mean()) + optimism, 1.0)
        return self._found[allowed, rule]

    def keep(self, probability: float, *, thorough: bool = True) -> Promise:
        """Give up the largest number of futures on a fixed ladder whose honest share stays within ``probability``.

        Each rule by itself, the dearest to find only where it is to be ``thorough``; the cheapest is taken that holds.
        A ladder, so that a larger probability never costs more.
        """
        found = [self._keep(probability, rule) for rule in range(self.whole.n_rules if thorough else len(POWERS))]
        holding = [promise for promise in found if promise.holds]
        # Where none holds the dearest is taken, so that a larger probability cannot cost more than this one.
        return min(holding, key=_cost) if holding else max(found, key=_cost)

    def _keep(self, probability: float, rule: int) -> Promise:
        for allowed in _ladder(allowed_samples(probability, len(self.whole.lost))):
            sizing, share = self.give_up(allowed, rule)
            if share <= probability or allowed <= self.anyway:
                break
        return Promise(sizing, share, allowed, share <= probability, self)

    def certify(self, promise: Promise, probability: float) -> Promise:
        """Return the promise with the bound of what any plan costs that loses no more of these futures than it may.

        How many it may is `allowed_samples`, whichever rule was taken: so the gap also holds the price of a choice
        that is good outside the samples.
        """
        allowed = allowed_samples(probability, len(self.whole.lost))
        alone = min(self.whole.choose(allowed).cost, promise.sizing.cost)
        return replace(promise, sizing=self.whole.certify(promise.sizing, allowed), cost_on_samples=alone)


def _cost(promise: Promise) -> float:
    return promise.sizing.cost


def honest_share(load: Floats, cost: ArrayLike, *, zones: ArrayLike, losses: ArrayLike, allowed: int) -> float:
    """Probability that some pool is overloaded, without the flattery of the samples it was chosen on.

    See `Trials.give_up`.
    """
    return Trials.build(load, cost, zones=zones, losses=losses, most=allowed).give_up(allowed)[1]


def keep_promise(
    load: Floats,
    cost: ArrayLike,
    *,
    probability: float,
    zones: ArrayLike,
    losses: ArrayLike,
    floor: ArrayLike = 0,
    quota: ArrayLike | None = None,
    lost_anyway: Bools | None = None,
    largest_probability: float = 0.0,
    thorough: bool = True,
) -> Promise:
    """`size_jointly` for a probability that also holds outside the samples.

    Parameters
    ----------
    probability : float
        That any of the pools is overloaded.
    largest_probability : float
        Largest that will be asked of the promise's ``trials`` afterwards.
    thorough : bool
        Whether to try the dearest rule too, and to look for the bound.

    Examples
    --------
    >>> load = np.random.default_rng(0).lognormal(2.0, 0.2, (2000, 1))
    >>> promise = keep_promise(load, [1.0], probability=0.05, zones=[3], losses=[1])
    >>> promise.holds, promise.sizing.instances
    (True, array([17]))
    """
    most = allowed_samples(max(probability, largest_probability), len(load))
    trials = Trials.build(
        load, cost, zones=zones, losses=losses, floor=floor, quota=quota, lost_anyway=lost_anyway, most=most
    )
    promise = trials.keep(probability, thorough=thorough)
    return trials.certify(promise, probability) if thorough else promise


def _ladder(most: int) -> list[int]:
    """List fixed numbers of futures, falling from ``most``."""
    steps, value = [0], 1.0
    while value <= most:
        steps.append(int(value))
        value = max(value * _STEP, value + 1.0)
    return sorted(set(steps), reverse=True)
