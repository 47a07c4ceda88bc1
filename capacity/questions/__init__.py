"""Questions asked of a workspace around the main flow, each one call."""

from capacity.questions.evening import follow_promotion, may_change, sign_exception
from capacity.questions.plans import compare_plan, evaluate_services, export_plan
from capacity.questions.readiness import check_readiness, held_drills, next_load_tests

__all__ = [
    "check_readiness",
    "compare_plan",
    "evaluate_services",
    "export_plan",
    "follow_promotion",
    "held_drills",
    "may_change",
    "next_load_tests",
    "sign_exception",
]
