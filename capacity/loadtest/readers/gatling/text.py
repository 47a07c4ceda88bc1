"""Gatling's log as text, 2.0 to 3.12: records of cells between tabs, whose places changed from version to version.

A request is found by its shape: two times, or four, before OK or KO, and its name before the times.

References
----------
.. [1] Gatling, ``simulation.log`` of 2.0 (scenario, user, REQUEST, groups, name, four times), 2.2 to 3.3 (REQUEST,
   scenario or user, groups, name, two times) and 3.4 to 3.12 (REQUEST, groups, name, two times).
"""

from __future__ import annotations

import re
from pathlib import Path

from capacity.errors import Problem
from capacity.loadtest.readers.files import BREAKS, lines_of
from capacity.loadtest.readers.gatling.events import Events

_RUN = re.compile(
    rb"^(?:ASSERTION\t[^\n]*\n|[ \r]*\n)*(?:RUN(?:\t[^\t\n]*){2,3}\t\d+\t|[^\t\n]+\t[^\t\n]*\tRUN\t\d+\t)"
)
_RECORD = re.compile(rb"^(?:REQUEST\t[^\n]*\t(?:OK|KO)\b|USER\t[^\n]*\t(?:START|END)\t\d)")
_KINDS = ("REQUEST", "USER", "GROUP", "RUN", "ASSERTION", "ERROR", "ACTION")
_LONGEST_NUMBER = 19
_MOST_SHOWN = 20


def recognizes(head: bytes) -> bool:
    """Whether a file begins with a run header or, where that was cut off, with a record."""
    head = head.removeprefix(b"\xef\xbb\xbf")
    return _RUN.match(head) is not None or _RECORD.match(head) is not None


def read_text(path: Path, events: Events) -> None:
    """Count the records of one file; what cannot be read is noted in ``events.broken``."""
    reader = _Reader(path.name, events)
    number = 0
    try:
        for line in lines_of(path):
            number += 1
            if line and not line.isspace():
                reader.line(number, line)
    except BREAKS as error:
        said = str(error) or type(error).__name__
        events.broken.append(
            Problem(f"{path.name} after line {number}", said, "a whole file", "what stands before was read")
        )
    reader.close()


class _Reader:
    def __init__(self, name: str, events: Events) -> None:
        self.name = name
        self.events = events
        self.bad = 0
        # Number of cells to the places of name, begin, end and status.
        self._places: dict[int, tuple[int, int, int, int]] = {}
        self._handlers = {
            "REQUEST": self._request,
            "USER": self._user,
            "GROUP": self._group,
            "RUN": self._run,
            "ERROR": self._error,
            "ASSERTION": self._nothing,
            "ACTION": self._nothing,
        }

    def line(self, number: int, line: str) -> None:
        cells = line.split("\t")
        kind = cells[0]
        if kind not in self._handlers:
            kind = cells[2] if len(cells) > 2 else ""
        handler = self._handlers.get(kind)
        if handler is None or not handler(cells):
            self._broken(number, line)

    def _broken(self, number: int, line: str) -> None:
        self.bad += 1
        if self.bad <= _MOST_SHOWN:
            where = f"{self.name}:{number}"
            self.events.broken.append(Problem(where, repr(line[:60]), "a record of Gatling, cells between tabs"))

    def close(self) -> None:
        if self.bad > _MOST_SHOWN:
            more = f"{self.bad - _MOST_SHOWN} more lines that are no records"
            self.events.broken.append(Problem(self.name, more, "none"))

    def _request(self, cells: list[str]) -> bool:
        places = self._places.get(len(cells))
        if places is None or cells[places[3]] not in ("OK", "KO"):
            places = _places(cells)
            if places is None:
                return False
            self._places[len(cells)] = places
        name, begin, end, status = places
        start_ms, end_ms = _whole(cells[begin]), _whole(cells[end])
        if start_ms is None or end_ms is None:
            return False
        self.events.request(cells[name], start_ms, end_ms, failed=cells[status] == "KO")
        return True

    def _user(self, cells: list[str]) -> bool:
        came = "START" in cells[2:5]
        if not came and "END" not in cells[2:5]:
            return False
        times = [t for t in map(_whole, cells[cells.index("START" if came else "END", 2) + 1 :]) if t is not None]
        if not times:
            return False
        # Where both times are written, a start has its own first and an end its own last.
        self.events.user(times[0] if came else times[-1], came=came)
        return True

    def _run(self, cells: list[str]) -> bool:
        self.events.runs += 1
        version = cells[-1].strip()
        if re.fullmatch(r"\d+\.\d[\w.-]*", version):
            self.events.versions.append(version)
        return True

    def _group(self, cells: list[str]) -> bool:
        self.events.groups += 1
        return cells[-1].strip() in ("OK", "KO")

    def _error(self, cells: list[str]) -> bool:  # noqa: ARG002
        self.events.errors += 1
        return True

    def _nothing(self, cells: list[str]) -> bool:  # noqa: ARG002
        return True


def _places(cells: list[str]) -> tuple[int, int, int, int] | None:
    """Find name, begin, end and status of a request by its shape."""
    for status in range(3, len(cells)):
        if cells[status] not in ("OK", "KO"):
            continue
        run = 0
        while status - 1 - run > 0 and _whole(cells[status - 1 - run]) is not None:
            run += 1
        if run < 2:
            continue
        four = cells[status - 4 : status]
        # A name may be a number: four times are of one length and in order, and leave room for a name.
        times = 4 if run >= 4 and len({len(c) for c in four}) == 1 and four == sorted(four) and status >= 6 else 2
        return (status - times - 1, status - times, status - 1, status)
    return None


def _whole(cell: str) -> int | None:
    return int(cell) if cell.isascii() and cell.isdigit() and len(cell) <= _LONGEST_NUMBER else None
