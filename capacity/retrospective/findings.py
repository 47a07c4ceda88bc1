"""What the journal shows that somebody must look at: switches, changes, alerts, drills."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from capacity.journal import Entry, Journal, changes_within
from capacity.promotion import Phase, Promotion, elapsed
from capacity.retrospective.frames import rows_of
from capacity.retrospective.incidents import Incident

if TYPE_CHECKING:
    import pandas as pd

LATE = timedelta(minutes=5)  # a switch thrown later than this after its planned time is called late
RESTORED_LATE = timedelta(minutes=15)
BEYOND = 1.05  # a limiter counts in its own way: a little above its limit is none
MATERIAL = 0.05  # of a service's forecast peak: what eases it less leaves its actual as it is
_FAILED = re.compile(r"\b(fail|fails|failed|failure|unsuccessful)\b|失败|未通过", re.IGNORECASE)
_PASSED = re.compile(r"\b(pass|passed|ok|succeeded|successful|success)\b|成功|通过", re.IGNORECASE)
_LINK = re.compile(r"https?://|\brunbook", re.IGNORECASE)
_NOT = re.compile(r"\b(0|no|not|without|never|none)\W+(\w+\W+)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Finding:
    """One thing to look at.

    Attributes
    ----------
    kind
        Such as ``not_restored`` or ``freeze_violation``.
    says
        In words, with numbers; may quote the journal, so it is untrusted.
    at
        When; ``None`` when it is about something that did not happen.
    service, owner
        Where known.
    entry
        The journal entry's id.
    """

    kind: str
    says: str
    at: datetime | None = None
    service: str = ""
    owner: str = ""
    entry: str = ""


def find(
    journal: Journal,
    document: Mapping[str, Any],
    promotion: Promotion,
    incidents: Sequence[Incident],
    orphans: Sequence[Entry],
    *,
    capacity: "pd.DataFrame",
) -> tuple[Finding, ...]:
    """Return everything to look at in journal and limits, the most pressing first."""
    found = [
        *check_degradation(journal, document.get("degradation") or (), promotion),
        *check_changes(journal, promotion),
        *_unresolved(incidents),
        *check_limits(capacity),
        *check_drills(journal),
        *_alerts(journal, incidents),
        *_loose_ends(journal, orphans),
    ]
    return tuple(found)


def check_degradation(journal: Journal, ladder: Iterable[Mapping[str, Any]], promotion: Promotion) -> list[Finding]:
    """Return what was switched off and not restored, late, or other than planned.

    An entry's feature is its ``ref`` where that names one of the plan, else the planned feature of its service that its
    text names, else its service's only one. A ``degrade_off`` may also name its ``degrade_on`` by id.
    """
    steps = {str(step.get("feature")): step for step in ladder}
    found: list[Finding] = []
    standing: dict[str, Entry] = {}
    first_on: dict[str, Entry] = {}
    for feature, entry in _switches(journal, steps):
        if entry.kind == "degrade_on":
            standing.setdefault(feature, entry)
            first_on.setdefault(feature, entry)
        elif feature in standing:
            del standing[feature]
            found += _restored_late(feature, entry, steps)
        else:
            found.append(_about("restored_without_being_off", f"{feature} was restored but never switched off", entry))
    found += [
        Finding(
            "not_restored",
            f"{feature} is still switched off since {entry.at:%Y-%m-%d %H:%M}: the journal has no degrade_off",
            entry.at,
            entry.service or str((steps.get(feature) or {}).get("service") or ""),
            str((steps.get(feature) or {}).get("owner") or ""),
            entry.id,
        )
        for feature, entry in standing.items()
    ]
    found += _switched_late(first_on, steps, len(journal) > 0, promotion)
    order = ("not_restored", "degraded_late", "not_switched", "restored_late")
    return sorted(found, key=lambda one: order.index(one.kind) if one.kind in order else len(order))


@dataclass(frozen=True)
class SwitchedOff:
    """A service whose load a degradation took off for a while; ``ends_at`` is ``None`` when it was not restored."""

    service: str
    feature: str
    starts_at: datetime
    ends_at: datetime | None

    def touches(self, phase: Phase) -> bool:
        """Tell whether it was off in any part of a phase."""
        return self.starts_at < phase.ends_at and (self.ends_at is None or self.ends_at > phase.starts_at)


def switched_off(journal: Journal, document: Mapping[str, Any]) -> tuple[SwitchedOff, ...]:
    """Return what degradations took off which service, and when, by the journal; what they hardly eased is left out."""
    ladder = document.get("degradation") or ()
    said = document.get("services") or {}
    forecast_qps = {name: float((one.get("peak_qps") or {}).get("q50") or 0.0) for name, one in said.items()}
    steps = {str(step.get("feature")): step for step in ladder}
    spans: list[tuple[str, datetime, datetime | None]] = []
    standing: dict[str, datetime] = {}
    for feature, entry in _switches(journal, steps):
        if entry.kind == "degrade_on":
            standing.setdefault(feature, entry.at)
        elif feature in standing:
            spans.append((feature, standing.pop(feature), entry.at))
    spans += [(feature, begin, None) for feature, begin in standing.items()]
    return tuple(
        SwitchedOff(str(service), feature, begin, end)
        for feature, begin, end in spans
        for service, saved in (steps.get(feature, {}).get("saves_qps") or {}).items()
        if saved >= MATERIAL * forecast_qps.get(service, 0.0)
    )


def _switches(journal: Journal, steps: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Entry]]:
    feature_of: dict[str, str] = {}
    for entry in journal.of_kind("degrade_on", "degrade_off"):
        feature_of[entry.id] = feature_of.get(entry.ref or "") or _feature(entry, steps)
        yield feature_of[entry.id], entry


def check_changes(journal: Journal, promotion: Promotion) -> list[Finding]:
    """Return the changes inside the freeze that no exception covers; one granted only afterwards is said to be so."""
    freeze = promotion.freeze
    if freeze is None:
        return []
    found = []
    for change, grant in changes_within(journal, freeze.starts_at, freeze.ends_at):
        if grant is None:
            found.append(
                _about("freeze_violation", f"changed inside the freeze without exception: {change.text}", change)
            )
            continue
        minutes = elapsed(change.at, grant.at).total_seconds() / 60.0
        if minutes > 0:
            says = f"changed inside the freeze, excepted only {minutes:.0f} min later: {change.text}"
            found.append(_about("exception_afterwards", says, change))
    return found


def check_limits(capacity: "pd.DataFrame") -> list[Finding]:
    """Return services that let in more than their planned limit without turning anything away."""
    return [
        Finding(
            "limit_not_in_force",
            f"{row['service']}: {row['peak_qps']:.4g}/s came, {row['peak_of_limit']:.0%} of its planned cluster limit, "
            "and nothing was turned away: the limit was not in force",
            service=row["service"],
        )
        for row in rows_of(capacity)
        if row["peak_of_limit"] > BEYOND and row["rejected"] == 0 and row["judged_by"] == "peak"
    ]


def check_drills(journal: Journal) -> list[Finding]:
    """Return drills that failed, and those whose entry does not say how they went."""
    outcomes = [(entry, drill_outcome(entry.text)) for entry in journal.of_kind("drill")]
    failed = [_about("failed_drill", f"drill failed: {e.text}", e) for e, outcome in outcomes if outcome == "failed"]
    unknown = [
        _about("drill_without_outcome", f"the entry does not say whether the drill passed or failed: {e.text}", e)
        for e, outcome in outcomes
        if outcome == "unknown"
    ]
    return failed + unknown


def drill_outcome(text: str) -> str:
    """Read a drill's outcome from its text: ``failed``, ``passed`` or ``unknown``; a failure outweighs a success.

    Examples
    --------
    >>> [drill_outcome(t) for t in ("failed: took 9 min", "zone failover passed", "passed, no failure", "ran at 02:00")]
    ['failed', 'passed', 'passed', 'unknown']
    >>> drill_outcome("not passed")
    'failed'
    """
    for match in _FAILED.finditer(text):
        if not _NOT.search(text[: match.start()]):
            return "failed"
    passes = [_NOT.search(text[: match.start()]) is None for match in _PASSED.finditer(text)]
    if passes:
        return "passed" if all(passes) else "failed"
    return "unknown"


def findings_frame(findings: Sequence[Finding], timezone: str) -> "pd.DataFrame":
    """Return one row a finding."""
    import pandas as pd

    columns = ["kind", "says", "at", "service", "owner", "entry"]
    frame = pd.DataFrame([[getattr(one, c) for c in columns] for one in findings], columns=columns, dtype=object)
    frame["at"] = pd.to_datetime(frame["at"], utc=True).dt.as_unit("us").dt.tz_convert(timezone)
    return frame.astype({column: "str" for column in columns if column != "at"})


def _feature(entry: Entry, steps: Mapping[str, Mapping[str, Any]]) -> str:
    if entry.ref in steps:
        return str(entry.ref)
    own = [feature for feature, step in steps.items() if entry.service is None or step.get("service") == entry.service]
    named = [f for f in own if re.search(rf"(?<!\w){re.escape(f)}(?!\w)", entry.text, re.IGNORECASE)]
    if len(named) == 1:
        return named[0]
    if not named and entry.service is not None and len(own) == 1:
        return own[0]
    return entry.ref or entry.service or entry.text or entry.id


def _switched_late(
    first_on: Mapping[str, Entry], steps: Mapping[str, Mapping[str, Any]], kept: bool, promotion: Promotion
) -> list[Finding]:
    found = []
    for feature, step in steps.items():
        planned = _moment(step.get("on_at"), promotion)
        entry = first_on.get(feature)
        if planned is None or (entry is None and not kept):
            continue
        if entry is None:
            says = f"{feature} was to be switched off at {planned:%Y-%m-%d %H:%M}; the journal has no degrade_on"
            owner, service = str(step.get("owner") or ""), str(step.get("service") or "")
            found.append(Finding("not_switched", says, None, service, owner))
        elif entry.at - planned > LATE:
            minutes = (entry.at - planned).total_seconds() / 60.0
            found.append(_about("degraded_late", f"{feature} was switched off {minutes:.0f} min after its time", entry))
    return found


def _restored_late(feature: str, entry: Entry, steps: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    planned = _moment((steps.get(feature) or {}).get("off_at"), None)
    if planned is None or entry.at - planned <= RESTORED_LATE:
        return []
    minutes = (entry.at - planned).total_seconds() / 60.0
    return [_about("restored_late", f"{feature} was restored {minutes:.0f} min after its time", entry)]


def _unresolved(incidents: Sequence[Incident]) -> list[Finding]:
    return [
        _about("unresolved_incident", f"no resolved entry: {incident.start.text}", incident.start)
        for incident in incidents
        if incident.at("resolved") is None
    ]


def _alerts(journal: Journal, incidents: Sequence[Incident]) -> list[Finding]:
    named = {name for incident in incidents for name in (incident.start.id, incident.start.ref)}
    return [
        _about("alert_without_runbook", f"the alert names no runbook: {entry.text}", entry)
        for entry in journal.of_kind("alert")
        # A ref that names the incident says what happened, not what to do.
        if (not (entry.ref or "").strip() or entry.ref in named) and not _LINK.search(entry.text)
    ]


def _loose_ends(journal: Journal, orphans: Sequence[Entry]) -> list[Finding]:
    found = [
        _about("unlinked_entry", f"{entry.kind} belongs to no incident, or lies before its start", entry)
        for entry in orphans
    ]
    return found + [Finding("torn_line", f"a line of the journal was cut short: {torn.where}") for torn in journal.torn]


def _about(kind: str, says: str, entry: Entry) -> Finding:
    return Finding(kind, says, entry.at, entry.service or "", entry.who or "", entry.id)


def _moment(value: object, _: Promotion | None) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
