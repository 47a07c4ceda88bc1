"""The files exported from plans: written with the difference to what was there, never over a person's change."""

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capacity.document import read_text, write_text
from capacity.errors import InputError, Problem
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.export import Export

RECORD = "export.json"


@dataclass(frozen=True, repr=False, eq=False)
class Written(Result):
    """What writing an export changed.

    Attributes
    ----------
    folder
        Where the files are.
    states
        By file name: ``new``, ``same``, ``changed`` or ``removed``.
    difference
        From what was exported before, as a unified difference; empty where nothing was or nothing changed.
    """

    folder: Path
    states: Mapping[str, str]
    difference: str

    def summary(self) -> str:
        """Return one line: where, and what became of each file."""
        return f"{self.folder}: " + ", ".join(f"{name} {state}" for name, state in self.states.items())

    def to_frame(self) -> "pd.DataFrame":
        """Return one row a file."""
        import pandas as pd

        return pd.DataFrame(list(self.states.items()), columns=["file", "state"])


def write_export(folder: Path, export: "Export", *, force: bool = False) -> Written:
    """Write the files of one target, each whole, and a record of what was written.

    Parameters
    ----------
    folder
        Made when missing.
    export
        What to write.
    force
        Write over files that a person changed; those are kept beside as ``NAME.before``.

    Raises
    ------
    InputError
        If files were changed after they were exported, naming all of them; nothing is written then.
    """
    known = _recorded(folder)
    before = {name: _content(folder / name) for name in (*export.files, *known)}
    changed_by_hand = {
        name: text
        for name, text in before.items()
        if text is not None and text != export.files.get(name) and _digest(text) != known.get(name)
    }
    if changed_by_hand and not force:
        problems = [
            Problem(str(folder / name), "a file that was not exported as it stands", "the file as it was exported")
            for name in changed_by_hand
        ]
        remedy = "take the change up into the plan or move the file away; --force writes over it and keeps NAME.before"
        raise InputError(
            f"{export.target} is not exported: a person's change would be lost", problems=problems, remedy=remedy
        )
    for name, text in changed_by_hand.items():
        write_text(folder / f"{name}.before", text)
    for name, text in export.files.items():
        if text != before[name]:
            write_text(folder / name, text)
    gone = [name for name in known if name not in export.files and before[name] is not None]
    for name in gone:
        (folder / name).unlink()
    _record(folder, export)
    states = {name: _state(before[name], text) for name, text in export.files.items()} | dict.fromkeys(gone, "removed")
    return Written(folder, states, _difference(before, export.files))


def _state(before: str | None, after: str) -> str:
    if before is None:
        return "new"
    return "same" if before == after else "changed"


def _difference(before: Mapping[str, str | None], after: Mapping[str, str]) -> str:
    lines: list[str] = []
    for name, old in before.items():
        if old is not None:
            new = after.get(name, "")
            lines += difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"{name} (before)", f"{name} (now)", lineterm="", n=1
            )
    return "\n".join(lines)


def _content(path: Path) -> str | None:
    return read_text(path, name=path.name) if path.is_file() else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _recorded(folder: Path) -> dict[str, str]:
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        files = json.loads(read_text(path, name=RECORD))["files"]
        names = {str(name): str(digest) for name, digest in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        # Without a record every file counts as a person's: nothing is lost, --force goes on.
        return {}
    return {name: digest for name, digest in names.items() if Path(name).name == name}


def _record(folder: Path, export: "Export") -> None:
    document = {
        "schema": "capacity.export/1",
        "target": export.target,
        **export.plan,
        "files": {name: _digest(text) for name, text in export.files.items()},
    }
    write_text(folder / RECORD, json.dumps(document, ensure_ascii=False, indent=1) + "\n")
