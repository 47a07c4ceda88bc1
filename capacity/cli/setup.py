"""Set up: make a workspace, take data in, check what people wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, progress
from capacity.errors import CapacityError, InputError, Problem, UsageError

if TYPE_CHECKING:
    from capacity.history import IngestReport
    from capacity.history.access_log import AccessLogReport, ServiceRule
    from capacity.workspace import Workspace


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--sample", is_flag=True, help="Fill it with a company that was made up, its promotions and its truth.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Which sample company.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
def init(directory: Path, sample: bool, seed: int, debug: bool) -> None:  # noqa: ARG001
    """Make a workspace in DIRECTORY, empty or with a sample company."""
    from capacity.workspace import create_workspace

    company = None
    if sample:
        from capacity.demo import make_company

        company = make_company(seed)
    create_workspace(directory, sample=company)
    click.echo(f"{directory} is a workspace.")
    if sample:
        click.echo(
            f"Its last day is known; plan as it was before a promotion with --as-of, such as:\n"
            f"  capacity -w {directory} plan 2026-double11 --as-of 2026-10-20"
        )
    else:
        click.echo(
            f"Next: write {directory}/data/promotions.yaml, take data in with\n"
            f"  capacity -w {directory} ingest FILES --as daily_activity\n"
            f"and see what is missing with: capacity -w {directory} check"
        )


@click.command()
@click.argument("source")
@click.option("--as", "table", required=True, help="daily_activity, traffic, calls, access_log or openmetrics.")
@click.option(
    "--timezone", default=None, help="Zone of times without an offset in this source, if not the workspace's."
)
@click.option("--service", default=None, help="Of an access log: whose lines these are.")
@click.option(
    "--services",
    "prefixes",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help="Of an access log: a YAML file, {prefixes: {/cart: cart, …}, other: NAME}.",
)
@click.option("--from", "first", default=None, metavar="DAY", help="Of Prometheus: the first day.  [default: last 7]")
@click.option("--to", "last", default=None, metavar="DAY", help="Of Prometheus: the last day.  [default: today]")
@click.option("--step", "step_s", type=float, default=60.0, show_default=True, help="Of Prometheus: seconds a row.")
@common_options
def ingest(
    ws: "Workspace", source: str, table: str, timezone: str | None, first: str | None, last: str | None, step_s: float,
    service: str | None, prefixes: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Check SOURCE (a file, folder or glob; CSV, Parquet, JSON lines, gzip) and take it into a table.

    For traffic SOURCE may be a Prometheus server: prometheus+http://HOST:PORT, or just prometheus for the one of
    capacity.toml. A token comes from CAPACITY_PROMETHEUS_TOKEN, or from the file of CAPACITY_PROMETHEUS_TOKEN_FILE.

    Counters with timestamps in the text of Prometheus or OpenMetrics become rows of traffic, too (--as openmetrics).

    An access log (common, combined, JSON lines) becomes rows of traffic by the minute; name its service with --service,
    or give paths to services with --services.

    Days that are in the source replace the same days of the table. Rows that break the contract are
    written aside with their line numbers, counted by reason.
    """
    report: AccessLogReport | IngestReport
    with progress(f"Reading {source}"):
        if table == "access_log":
            report = ws.ingest_access_log(source, rule=_service_rule(service, prefixes))
        elif table == "openmetrics":
            report = ws.ingest_openmetrics(source)
        elif source == "prometheus" or source.startswith("prometheus+"):
            report = ws.ingest_prometheus(source, table=table, first=first, last=last, step_s=step_s)
        else:
            _refuse_days(first, last)
            report = ws.ingest(source, table=table, timezone=timezone)
    if as_json:
        print_json("ingest", report.to_document())
        return
    click.echo(str(report))


def _service_rule(service: str | None, prefixes: Path | None) -> "ServiceRule":
    from capacity.document import read_text
    from capacity.history.access_log import ServiceRule, parse_service_rule

    if (service is None) == (prefixes is None):
        raise UsageError("an access log needs either --service or --services", remedy="say whose lines these are")
    if service is not None:
        return ServiceRule.of(service)
    assert prefixes is not None  # noqa: S101 - one of the two is given
    return parse_service_rule(read_text(prefixes, name=str(prefixes)), where=str(prefixes))


def _refuse_days(first: str | None, last: str | None) -> None:
    if first is not None or last is not None:
        raise UsageError("--from and --to are for Prometheus", remedy="leave them out: a file's days are in it")


@click.command()
@common_options
def check(ws: "Workspace", as_json: bool) -> None:
    """List every problem of the workspace's files at once, and every assumption made where they are silent."""
    problems: list[Problem] = []
    words = (lambda: ws.settings, lambda: ws.promotions, lambda: ws.services, lambda: ws.lessons, lambda: ws.operations)
    for part in (*words, ws.load_tests, ws.daily_activity, lambda: ws.traffic().is_empty):
        try:
            part()
        except CapacityError as error:
            new = error.problems or (Problem(ws.directory.name, error.message, "no problem", error.remedy),)
            problems += [problem for problem in new if problem not in problems]
    assumptions = (
        [] if problems else [*ws.settings.assumptions(), *ws.services.assumptions(), *ws.operations.assumptions()]
    )
    if as_json:
        shown = [{"where": p.where, "got": p.got, "expected": p.expected, "remedy": p.remedy} for p in problems]
        print_json("check", {"problems": shown, "assumptions": assumptions})
    if problems:
        raise InputError(f"{len(problems)} problem{'s' * (len(problems) > 1)} in {ws.directory}", problems=problems)
    if not as_json:
        _show_evidence(ws)
        print_lines("Assumed where the files are silent:", assumptions)


def _show_evidence(ws: "Workspace") -> None:
    import pandas as pd

    inputs = pd.DataFrame(ws.inputs(), columns=["path", "rows", "sha256"])
    inputs["sha256"] = inputs["sha256"].str[:12]
    print_table(
        inputs,
        title=f"{ws.directory}: no problems; {len(ws.promotions)} promotions, "
        f"{len(ws.services)} services, data known before {ws.as_of_text or '(no day yet)'}",
    )
