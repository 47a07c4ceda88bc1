"""The call graph of a company: random, in layers, with hubs; 8 to 40 services."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.second_family.rates import EntryRate
from benchmarks.second_family.setting import Setting, rng_of

Array = NDArray[np.float64]

_ENTRIES = ("home", "item", "search", "cart", "account", "live-room", "coupon-center", "feed")
_MIDDLE = (
    "pricing", "stock", "promo-rules", "recommend", "profile", "address", "reviews", "risk", "shipping-quote", "tax",
    "images", "ranking", "bundles", "loyalty", "gift-cards", "seller-info", "session", "experiments", "messages",
    "invoices", "returns", "ads", "catalog-api", "wishlist", "points", "currency", "geo", "flags",
)  # fmt: skip
_STORES = ("main-db", "item-cache", "order-store", "kv", "search-index", "ledger")
_PARTNERS = ("card-network", "wallet-partner")


@dataclass(frozen=True)
class Node:
    """One service: its layer (callers lie in lower ones), its role and its tier.

    `role` is ``entry``, ``middle``, ``store``, ``partner`` or ``worker`` (behind a queue).
    """

    name: str
    layer: int
    role: str
    tier: str


@dataclass(frozen=True)
class Edge:
    """One caller's calls of one callee, in the mean per request."""

    caller: str
    callee: str
    per_request: float
    hit_fraction: float
    cold_hit_fraction: float
    retries: int
    failure: float
    feature: str | None = None
    max_delay_s: float | None = None

    @property
    def attempts(self) -> float:
        """Tries per call: (1 − p^(r+1)) / (1 − p)."""
        return float((1 - self.failure ** (self.retries + 1)) / (1 - self.failure))

    @property
    def arrivals(self) -> float:
        """Requests that arrive at the callee per request to the caller."""
        return self.per_request * (1 - self.hit_fraction) * self.attempts


@dataclass(frozen=True)
class Graph:
    """All services, callers before callees, and their calls.

    Parameters
    ----------
    nodes, edges
        The graph.
    orders
        Name of the service of which one request is one order.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    orders: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names in order."""
        return tuple(node.name for node in self.nodes)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position by name."""
        return {name: k for k, name in enumerate(self.names)}

    @cached_property
    def features(self) -> dict[str, Edge]:
        """Edges that can be switched off, by feature."""
        return {edge.feature: edge for edge in self.edges if edge.feature is not None}

    def of_role(self, *roles: str) -> tuple[str, ...]:
        """Names of the services with one of these roles."""
        return tuple(node.name for node in self.nodes if node.role in roles)

    def matrix(self, factors: Array | None = None, *, without: Collection[str] = ()) -> Array:
        """Arrivals at j per request to i, each edge times its factor, the features named left out."""
        found = np.zeros((len(self.nodes), len(self.nodes)))
        for k, edge in enumerate(self.edges):
            if edge.feature is None or edge.feature not in without:
                factor = 1.0 if factors is None else float(factors[k])
                found[self.index[edge.caller], self.index[edge.callee]] += edge.arrivals * factor
        return found

    def reach(self, matrix: Array) -> Array:
        """Give the requests that j sees in all per request to i, itself included."""
        return np.asarray(np.linalg.inv(np.eye(len(self.nodes)) - matrix))


def draw_graph(setting: Setting) -> Graph:
    """Draw a graph of log-uniform size.

    A quarter of the services are entries (3 to 7), a seventh stores, one or two partners take payments, in two of three
    companies a worker stands behind a queue, the rest lies in one to three layers between. A service calls 1 + Poisson
    (entries 2 + Poisson) of those below, mostly of the next layer, the more callers one has the likelier: in-degrees
    come out heavy-tailed, as Luo et al. (2021) found in production. Means per request are lognormal around 0.8.

    Examples
    --------
    >>> from benchmarks.second_family.setting import draw_setting
    >>> graph = draw_graph(draw_setting(0))
    >>> 8 <= len(graph.nodes) <= 40, bool((np.tril(graph.matrix()) == 0).all())
    (True, True)
    """
    rng = rng_of(setting, "graph")
    nodes = _draw_nodes(rng, round(float(np.exp(rng.uniform(np.log(8), np.log(40))))))
    orders = nodes[0].name
    pairs: list[tuple[int, int]] = []
    for k, node in enumerate(nodes):
        if node.role in ("entry", "middle"):
            pairs += _callees(rng, nodes, k, pairs)
    pairs += _adopt_orphans(rng, nodes, pairs)
    edges = [_draw_edge(rng, nodes[i], nodes[j]) for i, j in sorted(pairs)]
    edges = _mark_features(rng, nodes, edges, orders)
    return Graph(_tiers(rng, nodes, edges, orders), tuple(edges), orders)


def _draw_nodes(rng: np.random.Generator, size: int) -> list[Node]:
    entries = int(np.clip(round(size / 4), 3, 7))
    stores, partners, workers = (
        int(np.clip(round(size / 7), 1, 6)),
        1 + int(rng.random() < 0.4),
        int(rng.random() < 0.67),
    )
    middle = max(size - entries - stores - partners - workers, 2)
    layers = 1 + (size >= 14) + (size >= 26)
    orders = str(rng.choice(["checkout", "order-api", "place-order"]))
    names = [orders, *(str(name) for name in rng.permutation(_ENTRIES)[: entries - 1])]
    nodes = [Node(name, 0, "entry", "core") for name in names]
    depth = np.sort(rng.integers(1, layers + 1, middle))
    between = rng.permutation(_MIDDLE)[:middle]
    nodes += [Node(str(n), int(d), "middle", "core") for n, d in zip(between, depth, strict=True)]
    last = layers + 1
    nodes += [Node(name, last, "store", "core") for name in _STORES[:stores]]
    nodes += [Node(name, last, "partner", "core") for name in _PARTNERS[:partners]]
    return nodes + [Node("dispatch", last, "worker", "non_core")] * workers


def _callees(
    rng: np.random.Generator, nodes: list[Node], at: int, pairs: list[tuple[int, int]]
) -> list[tuple[int, int]]:
    below = [k for k, n in enumerate(nodes) if n.layer > nodes[at].layer and n.role in ("middle", "store")]
    degree = np.bincount([j for _, j in pairs], minlength=len(nodes))[below]
    near = np.where(np.array([nodes[k].layer for k in below]) == nodes[at].layer + 1, 3.0, 1.0)
    weight = (1 + degree) * near
    count = min((2 if nodes[at].role == "entry" else 1) + int(rng.poisson(1.1)), len(below))
    chosen = rng.choice(below, size=count, replace=False, p=weight / weight.sum())
    return [(at, int(k)) for k in chosen]


def _adopt_orphans(rng: np.random.Generator, nodes: list[Node], pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give everybody a caller; partners and the worker are called by the orders alone."""
    called = {j for _, j in pairs}
    found = []
    for k, node in enumerate(nodes):
        if node.role in ("partner", "worker"):
            found.append((0, k))
        elif node.role != "entry" and k not in called:
            above = [i for i, n in enumerate(nodes) if n.layer < node.layer and n.role in ("entry", "middle")]
            found.append((int(rng.choice(above)), k))
    return found


def _draw_edge(rng: np.random.Generator, caller: Node, callee: Node) -> Edge:
    mean = 1.0 if rng.random() < 0.3 else float(np.clip(np.exp(rng.normal(np.log(0.8), 0.6)), 0.1, 6.0))
    cached = callee.role == "store" and rng.random() < 0.6
    hit = rng.uniform(0.6, 0.98) if cached else 0.0
    failure, retries = rng.uniform(0.0003, 0.003), int(rng.integers(0, 4))
    if callee.role == "partner":
        mean, failure, retries = rng.uniform(0.3, 0.7), rng.uniform(0.003, 0.02), 1
    if callee.role == "worker":
        return Edge(caller.name, callee.name, 1.0, 0.0, 0.0, 0, 0.0, max_delay_s=float(rng.choice([300, 900, 1800])))
    return Edge(caller.name, callee.name, mean, hit, hit * rng.uniform(0.4, 0.9), retries, failure)


def _mark_features(rng: np.random.Generator, nodes: list[Node], edges: list[Edge], orders: str) -> list[Edge]:
    """Let up to two calls of services that nothing else needs be switched off."""
    callers: dict[str, int] = {}
    for edge in edges:
        callers[edge.callee] = callers.get(edge.callee, 0) + 1
    middle = {node.name for node in nodes if node.role == "middle"}
    free = [k for k, e in enumerate(edges) if e.callee in middle and callers[e.callee] == 1 and e.caller != orders]
    chosen = rng.permutation(free)[: int(rng.integers(0, 3))]
    marked = list(edges)
    for k in chosen:
        marked[k] = Edge(**{**vars(edges[k]), "feature": f"{edges[k].callee}-on-{edges[k].caller}"})
    return marked


def _tiers(rng: np.random.Generator, nodes: list[Node], edges: list[Edge], orders: str) -> tuple[Node, ...]:
    """Core is what an order needs; the rest is core, non-core or degradable as its owners saw it."""
    needed = {orders}
    for node in nodes:
        needed |= {e.callee for e in edges if e.caller == node.name and node.name in needed and e.feature is None}
    optional = {edge.callee for edge in edges if edge.feature is not None}
    found = []
    for node in nodes:
        tier = str(rng.choice(["core", "non_core"], p=[0.6, 0.4]))
        if node.name in optional:
            tier = "degradable"
        elif node.role == "worker":
            tier = "non_core"
        elif node.name in needed or node.role == "entry":
            tier = "core"
        found.append(Node(node.name, node.layer, node.role, tier))
    return tuple(found)


def draw_entries(setting: Setting, graph: Graph, usual_dau: float) -> tuple[EntryRate, ...]:
    """Draw what users and orders ask of each entry: 0.5 … 9 requests a user, at most 4 an order, bots up to 6 %."""
    entries = []
    for name in graph.of_role("entry"):
        rng = rng_of(setting, "entry", name)
        if name == graph.orders:
            entries.append(EntryRate(name, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
            continue
        per_dau = float(np.exp(rng.uniform(np.log(0.5), np.log(9))))
        per_dat = rng.uniform(0.5, 4.0) if rng.random() < 0.4 else 0.0
        bots = rng.uniform(0.01, 0.06) if rng.random() < 0.3 else 0.0
        rush, slower, drift = rng.uniform(0.05, 0.35), rng.uniform(1.0, 3.0), float(rng.normal(0.01, 0.03))
        entries.append(EntryRate(name, per_dau, per_dat, bots * per_dau * usual_dau / 86400, drift, rush, slower))
    return tuple(entries)
