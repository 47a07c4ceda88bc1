"""Know: what other systems say of the services, as a difference to their file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import print_json, print_lines, print_text
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.workspace import Workspace


def propose(ws: "Workspace", source: str | None, file: Path | None, *, write: bool, as_json: bool) -> None:
    """Print the difference to ``data/services.yaml`` that a file of Kubernetes or Backstage suggests."""
    from capacity.catalog.proposal import SOURCES
    from capacity.document import read_text
    from capacity.workspace.proposals import propose_from, write_proposal

    if source is None or file is None:
        raise UsageError(
            "services propose: got no file to propose from",
            remedy=f"capacity services propose --from {'|'.join(SOURCES)} FILE",
        )
    made = propose_from(ws, source, read_text(file), file=str(file))
    if write and made.difference:
        write_proposal(ws, made)
    if as_json:
        rows = made.to_frame().to_dict(orient="records")
        document = {"difference": made.difference, "changes": rows, "notes": list(made.notes), "written": write}
        print_json("proposal", document)
        return
    for line in made.difference.splitlines():
        print_text(line)
    print_lines("Mind", list(made.notes))
    if not made.difference:
        click.echo(f"Nothing to change: services.yaml says what {source} says.")
    elif write:
        click.echo("\ndata/services.yaml is written.")
    else:
        click.echo("\nNothing is written; add --write to take it over.")
