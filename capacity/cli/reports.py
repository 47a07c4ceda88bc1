"""Reports: run them, list them, and the lab where their notebooks are explored."""

import subprocess
import sys
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_table, progress

if TYPE_CHECKING:
    from capacity.report import ReportRun
    from capacity.workspace import Workspace

EXIT_CODES = {"ok": 0, "failed": 4, "killed": 4, "timed_out": 5}


@click.group()
def report() -> None:
    """Run reports as pages that open without a network."""


@report.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--promotion", required=True, help="The promotion's id.")
@click.option("--cell-timeout", type=click.IntRange(1), default=600, show_default=True, help="Seconds for one cell.")
@click.option("--timeout", type=click.FloatRange(1), default=1800, show_default=True, help="Seconds for one report.")
@click.option("--jobs", type=click.IntRange(1, 16), default=1, show_default=True, help="How many reports at once.")
@common_options
def run(
    ws: "Workspace",
    names: tuple[str, ...],
    promotion: str,
    cell_timeout: int,
    timeout: float,
    jobs: int,
    as_json: bool,
) -> None:
    """Execute the notebooks of reports NAME... (forecast, saturation, plan, backtest …) as known at --as-of."""
    from capacity.report import run_reports

    with progress(f"Running {', '.join(names)}") as step:
        runs = run_reports(
            ws,
            names,
            promotion=promotion,
            cell_timeout_s=cell_timeout,
            run_timeout_s=timeout,
            jobs=jobs,
            on_done=lambda done: step(f"{done.report}: {done.status}"),
        )
    if as_json:
        print_json("report", {"runs": [done.to_document() for done in runs]})
    else:
        for done in runs:
            _show(done)
        click.echo(f"All reports: {ws.reports_dir / 'index.html'}")
    sys.exit(max(EXIT_CODES[done.status] for done in runs))


@report.command(name="list")
@common_options
def list_(ws: "Workspace", as_json: bool) -> None:
    """List every report run, newest first."""
    import pandas as pd

    from capacity.report import list_runs

    columns = ["report", "promotion", "as_of", "status", "started_at", "duration_s", "error"]
    rows = [{column: run[column] for column in columns} for run in list_runs(ws.reports_dir)]
    if as_json:
        print_json("report", {"runs": rows})
    else:
        print_table(pd.DataFrame(rows, columns=columns))


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
    if done.status == "ok":
        click.echo(f"{done.report}: {done.verdict}\n  {done.folder / 'index.html'} ({done.duration_s:.1f} s)")
    else:
        click.echo(f"{done.report}: {done.status.replace('_', ' ')}: {done.error}\n  kept in {done.folder}", err=True)
