"""Generated parts inside a file that a person edits: made anew, and never over what was written by hand."""

import hashlib
import re
from dataclasses import dataclass

from capacity.operations.runbook import Runbook

_BEGIN = re.compile(r"^<!-- capacity:begin (?P<name>[a-z ]+) sha256=(?P<digest>[0-9a-f]{16}) -->$")
_END = "<!-- capacity:end -->"


@dataclass(frozen=True)
class Woven:
    """A file with its generated parts made anew.

    Attributes
    ----------
    text
        What to write.
    kept
        Parts that a person changed: left as they are.
    gone
        Parts that a person took out: not put back.
    torn
        Parts whose end is missing: left as they are.
    """

    text: str
    kept: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()


def weave(runbook: Runbook, existing: str | None) -> Woven:
    """Put a runbook's parts into the file that is there, or make the file.

    Parameters
    ----------
    runbook
        As generated.
    existing
        What the file holds; None when there is none.

    Examples
    --------
    >>> book = Runbook("a.md", "A", {"trigger": "- one"})
    >>> text = weave(book, None).text
    >>> weave(book, text + "My note").text.endswith("My note")
    True
    >>> weave(Runbook("a.md", "A", {"trigger": "- two"}), text.replace("- one", "- mine")).kept
    ('trigger',)
    """
    if existing is None:
        parts = [f"# {runbook.title}\n", "Write between the generated parts; what you change inside one is kept.\n"]
        parts += [f"## {name.capitalize()}\n\n{_block(name, text)}\n" for name, text in runbook.blocks.items()]
        return Woven("\n".join(parts))
    return _renew(runbook, existing)


def has_generated(text: str) -> bool:
    """Tell whether a file holds a generated part.

    Examples
    --------
    >>> has_generated(weave(Runbook("a.md", "A", {"trigger": "- one"}), None).text), has_generated("mine")
    (True, False)
    """
    return any(_BEGIN.match(line.strip()) for line in text.split("\n"))


def _renew(runbook: Runbook, existing: str) -> Woven:
    lines = existing.split("\n")
    out: list[str] = []
    kept: list[str] = []
    torn: list[str] = []
    seen: set[str] = set()
    place = 0
    while place < len(lines):
        begin = _BEGIN.match(lines[place].strip())
        if begin is None:
            out.append(lines[place])
            place += 1
            continue
        end = next((i for i in range(place + 1, len(lines)) if _stops(lines[i])), None)
        name = begin["name"]
        seen.add(name)
        if end is None or lines[end].strip() != _END:
            torn.append(name)
            out.append(lines[place])
            place += 1
            continue
        inside = "\n".join(lines[place + 1 : end])
        if _digest(inside) != begin["digest"]:
            kept.append(name)
            out += lines[place : end + 1]
        elif name in runbook.blocks:
            out += _block(name, runbook.blocks[name]).split("\n")
        else:
            out += lines[place : end + 1]
        place = end + 1
    gone = tuple(name for name in runbook.blocks if name not in seen)
    return Woven("\n".join(out), tuple(kept), gone, tuple(torn))


def _stops(line: str) -> bool:
    return line.strip() == _END or _BEGIN.match(line.strip()) is not None


def _block(name: str, text: str) -> str:
    return f"<!-- capacity:begin {name} sha256={_digest(text)} -->\n{text}\n{_END}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.replace("\r", "").encode()).hexdigest()[:16]
