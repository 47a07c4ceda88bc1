"""Reading runs: run.yaml, the tool's files, and what they are worth."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from capacity.document import read_yaml
from capacity.document.contract import Contract, Moment, Name, NonNegative, Positive, PositiveCount, Text
from capacity.errors import InputError, Problem
from capacity.loadtest.gate import Gate
from capacity.loadtest.gates import check_run, check_steps
from capacity.loadtest.readers import reader_of
from capacity.loadtest.reading import Reading
from capacity.loadtest.result import LoadTest, LoadTests

RUN_FILE = "run.yaml"


class Run(Contract):
    """What run.yaml says of a run; only service, instances, tool and files must be given.

    Parameters
    ----------
    service
        The service under test.
    environment
        ``production``; anything else, or nothing, is marked as misleading.
    approach
        Whether the fleet had been scaled out before.
    instances, instance_type, version
        What was under test.
    mix
        Share of each kind of request.
    mocked
        Dependencies that were replaced.
    tool, files
        What wrote which files, relative to the run's folder.
    started_at
        When it began.
    target_qps
        Where it was meant to stop.
    requests
        Names of the requests that are this service's, where the files hold others too; all by default.
    """

    service: Name
    instances: PositiveCount
    tool: Name
    files: tuple[Name, ...]
    environment: Text | None = None
    approach: Literal["after_scaling", "before_scaling"] | None = None
    instance_type: Text | None = None
    version: Text | None = None
    mix: dict[str, NonNegative] = Field(default_factory=dict)
    mocked: tuple[Text, ...] = ()
    started_at: Moment | None = None
    target_qps: Positive | None = None
    requests: tuple[Name, ...] = ()


def read_load_test(folder: Path | str, *, timezone: str | tzinfo) -> LoadTest:
    """Read one run: its run.yaml and the files it names.

    Parameters
    ----------
    folder
        The run's folder.
    timezone
        Zone of times without an offset.

    Raises
    ------
    InputError
        With every problem of the file that fails.
    """
    folder = Path(folder)
    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    where = f"{folder.name}/{RUN_FILE}"
    if not (folder / RUN_FILE).is_file():
        raise InputError(
            f"{folder} is not a load-test run: it holds no {RUN_FILE}",
            remedy=f"name the folder of one run; docs/formats.md says what {RUN_FILE} holds",
        )
    run: Run = read_yaml(folder / RUN_FILE, model=Run, name=where, context={"zone": zone})
    reader = reader_of(run.tool, where=where)
    try:
        reading = reader.read(_files(folder, run.files, where=where), only=run.requests or None)
    except InputError as error:
        # A step file has the same name in many runs: the problem names the run as well.
        inside = f"{folder.name}/"
        placed = [p if p.where.startswith(inside) else replace(p, where=inside + p.where) for p in error.problems]
        raise InputError(f"load test {folder.name}: {error.message}", problems=placed, remedy=error.remedy) from None
    circumstances = check_run(
        environment=run.environment, approach=run.approach, mocked=run.mocked, dated=run.started_at is not None
    )
    return LoadTest(
        run=folder.name,
        service=run.service,
        environment=run.environment,
        approach=run.approach,
        instances=run.instances,
        instance_type=run.instance_type,
        version=run.version,
        mix=dict(run.mix),
        mocked=run.mocked,
        tool=run.tool,
        started_at=run.started_at,
        target_qps=run.target_qps,
        steps=reading.steps,
        gates=(*circumstances, *judge(reading)),
        notes=reading.notes,
        broken=reading.broken,
        errors_counted=reading.errors_counted,
        requests=reading.requests,
        path=folder,
    )


def judge(reading: Reading) -> tuple[Gate, ...]:
    """Give all gates of what was read: the tool's own and those of its steps."""
    # What the tool's reader found by the requests themselves is the more exact.
    said = {gate.name for gate in reading.gates if gate.step is None}
    found = check_steps(reading.steps, errors_counted=reading.errors_counted)
    return (*reading.gates, *(g for g in found if g.step is not None or g.name not in said))


def _files(folder: Path, names: tuple[str, ...], *, where: str) -> list[Path]:
    problems: list[Problem] = []
    found: list[Path] = []
    root = folder.resolve()
    for k, name in enumerate(names):
        place = f"{where} files[{k}]"
        if "\0" in name or not (folder / name).resolve().is_relative_to(root):
            problems.append(Problem(place, repr(name), "a file inside the run's folder"))
        elif not (folder / name).is_file():
            problems.append(Problem(place, repr(name), "a file that exists"))
        else:
            found.append(folder / name)
    if not names:
        problems.append(Problem(f"{where} files", "none", "the file the tool wrote"))
    if problems:
        raise InputError(f"the files of load test {folder.name} cannot be read", problems=problems)
    return found


def read_load_tests(
    root: Path | str,
    *,
    timezone: str | tzinfo,
    as_of: date | None = None,
    services: Collection[str] | None = None,
) -> LoadTests:
    """Read every run below a folder, in time order; runs without a date come first.

    Parameters
    ----------
    root
        Folder of run folders; an absent one holds none.
    timezone
        Zone of times without an offset and of ``as_of``.
    as_of
        Runs that began at or after this day's start are hidden.
    services
        Names of the catalogue: a run of an unknown service is then a problem.

    Raises
    ------
    InputError
        With the problems of all runs.
    """
    root = Path(root)
    zone = ZoneInfo(timezone) if isinstance(timezone, str) else timezone
    runs: list[LoadTest] = []
    problems: list[Problem] = []
    remedies: list[str] = []
    for folder in sorted(p for p in root.iterdir() if (p / RUN_FILE).is_file()) if root.is_dir() else []:
        try:
            run = read_load_test(folder, timezone=zone)
        except InputError as error:
            problems.extend(error.problems or [Problem(folder.name, error.message, "a readable load test")])
            remedies.append(error.remedy)
            continue
        if services is not None and run.service not in services:
            from capacity.errors import did_you_mean

            where = f"{folder.name}/{RUN_FILE} service"
            hint = did_you_mean(run.service, services)
            problems.append(Problem(where, repr(run.service), "a service of services.yaml", hint))
        elif as_of is None or run.started_at is None or run.started_at < _midnight(as_of, zone):
            runs.append(run)
    if problems:
        raise InputError("load tests cannot be read", problems=problems, remedy=next((r for r in remedies if r), ""))
    return LoadTests(sorted(runs, key=_when))


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone)


def _when(run: LoadTest) -> tuple[float, str]:
    return (run.started_at.timestamp() if run.started_at is not None else float("-inf"), run.run)
