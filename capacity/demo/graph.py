"""The true call graph: means per edge, attempts, and the flows of every second through it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from capacity.demo.parameters import Parameters
from capacity.demo.randomness import stream
from capacity.demo.services import DEGRADES, INDEX, NAMES, NEW_SERVICE

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Edge:
    """One caller's calls of one callee, in the mean per request to the caller."""

    caller: str
    callee: str
    per_request: float
    hit_fraction: float = 0.0
    cold_hit_fraction: float = 0.0
    retries: int = 0
    failure: float = 0.0
    timeout_ms: int = 0
    connections: int = 0

    @property
    def attempts(self) -> float:
        """Tries per call: (1 − p^(r+1)) / (1 − p)."""
        return float((1 - self.failure ** (self.retries + 1)) / (1 - self.failure))

    @property
    def arrivals(self) -> float:
        """Requests that arrive at the callee per request to the caller."""
        return self.per_request * (1 - self.hit_fraction) * self.attempts


# caller, callee, mean per request, retries, timeout ms, connections per instance
_EDGES = (
    ("home", "recommend", 0.6, 0, 120, 0),
    ("home", "catalog-cache", 4.0, 0, 20, 0),
    ("search", "catalog-cache", 8.0, 0, 20, 0),
    ("product-detail", "catalog-cache", 5.0, 0, 20, 0),
    ("product-detail", "inventory", 1.0, 1, 100, 0),
    ("product-detail", "pricing", 1.0, 1, 100, 0),
    ("product-detail", "recommend", 0.4, 0, 120, 0),
    ("cart", "pricing", 1.3, 1, 100, 0),
    ("cart", "inventory", 1.2, 1, 100, 0),
    ("cart", "promotion-engine", 1.0, 1, 200, 0),
    ("cart", "coupon", 0.5, 0, 150, 0),
    ("cart", "user", 0.3, 0, 100, 0),
    ("checkout", "user", 1.0, 1, 100, 0),
    ("checkout", "pricing", 1.0, 1, 100, 0),
    ("checkout", "promotion-engine", 1.2, 1, 200, 0),
    ("checkout", "inventory", 2.0, 2, 200, 0),
    ("checkout", "coupon", 1.0, 0, 150, 0),
    ("checkout", "risk-check", 1.0, 1, 150, 0),
    ("checkout", "order-db", 4.0, 0, 300, 20),
    ("checkout", "payco-gateway", 1.0, 1, 3000, 0),
    ("checkout", "fulfilment", 1.0, 0, 0, 0),
    ("recommend", "catalog-cache", 3.0, 0, 20, 0),
    ("catalog-cache", "catalog-db", 1.0, 0, 50, 8),
    ("pricing", "promotion-engine", 0.25, 0, 200, 0),
    ("inventory", "order-db", 0.15, 0, 100, 10),
)
_ORDER = (
    "home", "search", "product-detail", "cart", "checkout", "user", "recommend", "catalog-cache", "catalog-db",
    "pricing", "inventory", "promotion-engine", "coupon", "risk-check", "order-db", "fulfilment", "payco-gateway",
)  # fmt: skip


def draw_edges(parameters: Parameters) -> tuple[Edge, ...]:
    """Draw the true means of every edge.

    Examples
    --------
    >>> from capacity.demo.parameters import draw_parameters
    >>> edges = draw_edges(draw_parameters(0))
    >>> {e.callee for e in edges if e.hit_fraction}
    {'catalog-db'}
    """
    rng = stream(parameters.seed, "edges")
    edges = []
    for caller, callee, mean, retries, timeout_ms, connections in _EDGES:
        vary = np.exp(0.15 * rng.normal()) if mean != 1.0 else 1.0
        failure = rng.uniform(0.003, 0.01) if callee == "payco-gateway" else rng.uniform(0.0003, 0.002)
        hit = rng.uniform(0.955, 0.985) if callee == "catalog-db" else 0.0
        cold = rng.uniform(0.55, 0.70) if callee == "catalog-db" else 0.0
        edges.append(
            Edge(
                caller,
                callee,
                float(mean * vary),
                float(hit),
                float(cold),
                retries,
                float(failure),
                timeout_ms,
                connections,
            )
        )
    return tuple(edges)


def event_matrix(parameters: Parameters, edges: tuple[Edge, ...], event: str, *, with_new: bool) -> Array:
    """Draw the arrivals at j per request to i in one promotion; the mix of pages differs every time."""
    rng = stream(parameters.seed, "fan-out", event)
    matrix = np.zeros((len(NAMES), len(NAMES)))
    for edge in edges:
        vary = np.exp(parameters.events.fanout_shock * rng.normal())
        if edge.callee != NEW_SERVICE or with_new:
            matrix[INDEX[edge.caller], INDEX[edge.callee]] = edge.arrivals * vary
    return matrix


def without_features(matrix: Array, features: Collection[str]) -> Array:
    """Give the matrix with the degraded features' calls removed."""
    degraded = matrix.copy()
    for feature in features:
        caller, callee = DEGRADES[feature]
        degraded[INDEX[caller], INDEX[callee]] = 0
    return degraded


def flow(
    external: Mapping[str, Floats],
    matrix: Array,
    *,
    arrivals: Callable[[str, Floats], Floats],
    admitted: Mapping[str, Floats] | None = None,
    edge_share: Mapping[tuple[str, str], Floats] | None = None,
) -> dict[str, Floats]:
    """Carry every second's requests through the graph.

    Parameters
    ----------
    external
        Requests from outside by entry service, whole numbers by second.
    matrix
        Arrivals at j per request to i.
    arrivals
        Turns a service's mean arrivals from its callers into whole numbers.
    admitted
        By service: requests that a limit let through, where one did; the others make no calls.
    edge_share
        By edge: share of its calls still made, by second.

    Returns
    -------
    dict
        Requests arriving at every service, whole numbers by second.
    """
    arriving: dict[str, Floats] = {}
    calling = admitted or {}
    shares = edge_share or {}
    for name in _ORDER:
        parts = []
        for caller in np.nonzero(matrix[:, INDEX[name]])[0]:
            source = NAMES[int(caller)]
            mean = calling.get(source, arriving[source]) * np.float32(matrix[caller, INDEX[name]])
            parts.append(mean * shares[source, name] if (source, name) in shares else mean)
        inner = arrivals(name, sum(parts[1:], start=parts[0])) if parts else None
        outer = external.get(name)
        known = [part for part in (inner, outer) if part is not None]
        arriving[name] = sum(known[1:], start=known[0]) if known else np.zeros_like(external["checkout"])
    return arriving


def keep_wobble(wobble: Mapping[str, Floats]) -> Callable[[str, Floats], Floats]:
    """Arrivals whose noise was drawn before: mean × wobble, in whole numbers."""
    return lambda name, mean: np.asarray(np.rint(mean * wobble[name]), dtype=np.float32)


def draw_counts(rng: np.random.Generator, mean: Floats, *, dispersion: float) -> Floats:
    """Whole numbers with Var = λ + φλ² and the skewness of a negative binomial.

    Small means are drawn exactly (gamma–Poisson), larger ones by a normal with the third cumulant's correction.

    Examples
    --------
    >>> counts = draw_counts(np.random.default_rng(0), np.full(200_000, 900.0, np.float32), dispersion=0.01)
    >>> bool(abs(counts.var() / (900 + 0.01 * 900**2) - 1) < 0.02)
    True
    """
    noise = rng.standard_normal(len(mean), dtype=np.float32)
    phi = np.float32(dispersion) * mean
    counts = noise * noise
    counts -= 1
    counts *= (1 + 2 * phi) / 6
    noise *= np.sqrt(mean * (1 + phi))
    counts += noise
    counts += mean
    np.maximum(np.rint(counts, out=counts), 0, out=counts)
    small = np.nonzero(mean < 8)[0]
    if len(small):
        rates = mean[small].astype(np.float64)
        if dispersion > 0:
            rates = rates * rng.gamma(1 / dispersion, dispersion, size=len(small))
        counts[small] = rng.poisson(rates)
    return np.asarray(counts)
