"""What tracking writes into the journal: an alert when something goes out of order, a note when it is over."""

from collections.abc import Sequence
from datetime import datetime

from capacity.journal import Entry, Journal, new_entry
from capacity.tracking.anomalies import Anomaly

AUTHOR = "capacity track"
_OVER = "over: "


def entries_of(
    anomalies: Sequence[Anomaly], journal: Journal, *, now: datetime, timezone: str, watched: bool = True
) -> tuple[Entry, ...]:
    """Return what is new since the journal was last written.

    The journal is the memory: an alert of ours without a note that ends it is still open, also after a restart.

    Parameters
    ----------
    anomalies
        All that is out of order now.
    journal
        What was written down.
    now, timezone
        The moment, and the workspace's zone.
    watched
        Whether anything was seen; if not, nothing is said to be over.
    """
    open_now = open_alerts(journal)
    new = [
        new_entry(
            "alert", f"{one.kind}: {one.says}", timezone=timezone, at=now, recorded_at=now, service=one.service,
            who=AUTHOR, ref=one.runbook,
        )
        for one in anomalies if one.key not in open_now
    ]  # fmt: skip
    if not watched:
        return tuple(new)
    still = {one.key for one in anomalies}
    over = [
        new_entry(
            "note", f"{_OVER}{kind}", timezone=timezone, at=now, recorded_at=now, service=service, who=AUTHOR,
            ref=alert.id,
        )
        for (kind, service), alert in open_now.items() if (kind, service) not in still
    ]  # fmt: skip
    return (*new, *over)


def open_alerts(journal: Journal) -> dict[tuple[str, str], Entry]:
    """Return our alerts that nothing has ended yet, by kind and service."""
    ended = {one.ref for one in journal.of_kind("note") if one.who == AUTHOR and one.text.startswith(_OVER)}
    ours = [one for one in journal.of_kind("alert") if one.who == AUTHOR and one.id not in ended]
    return {(one.text.partition(":")[0], one.service or ""): one for one in ours}
