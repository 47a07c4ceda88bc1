"""What the business expected of every promotion, and what is remembered of the past ones."""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from capacity.demo.demand import Baseline
from capacity.demo.events import Event
from capacity.demo.parameters import Parameters
from capacity.demo.randomness import nice, stream
from capacity.demo.shapes import Rates


@dataclass(frozen=True)
class Outcome:
    """A promotion's largest day and largest second: offered, before any limit."""

    dau: float
    dat: float
    peak_tps: float


@dataclass(frozen=True)
class Estimate:
    """The business's estimate: low, mid, high of each metric, and who signed it when."""

    ranges: dict[str, tuple[float, float, float]]
    basis: str
    owner: str
    signed_at: str


@dataclass(frozen=True)
class Memory:
    """What people wrote down after a promotion: counts that a limit may have cut."""

    dau: int
    dat: int
    peak_tps: float
    peak_at: str
    peak_qps: dict[str, float]


def expected_outcome(baseline: Baseline, rates: Rates, parameters: Parameters, event: Event) -> Outcome:
    """Give the outcome of a promotion still to come, in the mean of its seconds."""
    dau = float(max(baseline.total_active[list(event.days)]))
    days = [float(rates.orders(d * 86400 + np.arange(0.5, 1440) * 60).sum() * 60) for d in event.days]
    opening = float(rates.orders(event.starts_s + np.arange(0.0, 120)).max())
    burst = 1 + 3 * parameters.second_noise["checkout"] * event.burst + 3 / np.sqrt(opening)
    return Outcome(dau, max(days), opening * burst)


def draw_estimate(parameters: Parameters, event: Event, outcome: Outcome, *, last_dat: int | None) -> Estimate:
    """Draw the business's estimate: the outcome with the company's bias and fresh noise, in too narrow a range."""
    rng = stream(parameters.seed, "estimate", event.id)
    p, ranges = parameters.estimates, {}
    for metric, value in vars(outcome).items():
        mid = value * float(np.exp(p.bias[metric] + p.noise[metric] * rng.normal()))
        spread = p.noise[metric] * rng.uniform(0.9, 1.5)
        ranges[metric] = (nice(mid * (1 - spread)), nice(mid, 2), nice(mid * (1 + 1.3 * spread)))
    signed = (event.starts_at - timedelta(days=int(rng.integers(28, 36)))).date()
    basis = "first one estimated this way, market figures"
    if last_dat is not None:
        basis = f"orders of last time {ranges['dat'][1] / last_dat - 1:+.0%}, app campaign"
    owner = str(rng.choice(["growth-team", "trade-team"]))
    return Estimate(ranges, basis, owner, signed.isoformat())
