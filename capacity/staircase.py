"""The next load test of a service: its steps, how long each lasts, and when to stop.

References
----------
.. [1] A. Stuart, J. K. Ord, "Kendall's Advanced Theory of Statistics", vol. 1, section 10.10: the variance of a
   percentile, from which a step's length follows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capacity.catalog import Service
from capacity.errors import NotCoveredError, UsageError
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.peaks import Peaks
    from capacity.saturation import Curves

_COARSE = (0.2, 0.4, 0.55, 0.7, 0.8)
_FINE = 0.05
_MOST_FINE = 24
_MARGIN = 1.15
_SHORTEST_S, _LONGEST_S = 60.0, 900.0
_WARM_UP_S = 15.0
_TYPICAL_HAZARD = 4.0


@dataclass(frozen=True)
class StopRule:
    """When to stop a test: what is watched, the limit, and why."""

    watches: str
    limit: float | None
    says: str


@dataclass(frozen=True)
class Staircase(Result):
    """A load test to run.

    Attributes
    ----------
    service
        Its name.
    instances
        Instances the rates are for.
    target_qps
        What one fleet of that size must take: the 95 % quantile of the peak.
    offered_qps, seconds
        Rate and length of each step.
    stop_rules
        Any of them ends the test.
    why
        The numbers behind target, steps and lengths.
    """

    service: str
    instances: int
    target_qps: float
    offered_qps: tuple[float, ...]
    seconds: tuple[float, ...]
    stop_rules: tuple[StopRule, ...]
    why: tuple[str, ...]

    units: ClassVar[dict[str, str]] = {"offered_qps": "requests/s", "instance_qps": "requests/s", "seconds": "s"}

    @property
    def duration_s(self) -> float:
        """Length of all steps."""
        return float(sum(self.seconds))

    def summary(self) -> str:
        """Say the test in one line."""
        return (
            f"{self.service}: {len(self.offered_qps)} steps up to {self.offered_qps[-1]:.4g}/s on {self.instances} "
            f"instances, {self.duration_s / 60:.0f} min"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a step."""
        import pandas as pd

        offered = np.array(self.offered_qps)
        return pd.DataFrame(
            {
                "step": np.arange(1, len(offered) + 1),
                "offered_qps": offered,
                "instance_qps": offered / self.instances,
                "seconds": self.seconds,
                "share_of_target": offered / self.target_qps,
            }
        )


def step_seconds(rate_qps: float, *, probability: float = 0.95, precision: float = 0.03) -> float:
    """Length of a step after which a latency percentile is known well enough.

    Parameters
    ----------
    rate_qps
        Requests a second during the step.
    probability
        The percentile, as a share.
    precision
        Wanted standard error of its logarithm: 0.03 is 3 %.

    Examples
    --------
    >>> step_seconds(100.0), step_seconds(1e6)
    (60.0, 60.0)
    >>> step_seconds(20.0, probability=0.99) > step_seconds(20.0)
    True
    """
    if not (rate_qps > 0 and 0 < probability < 1 and precision > 0):
        raise UsageError(f"a step of {rate_qps}/s, probability {probability}, precision {precision} has no length")
    # Neighbouring requests share a queue: two are worth one.
    needed = 2.0 * probability / ((1 - probability) * (_TYPICAL_HAZARD * precision) ** 2)
    return float(np.clip(10.0 * math.ceil((needed / rate_qps + _WARM_UP_S) / 10.0), _SHORTEST_S, _LONGEST_S))


def plan_load_test(
    service: Service, peaks: Peaks | None, curves: Curves | None = None, *, instances: int | None = None
) -> Staircase:
    """Plan the load test that would teach most.

    Few coarse steps where the service is known to hold, then steps of 5 % up to beyond the larger of the target and the
    end that is expected.

    Parameters
    ----------
    service
        The service; its objective gives the stop rules.
    peaks
        Forecast peaks: their 95 % quantile is the target. None: what is known of capacity is.
    curves
        What is known of capacity per instance.
    instances
        Instances under test; those running today by default.

    Raises
    ------
    NotCoveredError
        Where neither a peak nor a capacity is known.

    Examples
    --------
    >>> import xarray as xr
    >>> class KnownPeaks:
    ...     services = ("checkout",)
    ...     max_qps = xr.DataArray([[900.0], [1000.0]], dims=("sample", "service"), coords={"service": ["checkout"]})
    >>> plan_load_test(Service(name="checkout", tier="core", instances=10), KnownPeaks()).summary()
    'checkout: 12 steps up to 1144/s on 10 instances, 12 min'
    """
    under_test = service.instances if instances is None else instances
    if under_test < 1:
        raise UsageError(f"instances is {under_test}, expected 1 or more")
    peak = _peak_q95(service.name, peaks)
    low, high = _expected(service.name, curves)
    why: list[str] = []
    if peak is not None:
        target = peak * under_test / service.instances
        why.append(f"target: the peak's 95 % quantile is {peak:.4g}/s on {service.instances} instances")
    elif high is not None:
        target = high * under_test
        why.append("no forecast peak: the target is what is known of capacity")
    else:
        raise NotCoveredError(
            f"no load test of {service.name!r} can be planned: neither its peak nor its capacity is known",
            remedy="ingest traffic, or run a first test of any size and read it",
        )
    known = low * under_test if low is not None else target
    top = _MARGIN * max(target, (high or 0.0) * under_test) if high is not None else _MARGIN * target
    offered = _rates(min(known, target), top)
    tail = 0.99 if service.slo.p99_ms is not None else 0.95
    seconds = tuple(step_seconds(rate, probability=tail) for rate in offered)
    why.append(f"steps of {_FINE:.0%} above {_COARSE[-1]:.0%} of {min(known, target):.4g}/s, up to {top:.4g}/s")
    why.append(f"each long enough to know p{100 * tail:.0f} to about 3 %, at least {_SHORTEST_S:g} s")
    return Staircase(service.name, under_test, float(target), offered, seconds, _stop_rules(service, top), tuple(why))


def _peak_q95(name: str, peaks: Peaks | None) -> float | None:
    if peaks is None or name not in peaks.services:
        return None
    value = float(np.quantile(peaks.max_qps.sel(service=name).to_numpy(), 0.95))
    return value if np.isfinite(value) and value > 0 else None


def _expected(name: str, curves: Curves | None) -> tuple[float | None, float | None]:
    if curves is None or name not in curves.services or curves.evidence[name] == "none":
        return None, None
    low, high = np.quantile(curves.instance_capacity_qps.sel(service=name).to_numpy(), [0.05, 0.95])
    return float(low), float(high)


def _rates(known: float, top: float) -> tuple[float, ...]:
    coarse = [share * known for share in _COARSE]
    first = (_COARSE[-1] + _FINE) * known
    count = max(int((top - first) / (_FINE * known) + 1e-9) + 1, 1)
    # Where the end is far above what is known, the steps grow with the load instead of multiplying without end.
    far = count > _MOST_FINE
    fine = np.geomspace(first, top, _MOST_FINE) if far else first + _FINE * known * np.arange(count)
    return tuple(float(f"{rate:.4g}") for rate in [*coarse, *fine])


def _stop_rules(service: Service, top: float) -> tuple[StopRule, ...]:
    slo = service.slo
    rules = [StopRule("offered_qps", top, "the last step is done")]
    for part, value in (("p95_ms", slo.p95_ms), ("p99_ms", slo.p99_ms)):
        if value is not None:
            rules.append(StopRule(part, 1.5 * value, "well above the objective for 20 s: the end was seen"))
    errors = max(2 * slo.error_fraction, 0.01) if slo.error_fraction is not None else 0.05
    rules.append(StopRule("error_fraction", errors, "requests fail: stop at once in production"))
    rules.append(StopRule("cpu_fraction", 0.95, "nothing is left: the next step would only queue"))
    rules.append(StopRule("achieved_share", 0.9, "achieved below 90 % of offered: server or generator is full"))
    callees = ", ".join(call.to for call in service.calls)
    if callees:
        rules.append(StopRule("downstream_error_fraction", 0.01, f"one of {callees} is in trouble"))
    return tuple(rules)
