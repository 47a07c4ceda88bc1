"""Decisions: how many instances, which limits, what to switch off, and how likely it is enough."""

from capacity.plan.document import check_plan_document, signature
from capacity.plan.instance_limits import InstanceLimits, instance_limits
from capacity.plan.make import make_plan
from capacity.plan.result import Plan

__all__ = ["InstanceLimits", "Plan", "check_plan_document", "instance_limits", "make_plan", "signature"]
