"""Capacity planning for promotions of the size of Double 11.

The main flow, from history and load tests to a plan and, after the event, to its review, is one
short file: `capacity/flow.py`. Everything exported here is loaded when it is first used, so that
``import capacity`` and ``capacity --help`` answer at once.

Examples
--------
>>> import capacity as cap
>>> cap.Risk(zone_losses=1).overload_probability
0.05
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capacity.catalog import Catalog, Service
    from capacity.demo import make_company
    from capacity.errors import CapacityError, InfeasibleError, InputError, NotCoveredError
    from capacity.flow import plan_promotion, review_promotion
    from capacity.forecast import backtest_demand, forecast_demand, forecast_panel
    from capacity.history import DailyActivity, Traffic
    from capacity.lessons import Lesson, Lessons
    from capacity.peaks import forecast_peaks
    from capacity.peaks.intraday import backtest_intraday, forecast_intraday
    from capacity.plan import make_plan
    from capacity.plan.what_if import what_if
    from capacity.promotion import Promotion, Promotions
    from capacity.questions import (
        check_readiness,
        compare_plan,
        evaluate_services,
        export_plan,
        follow_promotion,
        may_change,
        next_load_tests,
    )
    from capacity.rehearsal import rehearse
    from capacity.retrospective import review
    from capacity.saturation import fit_curve, fit_curves, fit_saturation
    from capacity.settings import Risk, Settings
    from capacity.staircase import plan_load_tests
    from capacity.workspace import Workspace, create_workspace

_HOMES = {
    "CapacityError": "capacity.errors",
    "Catalog": "capacity.catalog",
    "DailyActivity": "capacity.history",
    "InfeasibleError": "capacity.errors",
    "InputError": "capacity.errors",
    "Lesson": "capacity.lessons",
    "Lessons": "capacity.lessons",
    "NotCoveredError": "capacity.errors",
    "Promotion": "capacity.promotion",
    "Promotions": "capacity.promotion",
    "Risk": "capacity.settings",
    "Service": "capacity.catalog",
    "Settings": "capacity.settings",
    "Traffic": "capacity.history",
    "Workspace": "capacity.workspace",
    "backtest_demand": "capacity.forecast",
    "backtest_intraday": "capacity.peaks.intraday",
    "check_readiness": "capacity.questions",
    "compare_plan": "capacity.questions",
    "create_workspace": "capacity.workspace",
    "evaluate_services": "capacity.questions",
    "export_plan": "capacity.questions",
    "fit_curve": "capacity.saturation",
    "fit_curves": "capacity.saturation",
    "fit_saturation": "capacity.saturation",
    "follow_promotion": "capacity.questions",
    "forecast_demand": "capacity.forecast",
    "forecast_intraday": "capacity.peaks.intraday",
    "forecast_panel": "capacity.forecast",
    "forecast_peaks": "capacity.peaks",
    "make_company": "capacity.demo",
    "make_plan": "capacity.plan",
    "may_change": "capacity.questions",
    "next_load_tests": "capacity.questions",
    "plan_load_tests": "capacity.staircase",
    "plan_promotion": "capacity.flow",
    "rehearse": "capacity.rehearsal",
    "review": "capacity.retrospective",
    "review_promotion": "capacity.flow",
    "what_if": "capacity.plan.what_if",
}

__all__ = [
    "CapacityError",
    "Catalog",
    "DailyActivity",
    "InfeasibleError",
    "InputError",
    "Lesson",
    "Lessons",
    "NotCoveredError",
    "Promotion",
    "Promotions",
    "Risk",
    "Service",
    "Settings",
    "Traffic",
    "Workspace",
    "backtest_demand",
    "backtest_intraday",
    "check_readiness",
    "compare_plan",
    "create_workspace",
    "evaluate_services",
    "export_plan",
    "fit_curve",
    "fit_curves",
    "fit_saturation",
    "follow_promotion",
    "forecast_demand",
    "forecast_intraday",
    "forecast_panel",
    "forecast_peaks",
    "make_company",
    "make_plan",
    "may_change",
    "next_load_tests",
    "plan_load_tests",
    "plan_promotion",
    "rehearse",
    "review",
    "review_promotion",
    "what_if",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'capacity' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
