"""What a file or folder of unknown origin holds: whose files they are, which to read, and a run.yaml to complete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from capacity.errors import InputError, Problem
from capacity.loadtest.readers import PLAIN_FORM, READERS, group_by_tool
from capacity.loadtest.readers.files import head_of
from capacity.loadtest.reading import Reading
from capacity.loadtest.result import LoadTest
from capacity.loadtest.run import RUN_FILE, judge

_MOST_FILES = 1000
_MOST_BYTES_OF_FORM = 200
_MOST_NAMES = 50
_MOST_BYTES_AGAIN = 1 << 26
_EARLIEST_S, _LATEST_S = 1e8, 4e9
_FAST_FIRST = ("rows", "text", "json lines", "xml", "json")
_CHOOSE = frozenset({"k6", "locust", "hey", "ab"})
"""Readers that take the best of several forms of a run by themselves, and say what they passed over."""


@dataclass(frozen=True)
class Found:
    """A run without a run.yaml.

    Attributes
    ----------
    folder
        Where the files are.
    tool, files
        What wrote them, and those that were read.
    reading
        The steps they show.
    left_out
        Files that were not read, each with the reason.
    """

    folder: Path
    tool: str
    files: tuple[Path, ...]
    reading: Reading
    left_out: tuple[str, ...] = ()

    def load_test(self) -> LoadTest:
        """Give the run with what is known before anyone has said which service it was; over one instance."""
        return LoadTest(
            run=self.folder.name,
            service="",
            instances=1,
            tool=self.tool,
            steps=self.reading.steps,
            gates=judge(self.reading),
            started_at=self._started_at(),
            notes=(*self.reading.notes, *self.left_out),
            broken=self.reading.broken,
            errors_counted=self.reading.errors_counted,
            requests=self.reading.requests,
            path=self.folder,
        )

    def _started_at(self) -> datetime | None:
        if self.reading.started_s is None or not 0 < self.reading.started_s < _LATEST_S:
            return None
        return datetime.fromtimestamp(int(self.reading.started_s), UTC)

    def run_yaml(self, *, service: str | None = None, instances: int | None = None) -> str:
        """Write the run.yaml as far as the files tell; what only people know is left to be completed.

        Without ``service`` and ``instances`` the file is refused by every command until they are written.
        """
        names = [f.relative_to(self.folder).as_posix() for f in self.files]
        known = {"tool": self.tool, "files": names}
        started = self._started_at()
        lines = [
            f"service: {_plain(service)}".rstrip() + "  # its name in services.yaml",
            f"instances: {_plain(instances)}".rstrip() + "  # under test, all together",
            yaml.safe_dump(known, sort_keys=False, allow_unicode=True, width=10_000).rstrip(),
            f"started_at: {started.isoformat()}" if started else "# started_at: 2026-10-20T02:00+08:00",
            "# environment: production  # anything else, or nothing, counts as misleading",
            "# approach: after_scaling  # or before_scaling",
            "# instance_type: c7.2xlarge",
            '# version: "2026.10.3"',
            "# mocked: [payco-gateway]  # dependencies that were replaced",
            "# target_qps: 4000  # where the test was meant to stop",
        ]
        if len(self.reading.requests) > 1:
            shown = yaml.safe_dump(
                [str(n) for n in list(self.reading.requests)[:50]], default_flow_style=True, width=10_000
            )
            lines.append(f"# requests: {shown.strip()}  # keep those that are this service's")
        return "\n".join(lines) + "\n"


def _plain(value: str | int | None) -> str:
    if value is None:
        return ""
    return yaml.safe_dump(value, width=10_000).removesuffix("\n...\n").strip()


def discover(path: Path | str) -> Found:
    """Find out what a file or a folder of load-test results is, by content, and read it.

    Where a folder holds the same run in several forms (rows and a summary, CSV and XML), the form that tells most is
    read and the rest is left out, so that nothing counts twice.

    Raises
    ------
    InputError
        Where no file is known, where files of several tools lie together, or where none can be read.
    """
    # A run is called after its folder, also where that was named ".".
    path = Path(path).resolve()
    folder = path if path.is_dir() else path.parent
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name != RUN_FILE)
    below = sorted(p.parent.relative_to(path).as_posix() for p in path.glob(f"**/{RUN_FILE}") if p.parent != path)
    if below:
        problem = Problem(
            str(path), f"runs with a {RUN_FILE} below it: {', '.join(below[:5])}", "the folder of one run"
        )
        raise InputError(f"{path} is not a load-test run", problems=[problem], remedy="name one of them")
    if len(files) > _MOST_FILES:
        problem = Problem(str(path), f"{len(files)} files", f"at most {_MOST_FILES}", "name the folder of one run")
        raise InputError(f"{path} is not one load-test run", problems=[problem])
    tools = group_by_tool(files)
    if not tools:
        begin = ", ".join(f"{p.name}, {_beginning(head_of(p, size=200))}" for p in files[:3])
        problem = Problem(str(path), begin or "no files", "what one of these writes: " + ", ".join(READERS))
        raise InputError(f"{path} holds no load-test result that is known", problems=[problem], remedy=PLAIN_FORM)
    seen = _read_forms(tools)
    if not seen.read:
        problems = [p for error in seen.failed.values() for p in error.problems]
        remedy = next((e.remedy for e in seen.failed.values() if e.remedy), "")
        raise InputError(f"the results in {path} cannot be read", problems=problems, remedy=remedy)
    best = max(seen.read, key=lambda one: one.rank)
    others = sorted({one.tool for one in seen.read} - {best.tool})
    if others and path.is_dir() and _apart(seen.read):
        problem = Problem(str(path), ", ".join([best.tool, *others]), "the files of one tool", "one folder a run")
        raise InputError(f"{path} holds runs of several tools", problems=[problem])
    unknown = [p.name for p in files if not any(p in group for group in tools.values())]
    said = [*_left_out(best, seen), *([f"left out: {', '.join(unknown)} (nobody's)"] if unknown else [])]
    return Found(folder, best.tool, tuple(best.files), best.reading, tuple(said))


def _beginning(head: bytes) -> str:
    """Say how a file begins.

    Examples
    --------
    >>> _beginning(b"unable to connect"), _beginning(b""), _beginning(bytes(9))
    ("which begins 'unable to connect'", 'which is empty', 'which is binary')
    """
    if not head:
        return "which is empty"
    if b"\0" in head or "\ufffd" in head[:60].decode("utf-8", errors="replace")[:-1]:
        return "which is binary"
    return f"which begins {head.decode('utf-8', errors='replace').lstrip()[:60]!r}"


@dataclass(frozen=True)
class _Form:
    """Files of a tool that are written alike: ``kind``, and the header where they are tables."""

    kind: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class _Read:
    tool: str
    form: _Form
    reading: Reading

    @property
    def files(self) -> tuple[Path, ...]:
        return self.form.files

    @property
    def rank(self) -> tuple[bool, int, int]:
        count = len(self.reading.steps)
        return count > 1, sum(self.reading.requests.values()), count

    @property
    def when(self) -> tuple[float, float]:
        """Begin and end, seconds since 1970; NaN where not known."""
        begins, steps = self.reading.started_s, self.reading.steps
        if begins is None or "begins_s" not in steps:
            return float("nan"), float("nan")
        return begins, begins + float((steps["begins_s"] + steps["seconds"]).max())


@dataclass
class _Seen:
    read: list[_Read] = field(default_factory=list)
    failed: dict[str, InputError] = field(default_factory=dict)
    unread: list[tuple[str, _Form]] = field(default_factory=list)


def _read_forms(tools: dict[str, list[Path]]) -> _Seen:
    seen = _Seen()
    for tool, files in tools.items():
        found, forms = False, _forms(files)
        if tool in _CHOOSE and len(forms) > 1 and _try(tool, _Form("files", tuple(files)), seen):
            continue
        for form in forms:
            # One form of a run that shows its steps is enough where another would take minutes.
            if found and sum(p.stat().st_size for p in form.files) > _MOST_BYTES_AGAIN:
                seen.unread.append((tool, form))
            else:
                found |= _try(tool, form, seen)
    return seen


def _try(tool: str, form: _Form, seen: _Seen) -> bool:
    """Read a form; whether it shows several steps."""
    names = _names(form)
    try:
        reading = READERS[tool].read(form.files)
    except InputError as error:
        seen.failed[names] = error
        return False
    if not len(reading.steps):
        seen.failed[names] = InputError("no steady step in it", problems=list(reading.broken))
        return False
    seen.failed.pop(names, None)
    seen.read.append(_Read(tool, form, reading))
    return len(reading.steps) > 1


def _left_out(best: _Read, seen: _Seen) -> list[str]:
    said = [f"left out: {_names(one.form)} ({_why(one, best)})" for one in seen.read if one is not best]
    said += [f"left out: {_names(form)} ({tool}, large, not read: give it by itself)" for tool, form in seen.unread]
    chosen = {path.name for path in best.files}
    for names, error in seen.failed.items():
        if not set(names.split(", ")) <= chosen:
            reason = next((f": {p.where}: got {p.got}, expected {p.expected}" for p in error.problems), "")
            said.append(f"left out: {names}: {error.message}{reason}")
    return said


def _names(form: _Form) -> str:
    return ", ".join(p.name for p in form.files)


def _why(one: _Read, best: _Read) -> str:
    begins_s, ends_s = one.when
    if one.tool == best.tool and (begins_s > best.when[1] or ends_s < best.when[0]):
        began = (
            datetime.fromtimestamp(int(begins_s), UTC).isoformat()
            if _EARLIEST_S < begins_s < _LATEST_S
            else "another time"
        )
        return f"{one.tool}, another run, of {began}: give it by itself"
    if one.tool == best.tool and one.form.kind == best.form.kind == "rows" and begins_s <= best.when[1]:
        return f"{one.tool}, of the same time: if it is another generator of this run, name both in {RUN_FILE}"
    return f"{one.tool}, tells less"


def _apart(readings: Sequence[_Read]) -> bool:
    """Whether two tools' readings both show more than a step: two runs, and not one run and what watched it."""
    return len({one.tool for one in readings if one.rank[0]}) > 1


def _forms(files: Sequence[Path]) -> list[_Form]:
    """Group a tool's files by form: rows by their header, JSON, lines of JSON, XML; what is read fast comes first."""
    groups: dict[tuple[str, str], list[Path]] = {}
    for path in files:
        groups.setdefault(_form(head_of(path, size=4096)), []).append(path)
    forms = [_Form(kind, tuple(paths)) for (kind, _), paths in groups.items()]
    return sorted(forms, key=lambda form: _FAST_FIRST.index(form.kind))


def _form(head: bytes) -> tuple[str, str]:
    r"""Say the form of a file by its first line: its kind, and the header of rows.

    Examples
    --------
    >>> _form(b"timeStamp,elapsed,label\n1,2,a"), _form(b"<?xml version"), _form(b'{"a":1}\n{"a":2}\n')
    (('rows', 'timeStamp,elapsed,label'), ('xml', ''), ('json lines', ''))
    """
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff \r\n\t")
    first, _, more = text.partition("\n")
    if text.startswith("<"):
        return "xml", ""
    if text.startswith(("{", "[")):
        return ("json lines" if first.rstrip().endswith("}") and more.startswith("{") else "json"), ""
    table = re.match(r"[A-Za-z_\"][^\d]*[,;\t]", first) is not None
    return ("rows", first.strip()[:_MOST_BYTES_OF_FORM]) if table else ("text", "")
