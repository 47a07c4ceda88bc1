"""Load tests: read what a tool wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import print_json, print_lines, print_table
from capacity.errors import InputError, Problem

if TYPE_CHECKING:
    from capacity.loadtest import LoadTest
    from capacity.loadtest.gate import Gate

_WORST_FIRST = ("excluded", "bounded", "flagged", "unknown", "ok")
_MOST_STEPS_NAMED = 6


@click.group()
def loadtest() -> None:
    """Read load tests and say what they are worth."""


@loadtest.command()
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--service", help="For run.yaml: the service under test.")
@click.option("--instances", type=click.IntRange(min=1), help="For run.yaml: how many instances were under test.")
@click.option("--write/--no-write", default=True, show_default=True, help="Write a run.yaml where there is none.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of times without an offset.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def read(
    path: Path,
    service: str | None,
    instances: int | None,
    write: bool,
    as_json: bool,
    timezone: str,
    debug: bool,  # noqa: ARG001
) -> None:
    """Show steps and gates of the load test in PATH: a run's folder, or any file or folder a tool wrote.

    The tool is recognized by content. Where there is no run.yaml one is written, to be completed: which service it
    was, on how many instances, and where.
    """
    from capacity.cli.documents import loadtest_document
    from capacity.loadtest import discover, read_load_test
    from capacity.loadtest.run import RUN_FILE

    following: list[str] = []
    try:
        complete = path.is_dir() and (path / RUN_FILE).is_file()
        test = read_load_test(path, timezone=timezone) if complete else None
    except InputError as error:
        following = _only_incomplete(error)
        test = None
    if test is None:
        found = discover(path)
        test = found.load_test()
        if write and not following:
            following = _write_run(found.folder / RUN_FILE, found.run_yaml(service=service, instances=instances))
    if as_json:
        print_json("loadtest", loadtest_document(test))
        return
    _show(test)
    print_lines("Next", following)


def _only_incomplete(error: InputError) -> list[str]:
    """Say what a run.yaml still lacks where that is all that is wrong with it; raise what else is."""
    if not error.problems or not all(p.where.endswith((" service", " instances")) for p in error.problems):
        raise error
    return [f"{p.where}: got {p.got}, expected {p.expected}" for p in error.problems]


def _write_run(path: Path, text: str) -> list[str]:
    from capacity.document import write_text

    if path.exists():
        return [f"{path} is there already and was left as it is"]
    try:
        write_text(path, text)
    except OSError as error:
        problem = Problem(str(path), error.strerror or str(error), "a folder that may be written")
        remedy = "copy the files into data/loadtests/RUN, or give --no-write"
        raise InputError("no run.yaml can be written", problems=[problem], remedy=remedy) from None
    return [
        f"complete {path}: service, instances, environment",
        "with its folder in data/loadtests/, capacity saturation reads it",
    ]


def _show(test: "LoadTest") -> None:
    click.echo(repr(test))
    for note in test.notes:
        click.echo(f"  {note}")
    print_table(test.to_frame(), title="Steady steps", units=test.units)
    print_lines("Gates", [_say(gates) for gates in _alike(test.gates)])
    print_lines("Broken", [f"{p.where}: got {p.got}, expected {p.expected}" for p in test.broken])


def _alike(gates: "tuple[Gate, ...]") -> "list[list[Gate]]":
    """Group gates of one name and verdict, the worst first."""
    groups: dict[tuple[str, str], list[Gate]] = {}
    for gate in sorted(gates, key=lambda g: _WORST_FIRST.index(g.verdict)):
        groups.setdefault((gate.verdict, gate.name), []).append(gate)
    return list(groups.values())


def _say(gates: "list[Gate]") -> str:
    steps = sorted({g.step for g in gates if g.step is not None})
    named = ", ".join(str(s) for s in steps[:_MOST_STEPS_NAMED]) + (", …" if len(steps) > _MOST_STEPS_NAMED else "")
    first = max(gates, key=lambda g: abs(g.value or 0.0))
    where = f" (step {named})" if len(steps) == 1 else f" (steps {named})" if steps else ""
    says = f": {first.says}" if first.says else ""
    remedy = f" → {first.remedy}" if first.remedy and first.verdict != "ok" else ""
    return f"{first.name}: {first.verdict}{where}{says}{remedy}"
