"""Decide: the plan as files for the systems that carry it out."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_text, progress
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.export import Export
    from capacity.workspace import Workspace
    from capacity.workspace.exports import Written


@click.command()
@click.argument("promotion")
@click.option("--to", "targets", multiple=True, metavar="TARGET", help="For which system, see below; repeatable; all.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the files, with several targets one below it for each.  [default: exports/ID/TARGET]",
)
@click.option("--force", is_flag=True, help="Write over files changed by hand; they are kept as NAME.before.")
@click.option("--stdout", "shown", is_flag=True, help="Print the files of one target; write nothing.")
@common_options
def export(
    ws: "Workspace", promotion: str, targets: tuple[str, ...], out: Path | None, force: bool, shown: bool, as_json: bool
) -> None:
    r"""Write PROMOTION's approved plan, else the newest, as files for the systems that carry it out.

    What differs from the export before is shown. A file that a person changed is not overwritten.

    \b
    Targets:
      prometheus    recording and alert rules with unit tests     alertmanager  routes and intervals
      nginx         limits per instance and cluster share         haproxy       the same
      envoy         local limits, global descriptors              sentinel      flow, cluster, degrade, system rules
      kubernetes    autoscalers, budgets, quota, KEDA cron        flagd         switches of the ladder
      icalendar     phases, freeze, meetings, roster, drills      grafana       dashboards of the evening
      chaostoolkit  drills as experiments                         openslo       objectives
      freeze        windows for GitLab and Argo CD                backstage     the catalogue
    """
    from capacity.export import TARGETS
    from capacity.questions import export_plan

    if not targets:
        raise UsageError("--to: got nothing", remedy=f"choose one or more of {', '.join(TARGETS)}, or all")
    chosen = list(TARGETS) if "all" in targets else list(dict.fromkeys(targets))
    if shown and len(chosen) > 1:
        raise UsageError("--stdout: got several targets, expected one", remedy="leave --stdout out, or name one target")
    with progress("Exporting"):
        made = export_plan(ws, promotion, targets=chosen)
    if shown:
        click.echo("\n".join(made[0].files.values()))
        return
    written = [ws.write_export(one, folder=_folder(out, one, several=len(made) > 1), force=force) for one in made]
    if as_json:
        print_json("export", {"exports": [_document(*pair) for pair in zip(made, written, strict=True)]})
        return
    for pair in zip(made, written, strict=True):
        _show(*pair)


def _folder(out: Path | None, export: "Export", *, several: bool) -> Path | None:
    return out / export.target if out is not None and several else out


def _document(export: "Export", written: "Written") -> dict[str, object]:
    return {
        "target": export.target,
        "folder": str(written.folder),
        "files": dict(written.states),
        "difference": written.difference,
        "warnings": list(export.warnings),
        "next_steps": list(export.next_steps),
    }


def _show(export: "Export", written: "Written") -> None:
    print_text(written.summary())
    for line in written.difference.splitlines():
        print_text(f"    {line}")
    print_lines("Mind", list(export.warnings))
    print_lines("Next", list(export.next_steps))
