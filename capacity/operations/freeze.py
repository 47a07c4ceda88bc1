"""May this change go out now? What a deploy job asks."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    """

    id: str
    promotion_id: str
    service: str | None
    who: str
    starts_at: datetime
    until: datetime
    reason: str


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
    rule = operations.rule(kind)
    what = f"{kind.replace('_', ' ')}" + (f" of {service}" if service else "")
    answer = FreezeAnswer(True, f"no freeze holds at {at.isoformat(timespec='minutes')}")
    for name, promotion in promotions.items():
        freeze = promotion.freeze
        if freeze is None or not freeze.starts_at <= at < freeze.ends_at:
            continue
        covered = operations.freeze.services
        if service and covered and service not in covered:
            answer = FreezeAnswer(True, f"{service} is not among the services that the freeze of {name} covers", name)
            continue
        until = f"{freeze.ends_at.isoformat(timespec='minutes')}"
        if rule.in_freeze == "allowed":
            answer = FreezeAnswer(True, f"{what} is allowed in the freeze of {name}, approver {rule.approver}", name)
            continue
        grant = _grant(exemptions, name, at, service)
        if grant is not None and rule.in_freeze == "by_exception":
            answer = FreezeAnswer(
                True, f"exception {grant.id} of {grant.who}: {grant.reason}", name, rule.may_grant, grant
            )
            continue
        asked = (
            f"ask {', then '.join(rule.may_grant)}" if rule.in_freeze == "by_exception" else "no exception is granted"
        )
        return FreezeAnswer(
            False, f"the freeze of {name} forbids {what} until {until}; {asked}", name,
            rule.may_grant if rule.in_freeze == "by_exception" else (),
        )  # fmt: skip
    return answer


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
    rule, freeze = operations.rule(kind), promotion.freeze
    if freeze is None or not freeze.starts_at <= at < freeze.ends_at:
        raise UsageError(f"{promotion.id} has no freeze at {at.isoformat()}", remedy="no exception is needed")
    if not at < until <= freeze.ends_at:
        raise UsageError(
            f"--until: got {until.isoformat()}, expected a time after {at.isoformat()} and at most "
            f"{freeze.ends_at.isoformat()}, when the freeze ends"
        )
    if not reason.strip():
        raise UsageError("an exception needs its reason")
    if rule.in_freeze == "never":
        raise InputError(f"a {kind} is never allowed in a freeze (operations.yaml changes.{kind}.in_freeze)")
    if who not in rule.may_grant:
        known = ", ".join(rule.may_grant)
        raise InputError(
            f"{who} may not grant an exception for a {kind}",
            remedy=f"who may: {known} (operations.yaml changes.{kind})",
        )


def _grant(exemptions: Sequence[Exemption], promotion_id: str, at: datetime, service: str | None) -> Exemption | None:
    for one in exemptions:
        if one.promotion_id == promotion_id and one.service in (None, service) and one.starts_at <= at < one.until:
            return one
    return None


def audit_freezes(
    promotions: Mapping[str, Promotion], operations: Operations, *, core: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what is wrong with the windows of all promotions; empty when nothing is.

    Parameters
    ----------
    promotions
        Those to look at.
    operations
        The buffers and the services that a freeze covers.
    core
        Names of the core services.
    """
    found = [line for promotion in promotions.values() for line in _audit(promotion, operations)]
    missing = [name for name in core if operations.freeze.services and name not in operations.freeze.services]
    if missing:
        found.append(f"operations.yaml freeze.services leaves out core services: {', '.join(missing)}")
    frozen = [(p.freeze, name) for name, p in promotions.items() if p.freeze is not None]
    frozen.sort(key=lambda pair: pair[0].starts_at)
    for (one, first), (other, second) in itertools.pairwise(frozen):
        if other.starts_at < one.ends_at:
            found.append(f"the freezes of {first} and {second} overlap from {other.starts_at.isoformat()}")
    return tuple(found)


def _audit(promotion: Promotion, operations: Operations) -> Iterator[str]:
    freeze, phases = promotion.freeze, promotion.phases
    if freeze is None:
        yield f"{promotion.id} has no freeze: every change is allowed during it"
        return
    before = (phases[0].starts_at - freeze.starts_at).total_seconds() / 3600
    after = (freeze.ends_at - phases[-1].ends_at).total_seconds() / 3600
    rule = operations.freeze
    if before < rule.hours_before:
        yield f"{promotion.id}: the freeze begins {before:g} h before the first phase, not {rule.hours_before:g} h"
    if after < rule.hours_after:
        yield f"{promotion.id}: the freeze ends {after:g} h after the last phase, not {rule.hours_after:g} h"
    for word, moment in (("starts", freeze.starts_at), ("ends", freeze.ends_at)):
        if (moment.month, moment.day) == (2, 29):
            yield f"{promotion.id}: the freeze {word} on 29 February, which cron lines know every fourth year"
        if moment.second:
            yield f"{promotion.id}: the freeze {word} within a minute, which other systems' cron lines cannot say"
