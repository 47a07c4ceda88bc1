"""Reports: notebooks executed with explicit dates, as pages that open without a network."""

from capacity.report.attempt import Limits
from capacity.report.decision import DecisionPage, decision_page
from capacity.report.due import DueRuns, run_due
from capacity.report.explorer import Explorer, explore
from capacity.report.faults import FaultsPlayed, play_faults
from capacity.report.index import write_index
from capacity.report.kickoff import kickoff_verdict, past_promotions, promotion_brief, promotion_phases
from capacity.report.limits import ladder_reach, limit_warnings, plan_ladder, plan_limits
from capacity.report.manifests import TARGETS, write_schedule
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
from capacity.report.prune import Pruned, prune_reports
from capacity.report.records import Record, list_records
from capacity.report.review import review_earlier, review_outcomes, review_tactics, tactics_at_hand
from capacity.report.run import ReportRun, run_reports
from capacity.report.schedule import Due, Schedule, find_due, read_schedule
from capacity.report.shelf import REPORTS, Parameter, check_parameters, read_parameters
from capacity.report.testing import load_tests_ahead
from capacity.report.tracking import tracking_status, tracking_verdict
from capacity.report.verdict import (
    backtest_verdict,
    forecast_verdict,
    plan_verdict,
    readiness_verdict,
    record,
    rehearsal_verdict,
    review_verdict,
    saturation_verdict,
)

__all__ = [
    "REPORTS",
    "TARGETS",
    "DecisionPage",
    "Due",
    "DueRuns",
    "Explorer",
    "FaultsPlayed",
    "Limits",
    "Parameter",
    "Pruned",
    "Record",
    "ReportRun",
    "Schedule",
    "backtest_by_horizon",
    "backtest_scores",
    "backtest_verdict",
    "check_parameters",
    "decision_page",
    "explore",
    "find_due",
    "forecast_verdict",
    "gate_exceptions",
    "headroom",
    "kickoff_verdict",
    "ladder_reach",
    "largest_peaks",
    "leant_on",
    "limit_warnings",
    "list_records",
    "load_tests_ahead",
    "past_forecasts",
    "past_promotions",
    "plan_actions",
    "plan_ladder",
    "plan_limits",
    "plan_services",
    "plan_verdict",
    "play_faults",
    "promotion_brief",
    "promotion_days",
    "promotion_phases",
    "prune_reports",
    "read_parameters",
    "read_schedule",
    "readiness_verdict",
    "record",
    "rehearsal_verdict",
    "review_earlier",
    "review_outcomes",
    "review_tactics",
    "review_verdict",
    "run_due",
    "run_reports",
    "saturation_verdict",
    "sentences",
    "show_each",
    "table",
    "tactics_at_hand",
    "tracking_status",
    "tracking_verdict",
    "what_narrows",
    "where_doubt_comes_from",
    "worst_peaks",
    "write_index",
    "write_schedule",
]
