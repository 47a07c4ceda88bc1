"""Whether requests succeed: their own service, and every call they cannot do without."""

import itertools

import numpy as np
from numpy.typing import NDArray

from capacity.plan.network import Network
from capacity.plan.sizing import Ints
from capacity.rehearsal.edges import Edges

Array = NDArray[np.floating]

_ENOUGH = 1.0 - 1e-6


class Success:
    """Carries failures from callees to those who require them, all attempts of a call counted."""

    def __init__(self, network: Network, bounds: Ints) -> None:
        self.network = network
        needed = np.flatnonzero(network.binding & (np.maximum(network.calls, network.cold_calls) > 0))
        cuts = np.searchsorted(needed, bounds)
        self.needed = [needed[a:b] for a, b in itertools.pairwise(cuts)]

    def spread(self, success: Array, refused: Array, edges: Edges) -> None:
        """Lower each service's success by that of what it requires, in place.

        Parameters
        ----------
        success : ndarray (s, path)
            Share of what arrived that the service itself handled in time.
        refused : ndarray (s, path)
            Share of what arrived that its limit turned away: not tried again.
        edges : Edges
            Retries, and shares that callers' limits let through.
        """
        bad = success.min(axis=1) < _ENOUGH
        for needed in reversed(self.needed):
            at = needed[bad[self.network.callee[needed]] | edges.stopped[needed]]
            if len(at):
                caller = self.network.caller[at]
                # Edges are sorted by caller.
                first = np.flatnonzero(np.diff(caller, prepend=-1))
                rows = caller[first]
                success[rows] *= np.multiply.reduceat(self._answered(at, success, refused, edges), first, axis=0)
                bad[rows] = True

    def _answered(self, at: Ints, success: Array, refused: Array, edges: Edges) -> Array:
        """Chance that all calls of a request over these edges are answered, (edge, path)."""
        callee = self.network.callee[at]
        lost = 1.0 - success[callee]
        place = edges.retries.place[at]
        again = np.flatnonzero(place >= 0)
        if len(again):
            turned = np.minimum(refused[callee[again]], lost[again])
            lost[again] = edges.retries.call_failure(place[again], lost[again] - turned, turned)
        stopped = np.flatnonzero(edges.stopped[at])
        if len(stopped):
            lost[stopped] = 1.0 - (1.0 - lost[stopped]) * edges.passes[at[stopped]]
        calls = edges.calls[at]
        many = np.flatnonzero(calls >= 1.0)
        answered = 1.0 - calls[:, None] * lost
        if len(many):
            with np.errstate(divide="ignore"):
                answered[many] = np.exp(calls[many, None] * np.log1p(-np.minimum(lost[many], 1.0)))
        return np.asarray(answered)
