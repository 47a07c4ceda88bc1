"""May this change go out now? What a deploy job asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from capacity.errors import InputError, UsageError
from capacity.operations.book import ChangeKind, Operations
from capacity.promotion import Promotion
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Exemption:
    """A signed exception from a freeze.

    Attributes
    ----------
    id
        Of its entry in the journal.
    promotion_id
        From whose freeze.
    service
        For which service; None: for any.
    who
        Who signed it.
    starts_at, until
        When it holds; the end is not part of it.
    reason
        In words.
    kind
        For which kind of change; one that names none is for none.
    """

    id: str
    promotion_id: str
    service: str | None
    who: str
    starts_at: datetime
    until: datetime
    reason: str
    kind: str = ""

    def holds_at(self, moment: datetime) -> bool:
        """Tell whether it holds at a moment, also in the hour that a clock change repeats."""
        return self.starts_at.astimezone(UTC) <= moment.astimezone(UTC) < self.until.astimezone(UTC)


@dataclass(frozen=True, repr=False, eq=False)
class FreezeAnswer(Result):
    """Whether a change may go out.

    Attributes
    ----------
    allowed
        The answer.
    reason
        Why, in words.
    promotion_id
        Whose freeze it is; None outside of all.
    may_grant
        Who may grant an exception, the first to ask first.
    exemption
        The signed exception that allows it, if one does.
    """

    allowed: bool
    reason: str
    promotion_id: str | None = None
    may_grant: tuple[str, ...] = ()
    exemption: Exemption | None = None

    def summary(self) -> str:
        """Return one line: the answer and why."""
        return f"{'allowed' if self.allowed else 'not allowed'}: {self.reason}"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row."""
        import pandas as pd

        columns = ["allowed", "promotion", "reason", "may_grant"]
        return pd.DataFrame(
            [[self.allowed, self.promotion_id, self.reason, ", ".join(self.may_grant)]], columns=columns
        )


def check_freeze(
    promotions: Mapping[str, Promotion],
    operations: Operations,
    exemptions: Sequence[Exemption] = (),
    *,
    at: datetime,
    service: str | None = None,
    kind: ChangeKind = "release",
) -> FreezeAnswer:
    """Say whether a change may go out at a moment.

    Parameters
    ----------
    promotions
        All of them.
    operations
        The rules.
    exemptions
        Exceptions that were signed.
    at
        Aware.
    service
        What changes; None: anything.
    kind
        Of change.

    Returns
    -------
    FreezeAnswer
        Not allowed if any freeze forbids it.
    """
    what = f"{kind.replace('_', ' ')}" + (f" of {service}" if service else "")
    covered = operations.freeze.services
    answer = FreezeAnswer(True, f"no freeze holds at {at.isoformat(timespec='minutes')}")
    for name, promotion in promotions.items():
        if promotion.freeze is None or not promotion.freeze.holds_at(at):
            continue
        if service and covered and service not in covered:
            answer = FreezeAnswer(True, f"{service} is not among the services that the freeze of {name} covers", name)
            continue
        running = [one for one in exemptions if one.promotion_id == name and one.holds_at(at)]
        answer = _in_freeze(promotion, operations, running, what, service=service, kind=kind)
        if not answer.allowed:
            return answer
    return answer


def _in_freeze(
    promotion: Promotion,
    operations: Operations,
    running: Sequence[Exemption],
    what: str,
    *,
    service: str | None,
    kind: ChangeKind,
) -> FreezeAnswer:
    rule, name = operations.changes.get(kind), promotion.id
    may_grant = operations.may_grant(kind)
    if rule is not None and rule.in_freeze == "allowed":
        return FreezeAnswer(True, f"{what} is allowed in the freeze of {name}, approver {rule.approver}", name)
    fitting = [one for one in running if one.service in (None, service) and one.kind == kind]
    grant = next((one for one in fitting if one.who in may_grant), None)
    if grant is not None:
        return FreezeAnswer(True, f"exception {grant.id} of {grant.who}: {grant.reason}", name, may_grant, grant)
    until = "" if promotion.freeze is None else promotion.freeze.ends_at.isoformat(timespec="minutes")
    if rule is None:
        asked = f"operations.yaml has no rule for a {kind}: nobody may grant an exception"
    elif not may_grant:
        asked = "no exception is granted"
    else:
        asked = f"ask {', then '.join(may_grant)}"
    void = "".join(f"; exception {one.id} does not count: {one.who or 'nobody'} may not sign it" for one in fitting)
    return FreezeAnswer(False, f"the freeze of {name} forbids {what} until {until}; {asked}{void}", name, may_grant)


def check_exception(
    operations: Operations,
    promotion: Promotion,
    *,
    who: str,
    at: datetime,
    until: datetime,
    reason: str,
    kind: ChangeKind,
) -> None:
    """Refuse an exception that may not be signed.

    Raises
    ------
    UsageError
        If there is no freeze then, it would not end inside it, or no reason is given.
    InputError
        If who signs may not, or nobody may.
    """
    rule, freeze, may_grant = operations.changes.get(kind), promotion.freeze, operations.may_grant(kind)
    if freeze is None or not freeze.holds_at(at):
        raise UsageError(f"{promotion.id} has no freeze at {at.isoformat()}", remedy="no exception is needed")
    if not at.astimezone(UTC) < until.astimezone(UTC) <= freeze.ends_at.astimezone(UTC):
        raise UsageError(
            f"--until: got {until.isoformat()}, expected a time after {at.isoformat()} and at most "
            f"{freeze.ends_at.isoformat()}, when the freeze ends"
        )
    if not reason.strip():
        raise UsageError("an exception needs its reason")
    where = f"operations.yaml changes.{kind}"
    if rule is None:
        raise InputError(f"nobody may grant an exception for a {kind}", remedy=f"write a rule into {where}")
    if rule.in_freeze == "never":
        raise InputError(f"a {kind} is never allowed in a freeze ({where}.in_freeze)")
    if rule.in_freeze == "allowed":
        raise UsageError(f"a {kind} is allowed in a freeze ({where}.in_freeze)", remedy="no exception is needed")
    if who not in may_grant:
        raise InputError(
            f"{who} may not grant an exception for a {kind}", remedy=f"who may: {', '.join(may_grant)} ({where})"
        )
