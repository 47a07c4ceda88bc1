"""What can be switched off: features behind optional calls, what they free together and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from capacity.plan.network import Matrix, Network, reach, through
from capacity.plan.sizing import Bools, Floats


@dataclass(frozen=True, eq=False)
class Feature:
    """Optional calls that one switch turns off together.

    Attributes
    ----------
    name, switch, owner : str
    edges : tuple of int
        The calls, by their place in the network.
    value : ndarray (s,)
        Value lost per request at each service while it is off, cached answers included.
    takes_s : float
        Time from the switch to the effect.
    network : Network
        With everything on.
    """

    name: str
    switch: str
    owner: str
    edges: tuple[int, ...]
    value: Floats
    takes_s: float
    network: Network = field(repr=False)

    @property
    def callers(self) -> tuple[int, ...]:
        """Services that make the calls, the first of them first."""
        return tuple(dict.fromkeys(int(c) for c in self.network.caller[list(self.edges)]))

    @cached_property
    def saves(self) -> Matrix:
        """Count requests saved at the column's service per request at the row's, the feature alone being off."""
        return saved_by([self])

    def saved_qps(self, load: Floats) -> Floats:
        """Compute requests per second saved at every service; load and answer are (…, s)."""
        flat = load.reshape(-1, load.shape[-1])
        return np.asarray(flat @ self.saves).reshape(load.shape)

    def value_per_hour(self, load: Floats) -> float:
        """Value of its own calls per hour at a typical load (s,)."""
        return float((self.value * load).sum() * 3600.0)


def read_features(network: Network) -> tuple[Feature, ...]:
    """Features of the catalogue's optional calls, calls with the same feature name taken together."""
    found: dict[str, list[int]] = {}
    for edge, call in enumerate(network.call):
        if call.degrade is not None and not call.is_required:
            found.setdefault(call.degrade.feature, []).append(edge)
    return tuple(_feature(name, edges, network) for name, edges in found.items())


def _feature(name: str, edges: list[int], network: Network) -> Feature:
    terms = [term for e in edges if (term := network.call[e].degrade) is not None]
    # The value is of a call that reaches its purpose: of all calls, those answered by a cache included.
    worth = [t.value_per_request * network.call[e].per_request for e, t in zip(edges, terms, strict=True)]
    return Feature(
        name=name,
        switch=terms[0].switch,
        owner=terms[0].owner,
        edges=tuple(edges),
        value=np.bincount(network.caller[edges], worth, minlength=network.size).astype(float),
        takes_s=max(t.takes_s for t in terms),
        network=network,
    )


def calls_off(features: Sequence[Feature], network: Network) -> Bools:
    """Which calls of the network are not made with the features off, (edge,)."""
    off = np.zeros(len(network.caller), dtype=bool)
    off[[e for f in features for e in f.edges]] = True
    return off


def without(network: Network, features: Sequence[Feature]) -> Network:
    """Return the network with the features' calls not made."""
    if not features:
        return network
    off = calls_off(features, network)
    return replace(network, calls=np.where(off, 0.0, network.calls), cold_calls=np.where(off, 0.0, network.cold_calls))


def saved_by(features: Sequence[Feature]) -> Matrix:
    """Count requests saved at the column's service per request at the row's, with all of ``features`` off.

    Notes
    -----
    With P the calls per request, Δ those that are off and P' = P − Δ, loads before and after from the same arrivals
    are e(I − P)⁻¹ and e(I − P')⁻¹, and differ by e(I − P)⁻¹ Δ (I − P')⁻¹. A call of one feature that another's calls
    cause is so counted once.
    """
    network = features[0].network
    off = calls_off(features, network)
    return reach(network.matrix(only=off), network.matrix(only=~off))


def saved_at(load: Floats, features: Sequence[Feature]) -> Floats:
    """Compute what the features save together at one load (s,), as `saved_by` but in a few passes along the edges."""
    if not features:
        return np.zeros(len(load))
    network = features[0].network
    off = calls_off(features, network)
    unmade = np.where(off, load[network.caller] * network.calls, 0.0)
    return through(np.bincount(network.callee, unmade, minlength=network.size).astype(float), network.matrix(only=~off))


def shed(load: Floats, features: Sequence[Feature]) -> Floats:
    """Load (…, s) with the features off; what a service gets from elsewhere stays."""
    if not features:
        return load
    flat = load.reshape(-1, load.shape[-1])
    saved = np.asarray(flat @ saved_by(features)).reshape(load.shape)
    return np.asarray(np.maximum(load - saved, 0.0))


def value_lost_per_hour(off: Sequence[Feature], features: Sequence[Feature], *, typical: Floats) -> float:
    """Value per hour of all calls that are not made: those of ``off``, and others' which those would have caused.

    Parameters
    ----------
    off, features : sequence of Feature
        Those that are off; all that have a value.
    typical : ndarray (s,)
        Load with everything on.
    """
    # A typical load is typical service by service; what is saved of it can be no more than all of it.
    saved = np.minimum(saved_at(typical, off), typical)
    return sum(f.value_per_hour(typical if f in off else saved) for f in features)


def ladder(
    features: Sequence[Feature], planned: Sequence[Feature], *, typical: Floats, capacity: Floats
) -> list[Feature]:
    """All features in the order to use them: the planned ones first, each part by value lost per freed capacity."""
    usable = np.where(np.isfinite(capacity) & (capacity > 0), capacity, np.inf)

    def price(feature: Feature) -> tuple[float, str]:
        freed = float((saved_at(typical, [feature]) / usable).sum())
        return feature.value_per_hour(typical) / freed if freed > 0 else np.inf, feature.name

    rest = [f for f in features if f not in planned]
    return [*sorted(planned, key=price), *sorted(rest, key=price)]
