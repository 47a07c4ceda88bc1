"""Reports: notebooks executed with explicit dates, as pages that open without a network."""

from capacity.report.index import write_index
from capacity.report.narrate import (
    gate_exceptions,
    headroom,
    largest_peaks,
    plan_actions,
    plan_ladder,
    plan_services,
    promotion_days,
    sentences,
    show_each,
    table,
    worst_peaks,
)
from capacity.report.run import ReportRun, list_runs, run_reports
from capacity.report.shelf import REPORTS, Parameter, check_parameters, read_parameters
from capacity.report.verdict import forecast_verdict, plan_verdict, record, review_verdict, saturation_verdict

__all__ = [
    "REPORTS",
    "Parameter",
    "ReportRun",
    "check_parameters",
    "forecast_verdict",
    "gate_exceptions",
    "headroom",
    "largest_peaks",
    "list_runs",
    "plan_actions",
    "plan_ladder",
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
    "worst_peaks",
    "write_index",
]
