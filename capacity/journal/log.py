"""Reading a journal: every line checked, corrections applied, what a day did not know hidden."""

import fcntl
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, overload
from zoneinfo import ZoneInfo

from capacity.errors import InputError, Problem, did_you_mean
from capacity.journal.entry import Entry, check_entry, refusal, short

if TYPE_CHECKING:
    import pandas as pd

_KEYS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Journal(Sequence[Entry]):
    """What a journal says once its corrections are applied, in the order of what happened.

    Attributes
    ----------
    entries
        Ordered by ``at``. A corrected entry keeps its id, so that what refers to it still does.
    superseded
        What was written and later corrected, as it was written.
    torn
        Lines that a kill or a full disk cut short: kept in the file, not read.
    timezone
        The zone of the times.

    Examples
    --------
    >>> Journal(timezone="Asia/Shanghai").of_kind("incident_start")
    ()
    """

    entries: tuple[Entry, ...] = ()
    superseded: tuple[Entry, ...] = ()
    torn: tuple[Problem, ...] = ()
    timezone: str = "UTC"

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Entry, ...]: ...
    def __getitem__(self, index: int | slice) -> Entry | tuple[Entry, ...]:
        return self.entries[index]

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        torn = f", {len(self.torn)} torn lines" if self.torn else ""
        return f"Journal({len(self.entries)} entries, {len(self.superseded)} corrected{torn})"

    def of_kind(self, *kinds: str) -> tuple[Entry, ...]:
        """Return the entries of these kinds, in the order of what happened."""
        return tuple(entry for entry in self.entries if entry.kind in kinds)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row an entry, times in the journal's zone."""
        import pandas as pd

        rows = [[getattr(entry, key) for key in _KEYS] for entry in self.entries]
        frame = pd.DataFrame(rows, columns=list(_KEYS), dtype=object)
        for key in ("at", "recorded_at"):
            frame[key] = pd.to_datetime(frame[key], utc=True).dt.as_unit("us").dt.tz_convert(self.timezone)
        text = [key for key in _KEYS if key not in ("at", "recorded_at")]
        return frame.astype(dict.fromkeys(text, "str"))


def read_journal(path: str | Path, *, timezone: str, as_of: date | None = None) -> Journal:
    """Read a journal as it was known before a day, corrections applied.

    Parameters
    ----------
    path
        The journal; one that does not exist is empty.
    timezone
        The workspace's zone: for times without an offset, and of the times returned.
    as_of
        Hides entries that happened or were recorded at or after this day's midnight.

    Raises
    ------
    InputError
        Naming every line that breaks the contract. Torn lines do not: they are reported in ``torn``.
    """
    path = Path(path)
    content = b""
    if path.is_file():
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # waits out a writer, so that its half-written line is not called torn
            content = file.read()
    return parse_journal(content, timezone=timezone, as_of=as_of, where=str(path))


def parse_journal(content: bytes, *, timezone: str, as_of: date | None = None, where: str = "journal") -> Journal:
    """Read a journal's bytes; see :func:`read_journal`."""
    entries: dict[str, Entry] = {}
    torn: list[Problem] = []
    problems: list[Problem] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        place = f"{where}:{number}"
        text = line.replace(b"\0", b"").decode("utf-8", errors="replace").strip()
        if not text:
            continue
        try:
            entry = check_entry(parse_line(text, place), place, timezone)
            check_place(entry, entries, place)
        except InputError as error:
            (torn if is_torn(text) else problems).extend(error.problems)
        else:
            entries[entry.id] = entry
    if problems:
        raise InputError(f"{where} breaks the journal's contract", problems=problems)
    limit = None if as_of is None else datetime.combine(as_of, time(), tzinfo=ZoneInfo(timezone))
    applied, superseded = _apply_corrections(entries, limit)
    return Journal(applied, superseded, tuple(torn), timezone)


def _apply_corrections(
    entries: Mapping[str, Entry], limit: datetime | None
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    standing: dict[str, Entry] = {}
    superseded: list[Entry] = []
    root: dict[str, str] = {}
    for entry in entries.values():
        root[entry.id] = entry.id if entry.corrects is None else root[entry.corrects]
        if limit is not None and (entry.at >= limit or entry.recorded_at >= limit):
            continue
        if root[entry.id] in standing:
            superseded.append(standing[root[entry.id]])
        standing[root[entry.id]] = replace(entry, id=root[entry.id])
    return tuple(sorted(standing.values(), key=lambda entry: entry.at.astimezone(UTC))), tuple(superseded)


def parse_line(text: str, place: str) -> Mapping[str, object]:
    """Read one line as a JSON object, refusing what JSON does not know and keys given twice."""

    def refuse_constant(name: str) -> None:
        raise ValueError(f"{name} is not a value of JSON")

    def refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
        value = dict(pairs)
        if len(value) < len(pairs):
            raise ValueError("a key is given twice")
        return value

    try:
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=refuse_twins)
    except (ValueError, RecursionError) as error:
        raise refusal(place, f"{short(text)} ({error})", "one JSON object a line") from None
    if not isinstance(value, dict):
        raise refusal(place, short(text), "one JSON object a line")
    return value


def check_place(entry: Entry, known: Mapping[str, Entry], place: str) -> None:
    """Refuse an id that is taken and a correction of nothing."""
    if entry.id in known:
        raise refusal(
            f"{place} id", short(entry.id), "an id that no other entry has", "a correction names it in corrects"
        )
    if entry.corrects is not None and entry.corrects not in known:
        raise refusal(
            f"{place} corrects", short(entry.corrects), "an earlier entry's id", did_you_mean(entry.corrects, known)
        )


def is_torn(text: str) -> bool:
    """Tell whether the line begins an object that it does not end, as a write cut short leaves it."""
    depth, quoted, escaped = 0, False, False
    for letter in text:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        else:
            depth += (letter == "{") - (letter == "}")
    return text.startswith("{") and (quoted or depth > 0)
