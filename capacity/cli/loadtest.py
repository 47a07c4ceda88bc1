"""Know, from load tests: read those that ran, plan those to run."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, print_text, progress
from capacity.errors import InputError, UsageError

if TYPE_CHECKING:
    from capacity.loadtest import LoadTest
    from capacity.loadtest.gate import Gate
    from capacity.staircase import LoadTestPlan, PlannedTest
    from capacity.workspace import Workspace

_WORST_FIRST = ("excluded", "bounded", "flagged", "unknown", "ok")
_MOST_STEPS_NAMED = 6


@click.group()
def loadtest() -> None:
    """Read load tests and say what they are worth; plan the next ones."""


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
        for line in following:
            print_text(line, err=True)
        return
    _show_run(test)
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
        # What was read is worth more than what cannot be written.
        said = f"{path} cannot be written ({error.strerror or error})"
        return [f"{said}: copy the files into data/loadtests/RUN, and read them there"]
    return [
        f"complete {path}: service, instances, environment",
        "with its folder in data/loadtests/, capacity saturation reads it",
    ]


def _show_run(test: "LoadTest") -> None:
    print_text(repr(test))
    for note in test.notes:
        print_text(f"  {note}")
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


@loadtest.command()
@click.argument("promotion")
@click.option("--service", "service", default=None, metavar="NAME", help="Only the test of this service.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write each test into this folder, as a Locust file and as a k6 script.",
)
@click.option(
    "--mocked",
    multiple=True,
    metavar="NAME",
    help="A service that the tests replace by a stand-in: it gets no load. May be given several times.",
)
@common_options
def plan(
    ws: "Workspace", promotion: str, service: str | None, out: Path | None, mocked: tuple[str, ...], as_json: bool
) -> None:
    """Plan the load tests before PROMOTION: targets, steps, stop rules, windows, order, who is told."""
    from capacity.cli.documents import loadtest_plan_document
    from capacity.questions import next_load_tests

    with progress("Forecasting DAU and DAT") as step:
        planned = next_load_tests(ws, promotion, mocked=mocked, on_step=step)
    tests = tuple(planned) if service is None else (planned[ws.services[service].name],)
    files = _write(tests, out) if out is not None else {}
    if as_json:
        print_json("loadtest-plan", loadtest_plan_document(planned, tests, files))
        return
    click.echo(repr(planned))
    frame = planned.to_frame()
    names = [test.service for test in tests]
    shown = frame[frame["service"].isin(names)].drop(columns="told")
    print_table(shown, title="In this order", units=planned.units)
    for test in tests:
        if service is not None:
            _show_planned(test)
        print_lines(f"Mind, {test.service}", list(test.warnings))
    if service is not None:
        print_lines("Why", list(planned.why[service]))
    else:
        print_lines("Told before", _told(planned))
        print_lines("Not tested", list(planned.left_out.values()))
    print_lines("Assumed", list(planned.assumptions))
    if planned.mocked and files:
        click.echo(
            f"\nRun them with CAPACITY_MOCKED={shlex.quote(','.join(planned.mocked))}: without it they mind limits."
        )
    if files:
        written = sum(map(len, files.values()))
        click.echo(f"\n{written} files are in {out}; the header of each says how to run it and how to read it back.")


def _told(planned: "LoadTestPlan") -> list[str]:
    """Say to whom each test matters, one line a person or team."""
    tests: dict[str, list[str]] = {}
    for test in planned:
        for told in test.told:
            tests.setdefault(told.who, []).append(f"{test.order} {test.service}")
    return [f"{who}: {', '.join(names)}" for who, names in tests.items()]


def _write(tests: "tuple[PlannedTest, ...]", out: Path) -> dict[str, list[str]]:
    from capacity.display import safe_slug
    from capacity.document import write_text
    from capacity.export import k6_script, locust_file

    texts: dict[Path, str] = {}
    files: dict[str, list[str]] = {}
    for test in tests:
        stem = f"{test.order:02d}-{safe_slug(test.service)}"
        made = {
            f"{stem}.locustfile.py": locust_file(test.staircase, limits=test.ceilings),
            f"{stem}.k6.js": k6_script(test.staircase, limits=test.ceilings),
        }
        files[test.service] = list(made)
        texts |= {out / name: text for name, text in made.items()}
    changed = [path.name for path, text in texts.items() if path.exists() and path.read_text(encoding="utf-8") != text]
    if changed:
        raise UsageError(
            f"{out} holds other files of the names {', '.join(changed)}",
            remedy="name an empty folder, or move them away",
        )
    out.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        write_text(path, text)
    return files


def _show_planned(test: "PlannedTest") -> None:
    print_table(test.staircase.to_frame(), title=f"Steps of {test.service}", units=test.staircase.units)
    rules = [f"{_limit(rule.watches, rule.limit)} ({rule.judged.replace('_', ' ')}): {rule.says}"
             for rule in test.staircase.stop_rules]  # fmt: skip
    print_lines("It ends at any of", rules)
    print_lines("Told before", [f"{told.who}: {told.why}" for told in test.told])


def _limit(watches: str, limit: float) -> str:
    sign = {"offered_qps": "at", "achieved_share": "below"}.get(watches, "above")
    return f"{watches} {sign} {limit:g}"
