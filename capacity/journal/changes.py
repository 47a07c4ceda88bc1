"""Changes inside a freeze, and the exceptions that cover them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from capacity.journal.entry import Entry
from capacity.journal.log import Journal

_UNTIL = "until "


@dataclass(frozen=True)
class Terms:
    """What the text of an exception grants.

    Attributes
    ----------
    until
        When it ends; None where the text does not say: then it is for one change.
    kind
        Of which kind of change; empty where the text does not say.
    reason
        In words.
    """

    until: datetime | None
    kind: str
    reason: str

    def to_text(self) -> str:
        """Return the text of an entry that grants this.

        Examples
        --------
        >>> Terms(datetime(2026, 11, 10, 14, tzinfo=UTC), "release", "price fix").to_text()
        'until 2026-11-10T14:00:00+00:00, release: price fix'
        """
        until = "" if self.until is None else f"{_UNTIL}{self.until.isoformat()}, "
        return f"{until}{self.kind}: {self.reason}"


def exception_terms(entry: Entry) -> Terms:
    """Read what an exception grants; a text that was written freely is its reason.

    Examples
    --------
    >>> from capacity.journal import new_entry
    >>> signed = "until 2026-11-10T22:00+08:00, release: price fix"
    >>> terms = exception_terms(new_entry("exception", signed, at="2026-11-10T20:00Z", timezone="UTC"))
    >>> terms.until.isoformat(), terms.kind, terms.reason
    ('2026-11-10T22:00:00+08:00', 'release', 'price fix')
    """
    says, comma, rest = entry.text.removeprefix(_UNTIL).partition(", ")
    if not comma or not entry.text.startswith(_UNTIL):
        return Terms(None, "", entry.text)
    try:
        until = datetime.fromisoformat(says)
    except ValueError:
        return Terms(None, "", entry.text)
    if until.tzinfo is None:
        until = until.replace(tzinfo=entry.at.tzinfo)
    kind, colon, reason = rest.partition(": ")
    return Terms(until, kind, reason) if colon and " " not in kind else Terms(until, "", rest)


def changes_within(journal: Journal, starts_at: datetime, ends_at: datetime) -> list[tuple[Entry, Entry | None]]:
    """Return every change inside a span with the exception that covers it, or None.

    An exception covers a change that one of them names by ``ref``. Without such a link, one with an end covers every
    change of its service (of any, where it names none) from its time to its end; one without an end covers the first
    such change at or after it. None covers a change after its end.
    """
    exceptions = [(entry, exception_terms(entry).until) for entry in journal.of_kind("exception")]
    exceptions.sort(key=lambda pair: pair[1] is None)  # what is for one change is kept for one that nothing else covers
    spent: set[str] = set()
    found: list[tuple[Entry, Entry | None]] = []
    for change in journal.of_kind("change"):
        if not _utc(starts_at) <= _utc(change.at) < _utc(ends_at):
            continue
        running = [(e, until) for e, until in exceptions if until is None or _utc(change.at) < _utc(until)]
        linked = [e for e, _ in running if e.ref == change.id or (change.ref and change.ref in (e.id, e.ref))]
        fitting = [
            e
            for e, until in running
            if not e.ref
            and (until is not None or e.id not in spent)
            and _utc(e.at) <= _utc(change.at)
            and e.service in (None, change.service)
        ]
        grant = next(iter([*linked, *fitting]), None)
        if grant is not None:
            spent.add(grant.id)
        found.append((change, grant))
    return found


def _utc(moment: datetime) -> datetime:
    # Python compares two times of one zone by the clock on the wall, which a clock change sets back.
    return moment.astimezone(UTC)
