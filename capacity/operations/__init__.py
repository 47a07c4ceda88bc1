"""What people do around a promotion: whether everything is ready before the freeze, and who does what until when."""

from capacity.operations.audit import AuditFinding, FreezeAudit, audit_freezes
from capacity.operations.book import Operations, parse_operations
from capacity.operations.freeze import Exemption, FreezeAnswer, check_exception, check_freeze
from capacity.operations.known import find_unknown
from capacity.operations.readiness import Item, Readiness, check_readiness
from capacity.operations.runbook import Runbook, make_runbooks, runbook_files
from capacity.operations.weaving import Woven, has_generated, weave

__all__ = [
    "AuditFinding",
    "Exemption",
    "FreezeAnswer",
    "FreezeAudit",
    "Item",
    "Operations",
    "Readiness",
    "Runbook",
    "Woven",
    "audit_freezes",
    "check_exception",
    "check_freeze",
    "check_readiness",
    "find_unknown",
    "has_generated",
    "make_runbooks",
    "parse_operations",
    "runbook_files",
    "weave",
]
