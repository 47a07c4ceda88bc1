"""Reports: run them, list them, and the lab where their notebooks are explored."""

import functools
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from capacity.cli.output import common_options, print_json, print_table, print_text, progress
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.report import Limits, ReportRun
    from capacity.workspace import Workspace

EXIT_CODES = {"ok": 0, "failed": 4, "killed": 4, "timed_out": 5}


@click.group()
def report() -> None:
    """Run reports as pages that open without a network."""


def _run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of every way to run reports; it gets them as ``limits`` and ``jobs``."""

    @click.option("--cell-timeout", type=click.IntRange(1), default=600, show_default=True, help="Seconds a cell.")
    @click.option("--timeout", type=click.FloatRange(1), default=1800, show_default=True, help="Seconds a report.")
    @click.option(
        "--retries", type=click.IntRange(0, 5), default=1, show_default=True, help="Further tries when a kernel dies."
    )
    @click.option("--jobs", type=click.IntRange(1, 16), default=1, show_default=True, help="How many reports at once.")
    @functools.wraps(command)
    def wrapped(cell_timeout: int, timeout: float, retries: int, **rest: Any) -> Any:
        from capacity.report import Limits

        return command(limits=Limits(cell_timeout, timeout, retries), **rest)

    return wrapped


@report.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--promotion", required=True, help="The promotion's id.")
@click.option("--force", is_flag=True, help="Run even where the page would be the same.")
@click.option("--fresh-within", type=click.IntRange(0), metavar="DAYS", help="Refuse data that end earlier than that.")
@click.option("--pdf", is_flag=True, help="Write report.pdf beside each page, too; the decision on one sheet.")
@_run_options
@common_options
def run(
    ws: "Workspace",
    names: tuple[str, ...],
    promotion: str,
    force: bool,
    fresh_within: int | None,
    pdf: bool,
    limits: "Limits",
    jobs: int,
    as_json: bool,
) -> None:
    """Execute the notebooks of reports NAME... (forecast, saturation, plan, backtest …) as known at --as-of."""
    from capacity.report import run_reports
    from capacity.report.pdf import write_pdf

    with progress(f"Running {', '.join(names)}") as step:
        runs = run_reports(
            ws,
            names,
            promotion=promotion,
            limits=limits,
            jobs=jobs,
            force=force,
            fresh_within_days=fresh_within,
            on_done=lambda done: step(f"{done.report}: {done.status}"),
        )
        for done in runs if pdf else ():
            if done.status == "ok":
                step(f"{done.report}: on paper")
                write_pdf(done.folder, report=done.report)
    _answer(ws, runs, as_json=as_json)


@report.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--promotion", required=True, help="The promotion's id.")
@click.option("--from", "first", required=True, type=click.DateTime(["%Y-%m-%d"]), help="First day of the reports.")
@click.option("--to", "last", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day of the reports.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Days between two reports.")
@click.option("--missing-only", is_flag=True, help="Leave every day that has a good page, whatever it was made from.")
@click.option("--force", is_flag=True, help="Run even where the page would be the same.")
@_run_options
@common_options
def backfill(
    ws: "Workspace",
    names: tuple[str, ...],
    promotion: str,
    first: datetime,
    last: datetime,
    every: int,
    missing_only: bool,
    force: bool,
    limits: "Limits",
    jobs: int,
    as_json: bool,
) -> None:
    """Execute reports NAME... as they would have been on past days."""
    from capacity.report import Due, run_reports
    from capacity.report.schedule import find_absent

    if last < first:
        raise UsageError(f"--to {last.date()}: got a day before --from {first.date()}", remedy="swap them")
    days = [first.date() + timedelta(days=n) for n in range(0, (last - first).days + 1, every)]
    runs: list[ReportRun] = []
    with progress(f"Running {', '.join(names)}") as step:
        for name in dict.fromkeys(names):
            wanted = [d.as_of for d in find_absent(ws, [Due(name, promotion, day) for day in days])]
            chosen = wanted if missing_only else days
            if chosen:
                runs += run_reports(
                    ws, [name], promotion=promotion, days=chosen, limits=limits, jobs=jobs, force=force,
                    on_done=lambda done: step(f"{done.report} {done.as_of}: {done.status}"),
                )  # fmt: skip
    _answer(ws, runs, as_json=as_json)


@report.command()
@click.option("--back", type=click.IntRange(0), default=7, show_default=True, help="Days back that are caught up.")
@click.option("--every", is_flag=True, help="Make every missed page; when not, the newest of each report alone.")
@_run_options
@common_options
def due(ws: "Workspace", back: int, every: bool, limits: "Limits", jobs: int, as_json: bool) -> None:
    """Make every page that is due by reports.yaml and not yet there; --as-of is today when left out."""
    from capacity.report import run_due

    today = ws.given_as_of or datetime.now(ws.settings.zone).date()
    with progress("Making what is due") as step:
        found = run_due(
            ws, today=today, back_days=back, every=every, jobs=jobs, limits=limits,
            on_done=lambda done: step(f"{done.report} {done.as_of}: {done.status}"),
        )  # fmt: skip
    for missing, why in found.absent:
        what = f"{missing.report} of {missing.promotion} as of {missing.as_of}"
        print_text(f"capacity: {what} is absent: {why}", err=True)
    for told in found.problems:
        print_text(f"capacity: {told}", err=True)
    _answer(ws, found.runs, as_json=as_json, least=3 if found.absent else 0, alerts=len(found.alerts))


@report.command()
@click.option(
    "--keep", type=click.IntRange(1), default=30, show_default=True, help="Good pages of each report to keep."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@common_options
def prune(ws: "Workspace", keep: int, dry_run: bool, as_json: bool) -> None:
    """Delete old pages: all but the newest of every report and promotion."""
    from capacity.display import format_number
    from capacity.report import prune_reports

    found = prune_reports(ws.reports_dir, keep=keep, dry_run=dry_run)
    if as_json:
        names = [folder.relative_to(ws.reports_dir).as_posix() for folder in found.folders]
        print_json("prune", {"folders": names, "bytes": found.bytes, "dry_run": dry_run})
        return
    for folder in found.folders:
        click.echo(folder)
    click.echo(f"{'would delete' if dry_run else 'deleted'} {len(found.folders)} runs, {format_number(found.bytes)}B")


@report.command()
@click.option("--to", "target", required=True, metavar="SCHEDULER", help="cron, systemd, kubernetes or airflow.")
@common_options
def schedule(ws: "Workspace", target: str, as_json: bool) -> None:
    """Print the configuration that makes SCHEDULER run what is due by reports.yaml, every day."""
    from capacity.report import read_schedule, write_schedule

    text = write_schedule(target, schedule=read_schedule(ws.directory), workspace=ws.directory, zone=ws.settings.zone)
    if as_json:
        print_json("schedule", {"to": target, "text": text})
    else:
        click.echo(text, nl=False)


@report.command(name="list")
@common_options
def list_(ws: "Workspace", as_json: bool) -> None:
    """List every report run, newest first."""
    import pandas as pd

    from capacity.report import list_records

    columns = ["report", "promotion", "as_of", "status", "started_at", "duration_s", "error"]
    rows = [{column: record.run.get(column) for column in columns} for record in list_records(ws.reports_dir)]
    if as_json:
        print_json("report", {"runs": rows})
    else:
        print_table(pd.DataFrame(rows, columns=columns))


def _answer(
    ws: "Workspace", runs: "Sequence[ReportRun]", *, as_json: bool, least: int = 0, alerts: int | None = None
) -> None:
    if as_json:
        told: dict[str, object] = {"runs": [done.to_document() for done in runs]}
        print_json("report", told if alerts is None else told | {"alerts": alerts})
    else:
        for done in runs:
            _show(done)
        click.echo(f"All reports: {ws.reports_dir / 'index.html'}" if runs else "Nothing to do.")
    sys.exit(max([least, *(EXIT_CODES[done.status] for done in runs)]))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("jupyter", nargs=-1, type=click.UNPROCESSED, metavar="[JUPYTER OPTIONS]...")
@click.option("-w", "--workspace", "directory", default=None, metavar="DIR", help="The workspace.  [default: .]")
@click.option("--browser/--no-browser", default=True, help="Open a browser window.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.pass_context
def lab(ctx: click.Context, jupyter: tuple[str, ...], directory: str | None, browser: bool, debug: bool) -> None:  # noqa: ARG001
    """Open JupyterLab in the workspace, with copies of the notebooks to explore in; its own options are passed on."""
    from capacity.report.shelf import lend_notebooks
    from capacity.workspace import Workspace

    ws = Workspace(directory or (ctx.find_root().obj or {}).get("directory") or ".")
    lend_notebooks(ws.directory)
    flags = [] if browser else ["--no-browser"]
    root = f"--ServerApp.root_dir={ws.directory.resolve()}"
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", root, *flags, *jupyter]))


def _show(done: "ReportRun") -> None:
    if done.skipped:
        click.echo(f"{done.report} as of {done.as_of}: unchanged, {done.folder / 'index.html'}")
    elif done.status == "ok":
        click.echo(f"{done.report}: {done.verdict}\n  {done.folder / 'index.html'} ({done.duration_s:.1f} s)")
    else:
        click.echo(f"{done.report}: {done.status.replace('_', ' ')}: {done.error}\n  kept in {done.folder}", err=True)
