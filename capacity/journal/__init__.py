"""The append-only log of a promotion: who saw, decided and did what, and when.

One JSON object a line, never changed: a correction is a further line that names the one it corrects, and is
applied when the log is read. Lines are appended under a lock in one write and forced to the disk, so that
concurrent writers and a kill in the middle cost at most the line that was being written.
"""

from capacity.journal.append import append_entries, append_entry
from capacity.journal.changes import Terms, changes_within, exception_terms
from capacity.journal.entry import KINDS, Entry, format_entry, new_entry
from capacity.journal.log import Journal, parse_journal, read_journal

__all__ = [
    "KINDS",
    "Entry",
    "Journal",
    "Terms",
    "append_entries",
    "append_entry",
    "changes_within",
    "exception_terms",
    "format_entry",
    "new_entry",
    "parse_journal",
    "read_journal",
]
