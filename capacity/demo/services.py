"""The services: who owns them, what one instance of each truly is, and what the world asks of the entries."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from capacity.demo.events import ZONE, seconds_of
from capacity.demo.instance import Instance
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import log_uniform, nice_up, stream
from capacity.demo.shapes import EntryRate

_USUAL_DAU = 1.8e6
ENTRIES = ("home", "search", "product-detail", "cart", "checkout", "user")
FIXED = ("catalog-db", "order-db", "payco-gateway")
NEW_SERVICE = "risk-check"
NEW_SINCE = "2026-07-01"
NEW_FROM = seconds_of(datetime(2026, 7, 1, tzinfo=ZONE))
UNTESTED = "user"
DEGRADES = {"recommendations": ("home", "recommend"), "similar-items": ("product-detail", "recommend")}


@dataclass(frozen=True)
class Spec:
    """What people know of a service by heart."""

    name: str
    tier: str
    owner: str | None
    service_ms: float = 0.0
    slots: int = 16
    cost: float = 0.0
    instance_type: str = ""
    startup_s: int = 180
    slo: tuple[str, ...] = ("p99_ms", "error_fraction")
    paths: tuple[str, ...] = ()


SPECS = (
    Spec("home", "core", "growth-team", 80, 8, 0.9, "c7.xlarge", 150, ("p99_ms",), ("browse",)),
    Spec("search", "core", "search-team", 140, 8, 2.4, "c7.4xlarge", 420, ("p99_ms", "p95_ms"), ("browse",)),
    Spec("product-detail", "core", "item-team", 60, 8, 1.2, "c7.2xlarge", 200, paths=("browse", "buy")),
    Spec("cart", "core", "trade-team", 110, 8, 1.2, "c7.2xlarge", 240, paths=("buy",)),
    Spec(
        "checkout",
        "core",
        "trade-team",
        260,
        8,
        1.2,
        "c7.2xlarge",
        240,
        ("p99_ms", "p95_ms", "error_fraction"),
        ("buy",),
    ),
    Spec("user", "core", "account-team", 40, 6, 0.9, "c7.xlarge", 120, ("p99_ms",), ("buy",)),
    Spec("catalog-cache", "core", "platform-team", 2.2, 8, 1.6, "r7.2xlarge", 600, ("p99_ms",), ("browse", "buy")),
    Spec("catalog-db", "core", "dba-team", paths=("browse", "buy")),
    Spec("recommend", "degradable", "growth-team", 110, 8, 3.1, "g5.2xlarge", 480, ("p99_ms",)),
    Spec("inventory", "core", "supply-team", 22, 8, 1.2, "c7.2xlarge", 180, paths=("buy",)),
    Spec("pricing", "core", "trade-team", 25, 8, 1.2, "c7.2xlarge", 150, ("p99_ms",), ("buy",)),
    Spec("promotion-engine", "core", "trade-team", 45, 8, 1.2, "c7.2xlarge", 150, paths=("buy",)),
    Spec("coupon", "non_core", None, 40, 6, 0.6, "c7.large", 120, ("p95_ms",)),
    Spec("risk-check", "core", "risk-team", 120, 6, 1.8, "c7.2xlarge", 300, ("p99_ms",), ("buy",)),
    Spec("order-db", "core", "dba-team", paths=("buy",)),
    Spec("fulfilment", "non_core", "supply-team", 250, 6, 0.9, "c7.xlarge", 180, ("p99_ms",)),
    Spec("payco-gateway", "core", "payments-team", paths=("buy",)),
)
NAMES = tuple(spec.name for spec in SPECS)
INDEX = {name: k for k, name in enumerate(NAMES)}


@dataclass(frozen=True)
class TrueService:
    """A scalable service: its instances' true process, its objective, and the capacity that follows."""

    spec: Spec
    instance: Instance
    slo: dict[str, float]
    capacity_by_part: dict[str, float]

    @property
    def capacity_qps(self) -> float:
        """Arrivals per second and instance up to which every part of the objective holds."""
        return min(self.capacity_by_part.values())


def draw_services(parameters: Parameters) -> dict[str, TrueService]:
    """Draw the true process and the objective of every service that scales.

    Examples
    --------
    >>> from capacity.demo.parameters import draw_parameters
    >>> services = draw_services(draw_parameters(0))
    >>> all(0 < s.capacity_qps < s.instance.peak_throughput for s in services.values())
    True
    """
    return {spec.name: _draw_service(parameters, spec) for spec in SPECS if spec.name not in FIXED}


def _draw_service(parameters: Parameters, spec: Spec) -> TrueService:
    rng = stream(parameters.seed, "service", spec.name)
    service_s = spec.service_ms / 1000 * float(np.exp(0.2 * rng.normal()))
    family = "usl" if rng.random() < 0.4 else "pool"
    # Larger companies run larger instances, so that the number of instances does not grow as fast as they do.
    size = (parameters.demand.dau / _USUAL_DAU) ** 0.35
    slots = max(round(spec.slots * size * rng.uniform(0.75, 1.3)), 4)
    alpha = rng.uniform(0.01, 0.04)
    instance = Instance(
        family=family,
        service_s=service_s,
        slots=slots,
        contention=service_s * rng.uniform(0.0008, 0.003) if family == "pool" else alpha,
        # Throughput peaks at 1.2 to 2.2 times `slots` requests inside.
        coherence=0.0 if family == "pool" else (1 - alpha) / (slots * rng.uniform(1.2, 2.2)) ** 2,
        variation=rng.uniform(0.35, 0.6),
        base_errors=log_uniform(rng, 2e-5, 2e-4),
        cpu_idle=rng.uniform(0.02, 0.05),
        cpu_at_peak=rng.uniform(0.62, 0.93),
    )
    slo, parts = _choose_slo(instance, spec.slo, busy=rng.uniform(0.78, 0.92))
    return TrueService(spec, instance, slo, parts)


def _choose_slo(
    instance: Instance, names: tuple[str, ...], *, busy: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Round the latency at a share of the largest throughput up to an objective that overload really breaks."""
    while True:
        latency, _, _ = instance.table.at(np.array([busy * instance.peak_throughput]))
        every = {"p99_ms": nice_up(latency[0, 2]), "p95_ms": nice_up(latency[0, 1]), "error_fraction": 0.001}
        slo = {part: every[part] for part in names}
        parts = instance.capacity(
            p95_ms=slo.get("p95_ms"), p99_ms=slo.get("p99_ms"), error_fraction=slo.get("error_fraction")
        )
        if max(parts.values()) < 0.97 * instance.peak_throughput or busy < 0.3:
            return slo, parts
        busy -= 0.03


def draw_entries(parameters: Parameters) -> dict[str, EntryRate]:
    """Draw what one user and one order ask of each entry service, and what bots add."""
    rng = stream(parameters.seed, "entries")
    ranges = {
        "home": (5.0, 9.0, 0.0, 0.0),
        "search": (3.0, 7.0, 0.0, 0.0),
        "product-detail": (8.0, 14.0, 1.5, 3.0),
        "cart": (0.5, 1.0, 2.5, 4.0),
        "checkout": (0.0, 0.0, 1.0, 1.0),
        "user": (1.2, 2.2, 0.8, 1.2),
    }
    bots = {"search": 0.04, "product-detail": 0.03}
    entries = {}
    for name, (dau_low, dau_high, dat_low, dat_high) in ranges.items():
        per_dau, per_dat = rng.uniform(dau_low, dau_high), rng.uniform(dat_low, dat_high)
        extra = bots.get(name, 0.0) * rng.uniform(0.5, 1.5) * per_dau * parameters.demand.dau / 86400
        entries[name] = EntryRate(
            float(per_dau), float(per_dat), float(extra), float(rng.uniform(-0.01, 0.05)) * (per_dau > 0)
        )
    return entries
