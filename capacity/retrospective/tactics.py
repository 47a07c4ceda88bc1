"""What worked, in the words of its numbers, for the next promotion of the kind to take up again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import pandas as pd

from capacity.display import format_number, format_percent
from capacity.document.contract import Contract, Name, Text
from capacity.retrospective.frames import rows_of

if TYPE_CHECKING:
    from capacity.journal import Journal
    from capacity.retrospective.result import Review

Way = Literal["pre_scaling", "limit", "degradation", "drill"]


class Tactic(Contract):
    """One thing that was done and worked.

    Parameters
    ----------
    way
        ``pre_scaling``, ``limit``, ``degradation`` or ``drill``.
    service
        Where; empty where it is none's.
    says
        What was done, and by which numbers it worked.
    """

    way: Way
    service: Text = ""
    says: Name


def find_tactics(review: "Review", journal: "Journal") -> tuple[Tactic, ...]:
    """Return what worked: fleets that were scaled ahead and held, limits that bit and protected, switches, drills.

    Parameters
    ----------
    review
        What happened.
    journal
        Of the promotion.
    """
    return (*_pre_scaling(review), *_limits(review), *_degradation(review, journal), *_drills(review, journal))


def _pre_scaling(review: "Review") -> Iterator[Tactic]:
    for row in rows_of(review.capacity):
        grown = row["decision"] == "scale_out" and row["instances_used"] >= row["instances_needed"]
        if grown and row["slo_minutes_broken"] == 0 and row["slo_minutes_judged"] > 0 and row["short_hours"] == 0:
            used = format_percent(row["peak_of_used_capacity"])
            says = (
                f"{row['service']} was scaled ahead to {row['instances_used']:.0f} instances: its busiest second took "
                f"{used} of them, and its objective was kept in all {row['slo_minutes_judged']:.0f} minutes judged"
            )
            yield Tactic(way="pre_scaling", service=str(row["service"]), says=says)


def _limits(review: "Review") -> Iterator[Tactic]:
    for row in rows_of(review.capacity):
        if row["rejected"] > 0 and row["wrongly_rejected"] == 0 and row["slo_minutes_broken"] == 0:
            says = (
                f"the limit of {row['service']}, {format_number(row['limit_qps'])}/s, turned away "
                f"{format_number(row['rejected'])} requests, none of them wrongly, and the service kept its objective"
            )
            yield Tactic(way="limit", service=str(row["service"]), says=says)


def _degradation(review: "Review", journal: "Journal") -> Iterator[Tactic]:
    flawed = {"degraded_late", "not_restored", "restored_late", "not_switched"}
    bad = {str(row["service"]) for row in rows_of(review.findings) if row["kind"] in flawed}
    ended = {entry.ref: entry for entry in journal.of_kind("degrade_off") if entry.ref}
    for entry in journal.of_kind("degrade_on"):
        off = ended.get(entry.id)
        if off is not None and (entry.service or "") not in bad:
            minutes = (off.at - entry.at).total_seconds() / 60
            says = f"switched off at {entry.at:%H:%M}, back after {minutes:.0f} min as planned: {entry.text}"[:200]
            yield Tactic(way="degradation", service=entry.service or "", says=says)


def _drills(review: "Review", journal: "Journal") -> Iterator[Tactic]:
    failed = {
        str(row["says"]) for row in rows_of(review.findings) if row["kind"] in {"failed_drill", "drill_without_outcome"}
    }
    for entry in journal.of_kind("drill"):
        if not any(entry.text in says for says in failed):
            yield Tactic(
                way="drill", service=entry.service or "", says=f"practised on {entry.at:%Y-%m-%d}: {entry.text}"[:200]
            )


def tactics_frame(tactics: tuple[Tactic, ...]) -> pd.DataFrame:
    """Return one row a tactic."""
    return pd.DataFrame(
        [(one.way.replace("_", " "), one.service, one.says) for one in tactics], columns=["way", "service", "says"]
    )
