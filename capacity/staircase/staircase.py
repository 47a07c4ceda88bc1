"""The next load test of a service: its steps, how long each lasts, and when to stop."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from capacity.catalog import Service
from capacity.errors import NotCoveredError, UsageError
from capacity.result import Result
from capacity.staircase.rules import StopRule, stop_rules
from capacity.staircase.steps import (
    COARSE,
    FINE,
    MARGIN,
    NOTHING,
    PRECISE,
    ROUGH,
    WARM_UP_S,
    Known,
    is_precise,
    said_qps,
    step_rates,
    step_seconds,
)

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.peaks import Peaks
    from capacity.saturation import Curves


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
    warm_up_s
        Left out at the beginning of each step.
    known
        What was known of this many instances before.
    hot_key_qps
        What one key takes; None where that is not known.
    """

    service: str
    instances: int
    target_qps: float
    offered_qps: tuple[float, ...]
    seconds: tuple[float, ...]
    stop_rules: tuple[StopRule, ...]
    why: tuple[str, ...]
    warm_up_s: float = WARM_UP_S
    known: Known = NOTHING
    hot_key_qps: float | None = None

    units: ClassVar[dict[str, str]] = {"offered_qps": "requests/s", "instance_qps": "requests/s", "seconds": "s"}

    @property
    def duration_s(self) -> float:
        """Length of all steps."""
        return float(sum(self.seconds))

    @property
    def reaches_target(self) -> bool:
        """Whether its last step offers what the fleet must take."""
        return bool(self.offered_qps) and self.offered_qps[-1] >= self.target_qps * (1 - 1e-3)

    def summary(self) -> str:
        """Say the test in one line."""
        return (
            f"{self.service}: {len(self.offered_qps)} steps up to {said_qps(self.offered_qps[-1])} on {self.instances} "
            f"instance{'s' * (self.instances != 1)}, {self.duration_s / 60:.0f} min"
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

    def plot(self) -> Chart:
        """Draw the offered rate over time, with the target and what is known."""
        from capacity.staircase.figure import draw_staircase

        return draw_staircase(self)


def plan_load_test(
    service: Service,
    peaks: Peaks | None,
    curves: Curves | None = None,
    *,
    instances: int | None = None,
    fleet: int | None = None,
    beside_qps: float = 0.0,
    gives_up_ms: float | None = None,
) -> Staircase:
    """Plan the load test that would teach most.

    Few coarse steps where the service is known to hold, then steps of 5 % up to beyond the larger of the target and the
    end that is expected. Where the end was seen below the target, the test goes just past that end; where nothing is
    known, it begins at a twentieth of the target.

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
    fleet
        Instances that will share the peak; those running today by default. A test of n of them must take n/fleet of it.
    beside_qps
        Requests/s that come anyway meanwhile: with them no step passes its stated limit.
    gives_up_ms
        When its least patient caller gives up: ends the test where no latency objective does.

    Raises
    ------
    NotCoveredError
        Where neither a peak nor a capacity is known, or what comes anyway takes all of its stated limit.

    Examples
    --------
    >>> import xarray as xr
    >>> class KnownPeaks:
    ...     services = ("checkout",)
    ...     max_qps = xr.DataArray([[900.0], [1000.0]], dims=("sample", "service"), coords={"service": ["checkout"]})
    >>> plan_load_test(Service(name="checkout", tier="core", instances=10), KnownPeaks()).summary()
    'checkout: 24 steps up to 1144/s on 10 instances, 24 min'
    """
    under_test = service.instances if instances is None else instances
    whole = service.instances if fleet is None else fleet
    if min(under_test, whole) < 1:
        raise UsageError(f"instances is {under_test} of {whole}, expected 1 or more")
    known = _known(service.name, curves, under_test)
    target, why = _target(service, peaks, known, share=under_test / whole, fleet=whole)
    stated = math.inf if service.max_qps is None else service.max_qps
    ceiling = stated - beside_qps
    if ceiling <= 0:
        raise NotCoveredError(
            f"no load test of {service.name!r} can be planned: its ordinary {said_qps(beside_qps)} take all of its "
            f"stated {said_qps(stated)}",
            remedy="correct max_qps in services.yaml",
        )
    offered = step_rates(target, known, ceiling=ceiling)
    tail = 0.99 if service.slo.p99_ms is not None else 0.95
    seconds = tuple(
        step_seconds(
            rate, probability=tail, precision=PRECISE if is_precise(rate, target=target, known=known) else ROUGH
        )
        for rate in offered
    )
    exact = f"p{100 * tail:.0f} to about {PRECISE:.0%} where the end may lie, to {ROUGH:.0%} below it"
    why += [_steps_say(known, offered), f"each long enough to know {exact}, and at least 60 s"]
    if known.end_seen and known.high is not None and known.high < target:
        why.append(
            f"it ends at {said_qps(offered[-1])}, past the end that was seen: the target is out of reach of so few"
        )
    elif ceiling <= offered[-1] * (1 + 1e-3):
        beside = f", with the {said_qps(beside_qps)} that come anyway" if beside_qps else ""
        why.append(f"no step passes its stated limit of {said_qps(stated)}{beside}")
    rules = stop_rules(service, offered[-1], target=target, gives_up_ms=gives_up_ms)
    key = None if service.hot_key is None else service.hot_key.max_qps
    return Staircase(
        service.name, under_test, target, offered, seconds, rules, tuple(why), known=known, hot_key_qps=key
    )


def _target(
    service: Service, peaks: Peaks | None, known: Known, *, share: float, fleet: int
) -> tuple[float, list[str]]:
    peak = _peak_q95(service.name, peaks)
    if peak is not None:
        part = "" if share == 1 else f", of which this test takes {share:.0%}"
        return peak * share, [
            f"target: the peak's 95 % quantile is {said_qps(peak)} on {fleet} instance{'s' * (fleet != 1)}{part}"
        ]
    stated = known.high if known.high is not None else service.max_qps
    if stated is not None:
        return stated, ["no forecast peak: the target is what is known of capacity"]
    raise NotCoveredError(
        f"no load test of {service.name!r} can be planned: neither its peak nor its capacity is known",
        remedy="ingest traffic, or run a first test of any size and read it",
    )


def _steps_say(known: Known, offered: tuple[float, ...]) -> str:
    if known.low is None or known.low <= 0:
        return f"nothing is known of it: steps grow gently from {offered[0]:.4g} to {said_qps(offered[-1])}"
    high = known.high or known.low
    return (
        f"coarse steps to {COARSE[-1]:.0%} of the {said_qps(known.low)} that are known to hold, steps of {FINE:.0%} to "
        f"{MARGIN:g} × {said_qps(high)}, up to {said_qps(offered[-1])}"
    )


def _peak_q95(name: str, peaks: Peaks | None) -> float | None:
    if peaks is None or name not in peaks.services:
        return None
    value = float(np.quantile(peaks.max_qps.sel(service=name).to_numpy(), 0.95))
    return value if np.isfinite(value) and value > 0 else None


def _known(name: str, curves: Curves | None, instances: int) -> Known:
    # A limit that is merely stated has never been seen to hold: it is a ceiling, not a place to begin.
    if curves is None or name not in curves.services or curves.evidence[name] in ("none", "sla"):
        return Known()
    low, high = np.quantile(curves.instance_capacity_qps.sel(service=name).to_numpy(), [0.05, 0.95])
    return Known(float(low) * instances, float(high) * instances, end_seen=curves.evidence[name] == "measured")
