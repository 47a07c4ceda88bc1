"""The search for the cheapest features to switch off: a program, its added rows and the best choice so far."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import sparse

from capacity.plan.degradation import Feature, value_lost_per_hour
from capacity.plan.implied import unimplied
from capacity.plan.linear import Choice, choose
from capacity.plan.network import Matrix
from capacity.plan.sizing import Bools, Floats, Ints
from capacity.plan.strain import TIE, Strain

_ROUNDS = 40
_NODES, _MANY = 200, 300  # nodes of each search; futures up to which they are given up and features chosen at once
_FEW, _SETS = 12, 200  # features among which sets that are not enough are told one by one, and how many of these
_CLOSE = 1e-6  # relative distance of the best choice from its bound at which it is called the best


class Search:
    """The program, its added rows and the best choice so far; a choice is a list of places among the features."""

    def __init__(
        self, strain: Strain, features: Sequence[Feature], *, typical: Floats, mendable: Bools, budget: int
    ) -> None:
        self.strain, self.all, self.typical = strain, features, typical
        self.mendable, self.budget = mendable, budget
        freed = strain.freed_by(features)
        useful = [i for i, f in enumerate(features) if any(part[:, i].any() for _, part in freed.values())]
        self.features = [features[i] for i in useful]
        self.freed = {m: (callers, part[:, useful]) for m, (callers, part) in freed.items()}
        value = np.array([f.value_per_hour(typical) for f in self.features])
        self.hair = 1e-7 * max(float(value.sum()), 1.0)  # so that of features without value as few as can be are off
        self.price = value + self.hair
        self.rows: list[tuple[Ints, Floats]] = []  # futures, and what each feature adds to them
        self.cuts: list[Floats] = []
        self.short: list[Floats] = []
        self.best: tuple[float, list[int]] = self._cost(self._needed(list(range(len(useful)))))

    def run(self) -> tuple[tuple[Feature, ...], float, float]:
        """Return the best choice, the value it loses and what any choice loses at least."""
        self._add_rows([])
        bound = 0.0
        for _ in range(_ROUNDS):
            found, least = self._choose()
            bound = max(bound, least)
            if found.x is None or bound >= self.best[0] * (1 - _CLOSE):
                break
            at = np.flatnonzero(found.x > 0.5).tolist()
            if not self._holds(at):
                self._add_rows(at)
                continue
            before, self.best = self.best, min(self.best, self._cost(self._needed(at)))
            if not found.proven and self.best[0] >= before[0]:
                break
            self.cuts.append(np.isin(np.arange(len(self.features)), at).astype(float))
        off = tuple(self.features[i] for i in self.best[1])
        value = value_lost_per_hour(off, self.all, typical=self.typical)
        tight = bound >= self.best[0] * (1 - _CLOSE)
        return off, value, value if tight else max(bound - self.hair * len(self.features), 0.0)

    def _needed(self, at: list[int]) -> list[int]:
        """Leave out, dearest first, what everything holds without."""
        for i in sorted(at, key=lambda i: -self.price[i]):
            fewer = [j for j in at if j != i]
            if fewer and self._holds(fewer):
                at = fewer
        return at

    def _cost(self, at: list[int]) -> tuple[float, list[int]]:
        lost = value_lost_per_hour([self.features[i] for i in at], self.all, typical=self.typical)
        return lost + len(at) * self.hair, at

    def _holds(self, at: list[int]) -> bool:
        fails = self.strain.fails([self.features[i] for i in at]).any(axis=1)
        return int((fails & self.mendable).sum()) <= self.budget

    def _add_rows(self, at: list[int]) -> None:
        """Rows of what is exceeded with the features at ``at`` off: each future's and roof's hardest phase."""
        stress = self.strain.stress([self.features[i] for i in at])
        phase = stress.argmax(axis=1)
        excess = np.take_along_axis(stress, phase[:, None, :], axis=1)[:, 0] - 1.0
        i, r = np.nonzero((excess > TIE) & self.mendable[:, None])
        gain = self._freed(i, phase[i, r], r) / excess[i, r, None]
        gain[:, at] = 0.0
        self.rows.append((i, np.minimum(gain, 1.0)))

    def _freed(self, i: Ints, k: Ints, r: Ints) -> Floats:
        """Return what each feature alone frees of roof ``r`` in future ``i`` and phase ``k``, (row, feature)."""
        out = np.zeros((len(i), len(self.features)))
        for place in np.unique(r):
            rows, roof = np.flatnonzero(r == place), self.strain.roofs[place]
            weight = np.broadcast_to(roof.weight, (len(self.mendable), len(roof.members)))
            for column, member in enumerate(roof.members):
                callers, saved = self.freed[int(member)]
                load = self.strain.load[i[rows][:, None], k[rows][:, None], callers[None, :]]
                out[rows] += weight[i[rows], column, None] * (load @ saved)
        return out

    def _choose(self) -> tuple[Choice, float]:
        """Solve the program; with many futures in two parts, one for a choice and one for a bound."""
        sample = np.concatenate([i for i, _ in self.rows])
        gain = np.concatenate([g for _, g in self.rows])
        keep = unimplied(sample, gain, budget=self.budget)
        sample, gain = sample[keep], gain[keep]
        if len(np.unique(sample)) <= _MANY:
            found = choose(self.price, *self._program(sample, gain), nodes=_NODES)
            return found, found.bound
        bound = choose(self.price, *self._program(sample, gain), nodes=_NODES, relax=True).bound
        if len(self.price) <= _FEW:
            found = self._hit(sample, gain)
            if found.x is not None:
                return found, found.bound
            bound = max(bound, found.bound)
        stress = self.strain.stress([self.features[i] for i in self.best[1]]).max(axis=(1, 2))
        left = np.unique(sample)
        spared = left[np.argsort(-stress[left], kind="stable")[: self.budget]]
        rest = ~np.isin(sample, spared)
        matrix, right, _ = self._program(sample[rest], gain[rest])
        return replace(choose(self.price, matrix[:, : len(self.price)], right, 0, nodes=_NODES), proven=False), bound

    def _one_of_many(self, sample: Ints, gain: Floats) -> list[Floats]:
        """Rows without z, as some of one more future than may be given up are kept.

        The most that each feature adds to any of them has to reach 1. The hardest futures bind best; they are found by
        three measures.
        """
        on = np.isin(np.arange(len(self.price)), self.best[1]).astype(float)
        rows = []
        for weight in (np.ones(len(self.price)), on, self.price / self.price.max()):
            order = np.argsort(gain @ weight, kind="stable")
            first = np.sort(np.unique(sample[order], return_index=True)[1])[: self.budget + 1]
            if len(first) > self.budget:
                rows.append(gain[order[first]].max(axis=0))
        return rows

    def _hit(self, sample: Ints, gain: Floats) -> Choice:
        """Choose among few features by the sets that are not enough: each needs a feature from outside of it.

        Every set that leaves too many futures is grown, cheap features first, until none can be added; then one of
        those outside is on in any choice. The cheapest choice that meets all such sets is a bound, and the answer
        once it is enough itself.
        """
        places = np.unique(sample, return_inverse=True)[1]

        def enough(on: Floats) -> bool:
            return int((np.bincount(places, gain @ on < 1.0 - TIE) > 0).sum()) <= self.budget

        bound, cheap = 0.0, np.argsort(self.price, kind="stable")
        for _ in range(_SETS):
            rows = [1.0 - s for s in self.short] + [-c for c in self.cuts]
            least = [1.0] * len(self.short) + [1.0 - float(c.sum()) for c in self.cuts]
            found = choose(self.price, np.array(rows or [0.0 * self.price]), np.array(least or [0.0]), 0, nodes=_NODES)
            bound = max(bound, found.bound)
            if found.x is None or enough(found.x):
                return replace(found, bound=bound)
            grown = found.x.copy()
            for i in cheap[found.x[cheap] == 0]:
                grown[i] = 1.0
                if enough(grown):
                    grown[i] = 0.0
            self.short.append(grown)
        return Choice(None, bound, False)

    def _program(self, sample: Ints, gain: Floats) -> tuple[Matrix, Floats, int]:
        """Rows · (y, z) ≥ right, and how many variables stand behind the features."""
        futures, column = np.unique(sample, return_inverse=True)
        n, m = gain.shape[1], len(futures)
        given_up = sparse.coo_array((np.ones(len(column)), (np.arange(len(column)), column)), shape=(len(column), m))
        spent = sparse.csr_array(np.concatenate([np.zeros(n), -np.ones(m)])[None, :])
        shared = self._one_of_many(sample, gain)
        parts = [sparse.hstack([sparse.csr_array(gain), given_up]), spent]
        parts += [sparse.csr_array(np.concatenate([row, np.zeros(m)])[None, :]) for row in shared]
        right = [np.ones(len(gain)), np.array([-float(self.budget)]), np.ones(len(shared))]
        for cut in self.cuts:  # at least one of a set that was judged is on
            parts.append(sparse.csr_array(np.concatenate([-cut, np.zeros(m)])[None, :]))
            right.append(np.array([1.0 - cut.sum()]))
        return Matrix(sparse.vstack(parts)), np.concatenate(right), m
