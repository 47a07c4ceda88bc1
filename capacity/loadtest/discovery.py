"""What a file or folder of unknown origin holds: whose files they are, which to read, and a run.yaml to complete."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
        if self.reading.started_s is None or not 0 < self.reading.started_s < 4e9:
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
        names = ", ".join(f"{p.name}{' (empty)' if p.stat().st_size == 0 else ''}" for p in files[:5]) or "no files"
        problem = Problem(str(path), names, "what one of these writes: " + ", ".join(READERS))
        raise InputError(f"{path} holds no load-test result that is known", problems=[problem], remedy=PLAIN_FORM)
    readings, failed = _read_forms(tools)
    if not readings:
        problems = [replace(p) for error in failed.values() for p in error.problems]
        remedy = next((e.remedy for e in failed.values() if e.remedy), "")
        raise InputError(f"the results in {path} cannot be read", problems=problems, remedy=remedy)
    readings.sort(key=lambda found: found[2])
    (tool, chosen, _, reading), rest = readings[-1], readings[:-1]
    others = sorted({name for name, _, _, _ in rest} - {tool})
    if others and path.is_dir() and _apart(readings):
        problem = Problem(str(path), ", ".join([tool, *others]), "the files of one tool", "one folder a run")
        raise InputError(f"{path} holds runs of several tools", problems=[problem])
    said = [f"left out: {', '.join(p.name for p in f)} ({n}, tells less)" for n, f, _, _ in rest]
    said += [f"left out: {name}: {error.message}" for name, error in failed.items()]
    unknown = [p.name for p in files if not any(p in group for group in tools.values())]
    said += [f"left out: {', '.join(unknown)} (nobody's)"] if unknown else []
    return Found(folder, tool, tuple(chosen), reading, tuple(said))


_Rank = tuple[bool, int, int]
_Read = tuple[str, list[Path], _Rank, Reading]


def _read_forms(tools: dict[str, list[Path]]) -> tuple[list[_Read], dict[str, InputError]]:
    readings: list[_Read] = []
    failed: dict[str, InputError] = {}
    for tool, files in tools.items():
        for form in _forms(files):
            try:
                reading = READERS[tool].read(form)
            except InputError as error:
                failed[", ".join(p.name for p in form)] = error
                continue
            if len(reading.steps):
                rows = sum(reading.requests.values())
                readings.append((tool, form, (len(reading.steps) > 1, rows, len(reading.steps)), reading))
            else:
                said = InputError("no steady step in it", problems=list(reading.broken))
                failed[", ".join(p.name for p in form)] = said
    return readings, failed


def _apart(readings: Sequence[_Read]) -> bool:
    """Whether two tools' readings both show more than a step: two runs, and not one run and what watched it."""
    return sum(rank[0] for _, _, rank, _ in readings) > 1


def _forms(files: Sequence[Path]) -> list[list[Path]]:
    """Group a tool's files by form: XML, JSON, lines of JSON, and tables by their header."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(_form(head_of(path, size=4096)), []).append(path)
    return list(groups.values())


def _form(head: bytes) -> str:
    r"""Say the form of a file by its first line.

    Examples
    --------
    >>> _form(b"timeStamp,elapsed,label\n1,2,a"), _form(b"<?xml version"), _form(b'{"a":1}\n{"a":2}\n')
    ('timeStamp,elapsed,label', 'xml', 'json lines')
    """
    text = head.decode("utf-8", errors="replace").lstrip("\ufeff \r\n\t")
    first, _, more = text.partition("\n")
    if text.startswith("<"):
        return "xml"
    if text.startswith(("{", "[")):
        return "json lines" if first.rstrip().endswith("}") and more.startswith("{") else "json"
    table = re.match(r"[A-Za-z_\"][^\d]*[,;\t]", first) is not None
    return first.strip()[:_MOST_BYTES_OF_FORM] if table else "text"
