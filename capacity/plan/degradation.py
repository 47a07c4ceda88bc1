"""What to switch off: features behind optional calls, what each frees and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from capacity.plan.network import Matrix, Network, injection, reach
from capacity.plan.sizing import Floats


@dataclass(frozen=True)
class Feature:
    """Optional calls that one switch turns off together.

    Attributes
    ----------
    name, switch, owner : str
    callers : tuple of int
        Services that make the calls, the first of them first.
    value : ndarray (s,)
        Value lost per request at each service while it is off.
    saves : sparse array (s, s)
        Requests saved at the column's service per request at the row's.
    takes_s : float
        Time from the switch to the effect.
    """

    name: str
    switch: str
    owner: str
    callers: tuple[int, ...]
    value: Floats
    saves: Matrix
    takes_s: float

    def saved_qps(self, load: Floats) -> Floats:
        """Compute requests per second saved at every service; load and answer are (…, s)."""
        flat = load.reshape(-1, load.shape[-1])
        return np.asarray(flat @ self.saves).reshape(load.shape)

    def value_per_hour(self, load: Floats) -> float:
        """Value lost per hour at a typical load (s,)."""
        return float((self.value * load).sum() * 3600.0)


def read_features(network: Network) -> tuple[Feature, ...]:
    """Features of the catalogue's optional calls, calls with the same feature name taken together."""
    found: dict[str, list[int]] = {}
    for edge, call in enumerate(network.call):
        if call.degrade is not None and not call.is_required:
            found.setdefault(call.degrade.feature, []).append(edge)
    full = network.matrix()
    return tuple(_feature(name, edges, network, full) for name, edges in found.items())


def _feature(name: str, edges: list[int], network: Network, full: Matrix) -> Feature:
    terms = [network.call[e].degrade for e in edges]
    first = terms[0]
    assert first is not None  # noqa: S101 - only edges with a switch come here
    value = np.zeros(network.size)
    saves = Matrix((network.size, network.size))
    for edge, term in zip(edges, terms, strict=True):
        rate = float(network.calls[edge])
        # The value is of a call that reaches its purpose: of all calls, those answered by a cache included.
        value[network.caller[edge]] += float((term.value_per_request if term else 0.0) or 0.0) * float(
            network.call[edge].per_request
        )
        row = reach(injection([int(network.callee[edge])], network.size), full) * rate
        at = injection([int(network.caller[edge])], network.size)
        saves = Matrix(saves + Matrix(at.T @ row))
    return Feature(
        name=name,
        switch=str(first.switch or ""),
        owner=str(first.owner or ""),
        callers=tuple(dict.fromkeys(int(network.caller[e]) for e in edges)),
        value=value,
        saves=saves,
        takes_s=max(float((t.takes_s if t else 0.0) or 0.0) for t in terms),
    )


def shed(load: Floats, features: Sequence[Feature]) -> Floats:
    """Load (…, s) with the features off; what a service gets from elsewhere stays."""
    if not features:
        return load
    saved = sum((f.saved_qps(load) for f in features), np.zeros_like(load))
    return np.asarray(np.maximum(load - saved, 0.0))


def choose_planned(
    features: Sequence[Feature],
    *,
    typical: Floats,
    distress: Callable[[Sequence[Feature]], tuple[float, float]],
    allowed: float,
) -> tuple[Feature, ...]:
    """Features to plan off, cheapest relief first, until the futures lost are few enough.

    Parameters
    ----------
    features : sequence of Feature
    typical : ndarray (s,)
        Load at which value is counted.
    distress : callable
        Of the features that are off: share of futures in which a core service exceeds what no instance
        mends, and how far on average.
    allowed : float
        Share of futures that may be lost.
    """
    off: list[Feature] = []
    lost, excess = distress(off)
    while lost > allowed:
        best: tuple[float, Feature, float, float] | None = None
        for feature in features:
            if feature in off:
                continue
            then, over = distress([*off, feature])
            relief = (lost - then) + (excess - over)
            if relief <= 1e-12:
                continue
            price = feature.value_per_hour(typical) / relief
            if best is None or price < best[0]:
                best = (price, feature, then, over)
        if best is None:
            break
        off.append(best[1])
        lost, excess = best[2], best[3]
    return tuple(off)


def ladder(
    features: Sequence[Feature], planned: Sequence[Feature], *, typical: Floats, capacity: Floats
) -> list[Feature]:
    """All features in the order to use them: the planned ones, then by value lost per freed share of capacity."""
    usable = np.where(np.isfinite(capacity) & (capacity > 0), capacity, np.inf)

    def price(feature: Feature) -> float:
        freed = float((feature.saved_qps(typical) / usable).sum())
        return feature.value_per_hour(typical) / freed if freed > 0 else np.inf

    rest = [f for f in features if f not in planned]
    return [*planned, *sorted(rest, key=lambda f: (price(f), f.name))]
