"""Do the freeze windows hold: phases and buffers, core services, overlaps, and what a pattern without a year makes."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from capacity.operations.book import Operations
from capacity.promotion import Freeze, Promotion, elapsed
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong with a window.

    Attributes
    ----------
    promotion
        Whose; empty where it is about all.
    kind
        ``no_freeze``, ``starts_late``, ``ends_early``, ``core_left_out``, ``overlap``, ``not_one_window`` or
        ``seconds``.
    says
        In words.
    """

    promotion: str
    kind: str
    says: str


@dataclass(frozen=True, repr=False, eq=False)
class FreezeAudit(Result):
    """What is wrong with the freeze windows.

    Attributes
    ----------
    promotions : tuple of str
        Whose windows were looked at.
    findings : tuple of AuditFinding
        Empty when all hold.
    """

    promotions: tuple[str, ...]
    findings: tuple[AuditFinding, ...]

    def summary(self) -> str:
        """Return one line: how many windows, how many findings."""
        found = f"{len(self.findings)} findings" if self.findings else "nothing is wrong"
        return f"freezes of {len(self.promotions)} promotions: {found}"

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a finding: ``promotion, kind, says``."""
        import pandas as pd

        return pd.DataFrame([vars(one) for one in self.findings], columns=["promotion", "kind", "says"])


def audit_freezes(promotions: Mapping[str, Promotion], operations: Operations, *, core: Iterable[str]) -> FreezeAudit:
    """Look for what is wrong with the freezes of promotions.

    Parameters
    ----------
    promotions
        Those to look at.
    operations
        The buffers and the services that a freeze covers.
    core
        Names of the core services.

    Examples
    --------
    >>> bare = Promotion(id="p", kind="k", starts_at="2026-11-10T20:00+08:00", ends_at="2026-11-12T00:00+08:00")
    >>> audit_freezes({"p": bare}, Operations(), core=[]).findings[0].kind
    'no_freeze'
    """
    found = [finding for promotion in promotions.values() for finding in _audit(promotion, operations)]
    covered = operations.freeze.services
    missing = [name for name in core if covered and name not in covered]
    if missing:
        says = f"operations.yaml freeze.services leaves out core services: {', '.join(missing)}"
        found.append(AuditFinding("", "core_left_out", says))
    return FreezeAudit(tuple(promotions), (*found, *_overlaps(list(promotions.values()))))


def _overlaps(promotions: Sequence[Promotion]) -> Iterator[AuditFinding]:
    frozen = [(one.id, one.freeze) for one in promotions if one.freeze is not None]
    frozen.sort(key=lambda pair: pair[1].starts_at.astimezone(UTC))
    for (first, one), (second, other) in itertools.combinations(frozen, 2):
        if one.holds_at(other.starts_at):
            at = other.starts_at.isoformat()
            says = f"the freezes of {first} and {second} overlap from {at}: a change there takes an exception of both"
            yield AuditFinding(second, "overlap", says)


def _audit(promotion: Promotion, operations: Operations) -> Iterator[AuditFinding]:
    freeze, phases, rule = promotion.freeze, promotion.phases, operations.freeze
    if freeze is None:
        yield AuditFinding(
            promotion.id, "no_freeze", f"{promotion.id} has no freeze: every change is allowed during it"
        )
        return
    before = elapsed(freeze.starts_at, min((p.starts_at for p in phases), key=_utc)) / _HOUR
    after = elapsed(max((p.ends_at for p in phases), key=_utc), freeze.ends_at) / _HOUR
    if before < rule.hours_before:
        says = (
            f"{promotion.id}: the freeze begins {_hours(before, 'before')} the first phase, not {rule.hours_before:g} h"
        )
        yield AuditFinding(promotion.id, "starts_late", says)
    if after < rule.hours_after:
        says = f"{promotion.id}: the freeze ends {_hours(after, 'after')} the last phase, not {rule.hours_after:g} h"
        yield AuditFinding(promotion.id, "ends_early", says)
    for says in _expansion(freeze):
        yield AuditFinding(promotion.id, "not_one_window", f"{promotion.id}: the freeze {says}")
    for word, moment in (("starts", freeze.starts_at), ("ends", freeze.ends_at)):
        if moment.second or moment.microsecond:
            says = f"{promotion.id}: the freeze {word} within a minute, which other systems' cron lines cannot say"
            yield AuditFinding(promotion.id, "seconds", says)


def _expansion(freeze: Freeze) -> Iterator[str]:
    """Say where minute, hour, day and month alone, as cron lines have them, do not make one window a year."""
    for word, moment in (("starts", freeze.starts_at), ("ends", freeze.ends_at)):
        if (moment.month, moment.day) == (2, 29):
            yield f"{word} on 29 February, which cron lines know every fourth year"
        other = moment.replace(fold=1 - moment.fold)
        if other.utcoffset() != moment.utcoffset() and _exists(other):
            yield f"{word} in an hour that the clock change repeats: a cron line there runs twice, or at the other one"
    if freeze.starts_at.year != freeze.ends_at.year:
        yield "crosses New Year: without a year its days make two windows of every year, one at either end"
    if elapsed(freeze.starts_at, freeze.ends_at) > timedelta(days=365):
        yield "is longer than a year: days and months alone cannot say that"


def _exists(moment: datetime) -> bool:
    return moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None) == moment.replace(tzinfo=None)


def _hours(hours: float, side: str) -> str:
    other = {"before": "after", "after": "before"}[side]
    return f"{hours:g} h {side}" if hours >= 0 else f"{-hours:g} h {other}"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
