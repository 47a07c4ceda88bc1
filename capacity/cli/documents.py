"""Results as objects for programs, with the field names of the file contracts."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from capacity.forecast import Backtest, Demand
    from capacity.loadtest import LoadTest
    from capacity.peaks import Peaks
    from capacity.saturation import Curves
    from capacity.staircase import LoadTestPlan, PlannedTest

_THREE = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
_FOUR = _THREE | {"q99": 0.99}
_STEP = (
    "offered_qps", "achieved_qps", "concurrency", "p50_ms", "p95_ms", "p99_ms", "error_fraction", "cpu_fraction",
    "seconds",
)  # fmt: skip


def demand_document(demand: "Demand") -> dict[str, Any]:
    """Return DAU and DAT by date, the business's estimate and what drives them."""
    days: dict[str, dict[str, Any]] = {}
    for row in demand.to_frame().to_dict(orient="records"):
        day = days.setdefault(row["date"].date().isoformat(), {})
        day[str(row["metric"])] = {name: row[name] for name in _THREE}
    return {
        "promotion": demand.promotion.id,
        "as_of": demand.as_of,
        "demand": days,
        "dau_is_upper_bound": demand.dau_is_upper_bound,
        "business": None if demand.business is None else demand.business.to_frame().to_dict(orient="records"),
        "evidence": demand.evidence.to_dict(orient="records"),
        "doubt": None
        if demand.doubt is None
        else {
            "sources": demand.doubt.sources.to_dict(orient="records"),
            "options": demand.doubt.options.to_dict(orient="records"),
        },
        "why": demand.why,
        "assumptions": demand.assumptions,
    }


def backtest_document(result: "Backtest") -> dict[str, Any]:
    """Return the scores by days ahead and method, and every past promotion beside its forecast."""
    return {
        "origins": int(result.forecasts["as_of"].nunique()),
        "rows": result.to_frame().to_dict(orient="records"),
        "promotions": result.events.to_dict(orient="records"),
        "why": result.why,
        "assumptions": result.assumptions,
    }


def peaks_document(peaks: "Peaks") -> dict[str, Any]:
    """Return the worst second of the site and of each service, over the promotion and by phase."""
    phases = peaks.to_frame()
    largest = peaks.max_qps.to_numpy()
    services = {
        name: {
            "peak_qps": _quantiles(largest[:, place]),
            "phases": {
                str(row["phase"]): {"peak_qps": {q: row[q] for q in _FOUR}, "peak_at": row["peak_at"]}
                for row in phases[phases["service"] == name].to_dict(orient="records")
            },
            "why": peaks.why.get(name, ()),
        }
        for place, name in enumerate(peaks.services)
    }
    return {
        "peak_tps": _quantiles(peaks.peak_tps),
        "business_peak_tps": None if peaks.business is None else peaks.business.to_frame().to_dict(orient="records"),
        "seconds_known": peaks.seconds_known,
        "services": services,
    }


def curves_document(curves: "Curves", names: "list[str]") -> dict[str, Any]:
    """Return what an instance of each named service takes at its SLO, and how that is known."""
    samples = curves.instance_capacity_qps.to_numpy()
    services = {}
    for name in names:
        column = samples[:, curves.services.index(name)]
        known = curves.evidence[name] != "none"
        services[name] = {
            "instance_capacity_qps": {q: float(np.quantile(column, p)) if known else None for q, p in _THREE.items()},
            "capacity_evidence": curves.evidence[name],
            "gates": [
                {"name": gate.name, "verdict": gate.verdict, "says": gate.says, "remedy": gate.remedy}
                for gate in curves.gates.get(name, ())
            ],
            "why": curves.why.get(name, ()),
            "next_step": curves.next_step.get(name) or None,
            "drift": drift.to_plain() if (drift := curves.drift.get(name)) is not None else None,
            "fleet_capacity_qps": fleet.to_frame().to_dict(orient="records")
            if (fleet := curves.fleet_scaling.get(name)) is not None
            else None,
        }
    return {"services": services, "assumptions": curves.assumptions}


def loadtest_document(test: "LoadTest") -> dict[str, Any]:
    """Return a run's steps and gates."""
    steps = test.steps.reindex(columns=list(_STEP)).to_dict(orient="records")
    gates = [
        {
            "name": gate.name,
            "verdict": gate.verdict,
            "value": gate.value,
            "threshold": gate.threshold,
            "says": gate.says,
            "remedy": gate.remedy,
            "step": gate.step,
        }
        for gate in test.gates
    ]
    broken = [{"where": p.where, "got": p.got, "expected": p.expected} for p in test.broken]
    return {
        "tool": test.tool,
        "service": test.service or None,
        "instances": test.instances if test.service else None,
        "steps": steps,
        "gates": gates,
        "notes": test.notes,
        "broken": broken,
    }


def loadtest_plan_document(
    plan: "LoadTestPlan", tests: "tuple[PlannedTest, ...]", files: "dict[str, list[str]]"
) -> dict[str, Any]:
    """Return load tests to run, in order."""
    return {
        "promotion": plan.promotion,
        "as_of": plan.as_of,
        "timezone": plan.timezone,
        "tests": [_planned_test(test) | {"why": plan.why[test.service], "files": files.get(test.service, [])}
                  for test in tests],
        "left_out": plan.left_out,
        "assumptions": plan.assumptions,
        "mocked": plan.mocked,
    }  # fmt: skip


def _planned_test(test: "PlannedTest") -> dict[str, Any]:
    stairs, window = test.staircase, test.window
    return {
        "order": test.order,
        "level": test.level,
        "service": test.service,
        "target_qps": stairs.target_qps,
        "instances": stairs.instances,
        "warm_up_s": stairs.warm_up_s,
        "steps": [
            {"offered_qps": rate, "seconds": s} for rate, s in zip(stairs.offered_qps, stairs.seconds, strict=True)
        ],
        "stop_rules": [asdict(rule) for rule in stairs.stop_rules],
        "window": None if window is None else asdict(window),
        "downstream": [asdict(one) | {"is_safe": one.is_safe, "worst_qps": one.worst_qps} for one in test.downstream],
        "told": [asdict(told) for told in test.told],
        "warnings": test.warnings,
        "next_step": test.next_step or None,
    }


def _quantiles(samples: "np.ndarray[Any, Any]") -> dict[str, float]:
    return {name: float(np.quantile(samples, probability)) for name, probability in _FOUR.items()}
