"""Incidents as the journal tells them: when each began, was noticed, taken up and over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from capacity.journal import Entry, Journal

if TYPE_CHECKING:
    import pandas as pd

STEPS = ("detected", "acknowledged", "mitigated", "resolved")
# What each mean time runs from and to. Published definitions differ in where the clock of acknowledging and repairing
# starts; here both follow the reader's question: how long did nobody act, how long did users suffer.
MEAN_TIMES = {
    "mttd": ("starts_at", "detected", "mean time to detect, from the start"),
    "mtta": ("detected", "acknowledged", "mean time to acknowledge, from the detection"),
    "mttm": ("starts_at", "mitigated", "mean time to mitigate, from the start"),
    "mttr": ("starts_at", "resolved", "mean time to resolve, from the start"),
}


@dataclass(frozen=True)
class Incident:
    """One incident.

    Attributes
    ----------
    start
        Its ``incident_start`` entry.
    steps
        The first entry of each of ``STEPS`` that belongs to it.
    """

    start: Entry
    steps: Mapping[str, Entry]

    def at(self, step: str) -> datetime | None:
        """Return when a step was taken; ``None`` if the journal does not say, or says a time before the start."""
        if step == "starts_at":
            return self.start.at
        entry = self.steps.get(step)
        return entry.at if entry is not None and entry.at >= self.start.at else None


def link_incidents(journal: Journal) -> tuple[tuple[Incident, ...], tuple[Entry, ...]]:
    """Link what was detected, acknowledged, mitigated and resolved to the incident it belongs to.

    An entry belongs to the incident whose id, or whose own ``ref``, its ``ref`` names; without a ``ref`` to the latest
    incident of its service that had begun and was not resolved, or to the only one open where it names no service.

    Returns
    -------
    incidents
        In the order of their starts.
    orphans
        Entries that belong to no incident, and incidents' steps that lie before their start.

    Examples
    --------
    >>> from capacity.journal import new_entry
    >>> def said(kind, at, **more): return new_entry(kind, at=f"2026-11-10T{at}+08:00", timezone="UTC", **more)
    >>> journal = Journal((said("incident_start", "20:01", service="a"), said("resolved", "20:31", service="a")))
    >>> incidents, orphans = link_incidents(journal)
    >>> (incidents[0].at("resolved") - incidents[0].at("starts_at")).seconds, orphans
    (1800, ())
    """
    starts = journal.of_kind("incident_start")
    steps: dict[str, dict[str, Entry]] = {start.id: {} for start in starts}
    orphans = []
    for entry in journal.of_kind(*STEPS):
        home = _home_of(entry, starts, steps)
        if home is None or entry.at < home.at:
            orphans.append(entry)
        else:
            steps[home.id].setdefault(entry.kind, entry)
    return tuple(Incident(start, steps[start.id]) for start in starts), tuple(orphans)


def _home_of(entry: Entry, starts: Sequence[Entry], steps: Mapping[str, Mapping[str, Entry]]) -> Entry | None:
    named = [start for start in starts if entry.ref and entry.ref in (start.id, start.ref)]
    if named:
        return named[-1]
    unresolved = [start for start in starts if start.at <= entry.at and "resolved" not in steps[start.id]]
    if entry.service is None:
        return unresolved[0] if len(unresolved) == 1 else None
    same = [start for start in unresolved if start.service == entry.service]
    return same[-1] if same else None


def mean_times(incidents: Sequence[Incident]) -> "pd.DataFrame":
    """Return the mean times with the number of incidents each rests on.

    Returns
    -------
    DataFrame
        One row a measure: ``measure, minutes, longest_minutes, n, incidents, definition``. An incident whose
        journal lacks one of the two times is not in ``n``: an incident never resolved makes MTTR a floor.
    """
    import pandas as pd

    rows = []
    for measure, (begin, end, definition) in MEAN_TIMES.items():
        pairs = [(incident.at(begin), incident.at(end)) for incident in incidents]
        spans = [(b - a).total_seconds() / 60.0 for a, b in pairs if a is not None and b is not None and b >= a]
        mean, longest = (sum(spans) / len(spans), max(spans)) if spans else (None, None)
        rows.append((measure, mean, longest, len(spans), len(incidents), definition))
    frame = pd.DataFrame(rows, columns=["measure", "minutes", "longest_minutes", "n", "incidents", "definition"])
    return frame.astype({"minutes": float, "longest_minutes": float})


def incident_frame(incidents: Sequence[Incident], timezone: str) -> "pd.DataFrame":
    """Return one row an incident: ``id, service, text, starts_at`` and the time of each step, empty when unknown."""
    import pandas as pd

    rows = [[i.start.id, i.start.service, i.start.text, i.start.at, *(i.at(step) for step in STEPS)] for i in incidents]
    times = ["starts_at", *STEPS]
    frame = pd.DataFrame(rows, columns=["id", "service", "text", *times], dtype=object)
    for column in times:
        frame[column] = pd.to_datetime(frame[column], utc=True).dt.as_unit("us").dt.tz_convert(timezone)
    return frame.astype({"id": "str", "service": "str", "text": "str"})
