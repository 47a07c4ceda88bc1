"""Appending to a journal: one lock, one write, on the disk before it returns."""

import fcntl
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from capacity.errors import InputError
from capacity.journal.entry import Entry, check_entry, format_entry
from capacity.journal.log import check_place, parse_line


def append_entry(path: str | Path, entry: Entry) -> bool:
    """Append one entry; see :func:`append_entries`. Returns whether it was new."""
    return append_entries(path, [entry]) == 1


def append_entries(path: str | Path, entries: Iterable[Entry]) -> int:
    """Append entries under the journal's lock and force them to the disk before returning.

    Parameters
    ----------
    path
        The journal, made with its folder when missing.
    entries
        What to append; what is there already, word for word, is not written twice.

    Returns
    -------
    int
        How many were new.

    Raises
    ------
    InputError
        If an id is taken by another entry, or ``corrects`` names none; nothing is written then.

    Notes
    -----
    ``flock`` on the file itself: released by the kernel when the writer dies, so no lock file can wedge the log. A last
    line without an end, left by a kill in the middle, stays as it is and the next entry starts on a line of its own.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        there = _read_all(handle)
        fresh = _fresh_entries(there, list(entries), str(path))
        if not fresh:
            return 0
        start = b"" if not there or there.endswith(b"\n") else b"\n"
        _write_all(handle, start + b"".join(format_entry(entry).encode() + b"\n" for entry in fresh))
        os.fsync(handle)
    finally:
        os.close(handle)
    if not there:
        _sync_folder(path.parent)
    return len(fresh)


def _fresh_entries(content: bytes, entries: Sequence[Entry], where: str) -> list[Entry]:
    known: dict[str, Entry] = {}
    for line in content.split(b"\n"):
        try:
            entry = check_entry(parse_line(line.decode("utf-8"), where), where, "UTC")
        except (InputError, UnicodeDecodeError):
            continue  # reading reports it; an append must not be stopped by it
        known[entry.id] = entry
    fresh = []
    for given in entries:
        entry = check_entry(given.to_document(), f"{where} {given.id}", "UTC")
        there = known.get(entry.id)
        if there is not None and replace(there, recorded_at=entry.recorded_at) == entry:
            continue
        check_place(entry, known, where)
        known[entry.id] = entry
        fresh.append(given)
    return fresh


def _read_all(handle: int) -> bytes:
    return b"".join(iter(lambda: os.read(handle, 1 << 20), b""))


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
