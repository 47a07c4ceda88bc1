"""Reports: notebooks executed with explicit dates, as pages that open without a network."""

from capacity.report.index import write_index
from capacity.report.limits import ladder_reach, limit_warnings, plan_ladder, plan_limits
from capacity.report.narrate import (
    backtest_by_horizon,
    backtest_scores,
    gate_exceptions,
    headroom,
    largest_peaks,
    leant_on,
    past_forecasts,
    plan_actions,
    plan_services,
    promotion_days,
    sentences,
    show_each,
    table,
    what_narrows,
    where_doubt_comes_from,
    worst_peaks,
)
from capacity.report.run import ReportRun, list_runs, run_reports
from capacity.report.shelf import REPORTS, Parameter, check_parameters, read_parameters
from capacity.report.testing import load_tests_ahead
from capacity.report.verdict import (
    backtest_verdict,
    forecast_verdict,
    plan_verdict,
    record,
    review_verdict,
    saturation_verdict,
)

__all__ = [
    "REPORTS",
    "Parameter",
    "ReportRun",
    "backtest_by_horizon",
    "backtest_scores",
    "backtest_verdict",
    "check_parameters",
    "forecast_verdict",
    "gate_exceptions",
    "headroom",
    "ladder_reach",
    "largest_peaks",
    "leant_on",
    "limit_warnings",
    "list_runs",
    "load_tests_ahead",
    "past_forecasts",
    "plan_actions",
    "plan_ladder",
    "plan_limits",
    "plan_services",
    "plan_verdict",
    "promotion_days",
    "read_parameters",
    "record",
    "review_verdict",
    "run_reports",
    "saturation_verdict",
    "sentences",
    "show_each",
    "table",
    "what_narrows",
    "where_doubt_comes_from",
    "worst_peaks",
    "write_index",
]
