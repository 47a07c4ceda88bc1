"""Changes inside a freeze, and the exceptions that cover them."""

from datetime import datetime

from capacity.journal.entry import Entry
from capacity.journal.log import Journal


def changes_within(journal: Journal, starts_at: datetime, ends_at: datetime) -> list[tuple[Entry, Entry | None]]:
    """Return every change inside a span with the exception that covers it, or None.

    An exception covers a change that one of them names by ``ref``; without such a link, the first change of its service
    (or of any, where it names none) at or after it.
    """
    exceptions = list(journal.of_kind("exception"))
    spent: set[str] = set()
    found: list[tuple[Entry, Entry | None]] = []
    for change in journal.of_kind("change"):
        if not starts_at <= change.at < ends_at:
            continue
        linked = [e for e in exceptions if e.ref == change.id or (change.ref and change.ref in (e.id, e.ref))]
        fitting = [
            e
            for e in exceptions
            if e.id not in spent and not e.ref and e.at <= change.at and e.service in (None, change.service)
        ]
        grant = next(iter([*linked, *fitting]), None)
        if grant is not None:
            spent.add(grant.id)
        found.append((change, grant))
    return found
