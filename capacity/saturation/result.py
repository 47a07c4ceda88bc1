"""Capacity per instance of every service, as samples with their evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from capacity.errors import UsageError, did_you_mean
from capacity.loadtest import Gate
from capacity.result import Result
from capacity.saturation.drift import Drift
from capacity.saturation.fit import CurveFit
from capacity.saturation.scaling import FleetScaling

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from capacity.display.figures import Chart

POINT_NUMBERS = ("load", "achieved_qps", "p95_ms", "p99_ms")
EVIDENCE = ("measured", "bounded", "production", "sla", "none")


@dataclass(frozen=True)
class Curves(Result):
    """What each service can take while it keeps its objective.

    Attributes
    ----------
    services
        Names in the catalogue's order.
    instance_capacity_qps
        Samples (sample, service) of requests/s per instance at the objective; NaN where nothing is known. The same
        sample index is the same future everywhere; services' errors are independent.
    evidence
        ``measured``: the end was seen in a test; ``bounded``: a test stopped below it, samples lie between what held
        and the stated rule; ``production``: the busiest traffic served within the objective; ``sla``: ``max_qps``;
        ``none``.
    lower_bound_qps
        Load per instance that is known to hold: what a test or production held, where tests show the end not above the
        5 % quantile of their distribution; 0 where none is.
    fits
        Throughput against concurrency per instance, of the newest run that shows it.
    gates
        Per service, what speaks for and against its tests.
    why, next_step
        Per service, the sentences behind the answer, and the next load test worth running.
    fixed_qps
        Services whose limit is a total that instances do not raise.
    assumptions
        Stated rules that were used.
    points
        Steps of the tests per instance, for figures: service, run, is_open, load, achieved_qps, p95_ms, p99_ms and the
        worst verdict of a gate.
    limits
        Per service, the parts of the objective.
    drift
        Of services with several runs, whether their capacity moved between them.
    fleet_scaling
        Of services tested with fleets of which the largest is four times the smallest or more, the fleet's capacity
        against its instances.
        ``instance_capacity_qps`` is then that of an instance among as many as run today; without such runs it is that
        of one among as many as were tested, and n instances are taken to take n times one.
    """

    services: tuple[str, ...]
    instance_capacity_qps: xr.DataArray
    evidence: Mapping[str, str]
    lower_bound_qps: Mapping[str, float]
    fits: Mapping[str, CurveFit]
    gates: Mapping[str, tuple[Gate, ...]]
    why: Mapping[str, tuple[str, ...]]
    next_step: Mapping[str, str]
    fixed_qps: Mapping[str, float]
    assumptions: tuple[str, ...]
    points: pd.DataFrame
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    drift: Mapping[str, Drift] = field(default_factory=dict)
    fleet_scaling: Mapping[str, FleetScaling] = field(default_factory=dict)

    units: ClassVar[dict[str, str]] = {"q05": "requests/s", "q50": "requests/s", "q95": "requests/s"}

    def summary(self) -> str:
        """Count the services by evidence."""
        counts = {kind: sum(v == kind for v in self.evidence.values()) for kind in EVIDENCE}
        return f"{len(self.services)} services: " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)

    def to_frame(self) -> pd.DataFrame:
        """One row a service: capacity per instance (q05, q50, q95), evidence, lower bound, what to test next."""
        import pandas as pd

        values = self.instance_capacity_qps.to_numpy()
        quantiles = np.quantile(values, [0.05, 0.5, 0.95], axis=0)
        frame = pd.DataFrame(quantiles.T, columns=["q05", "q50", "q95"])
        frame.insert(0, "service", list(self.services))
        frame["evidence"] = [self.evidence[s] for s in self.services]
        frame["lower_bound_qps"] = [self.lower_bound_qps.get(s, 0.0) for s in self.services]
        troubled = [
            sorted({g.name for g in self.gates.get(s, ()) if g.verdict not in ("ok", "unknown")}) for s in self.services
        ]
        frame["gates"] = [", ".join(names) for names in troubled]
        frame["next_step"] = [self.next_step.get(s, "") for s in self.services]
        return frame

    def _against(self, service: str) -> list[str]:
        return sorted({g.name for g in self.gates.get(service, ()) if g.verdict not in ("ok", "unknown")})

    def plot(self, service: str | None = None) -> Chart:
        """Draw one service: steps with their gates, the objective, capacity as a distribution; or all, by capacity."""
        from capacity.saturation import figure

        if service is None:
            return figure.overview(self)
        if service not in self.services:
            raise UsageError(f"no service {service!r}", remedy=did_you_mean(service, self.services))
        return figure.saturation(self, service)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything as plain arrays, for files without pickle."""
        told = {
            "services": list(self.services),
            "evidence": dict(self.evidence),
            "lower_bound_qps": dict(self.lower_bound_qps),
            "fits": {s: _fit_to_plain(f) for s, f in self.fits.items()},
            "gates": {s: [asdict(g) for g in gs] for s, gs in self.gates.items()},
            "why": {s: list(w) for s, w in self.why.items()},
            "next_step": dict(self.next_step),
            "fixed_qps": dict(self.fixed_qps),
            "assumptions": list(self.assumptions),
            "points": json.loads(self.points.to_json(orient="split", index=False, double_precision=15)),
            "limits": {s: dict(v) for s, v in self.limits.items()},
            "drift": {s: d.to_plain() for s, d in self.drift.items()},
            "fleet_scaling": {s: c.to_plain() for s, c in self.fleet_scaling.items()},
        }
        text = json.dumps(told, sort_keys=True, ensure_ascii=False)
        scaling = {
            f"fleet_scaling_{k}": self.fleet_scaling[s].to_samples() for k, s in enumerate(sorted(self.fleet_scaling))
        }
        return {
            **scaling,
            "instance_capacity_qps": self.instance_capacity_qps.to_numpy(),
            "curves": np.frombuffer(text.encode("utf-8"), dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Curves:
        """Rebuild from `to_arrays`."""
        import pandas as pd

        told: dict[str, Any] = json.loads(bytes(np.asarray(arrays["curves"], dtype=np.uint8)).decode("utf-8"))
        return cls(
            services=tuple(told["services"]),
            instance_capacity_qps=samples_array(np.asarray(arrays["instance_capacity_qps"]), told["services"]),
            evidence=told["evidence"],
            lower_bound_qps=told["lower_bound_qps"],
            fits={s: _fit_from_plain(v) for s, v in told["fits"].items()},
            gates={s: tuple(Gate(**g) for g in gs) for s, gs in told["gates"].items()},
            why={s: tuple(w) for s, w in told["why"].items()},
            next_step=told["next_step"],
            fixed_qps=told["fixed_qps"],
            assumptions=tuple(told["assumptions"]),
            points=pd.DataFrame(**told["points"]).astype(dict.fromkeys(POINT_NUMBERS, "float64")),
            limits=told["limits"],
            drift={s: Drift.from_plain(v) for s, v in told.get("drift", {}).items()},
            fleet_scaling={
                s: FleetScaling.from_plain(s, v, np.asarray(arrays[f"fleet_scaling_{k}"]))
                for k, (s, v) in enumerate(sorted(told.get("fleet_scaling", {}).items()))
            },
        )


def samples_array(values: np.ndarray, services: list[str] | tuple[str, ...]) -> xr.DataArray:
    """Name the dimensions of capacity samples (sample, service)."""
    import xarray as xr

    return xr.DataArray(
        values, dims=("sample", "service"), coords={"service": list(services)}, name="instance_capacity_qps"
    )


def _fit_to_plain(fit: CurveFit) -> dict[str, Any]:
    return {
        "family": fit.family,
        # JSON has no infinity; a pool whose size was not seen has one.
        "parameters": {k: (v if np.isfinite(v) else None) for k, v in fit.parameters.items()},
        "load": fit.load.tolist(),
        "throughput": fit.throughput.tolist(),
        "misfit": fit.misfit,
        "weights": dict(fit.weights),
        "held_out_error": dict(fit.held_out_error),
    }


def _fit_from_plain(plain: Mapping[str, Any]) -> CurveFit:
    return CurveFit(
        family=plain["family"],
        parameters={k: (float("inf") if v is None else float(v)) for k, v in plain["parameters"].items()},
        load=np.asarray(plain["load"], dtype=float),
        throughput=np.asarray(plain["throughput"], dtype=float),
        misfit=float(plain["misfit"]),
        weights=plain["weights"],
        held_out_error=plain["held_out_error"],
    )
