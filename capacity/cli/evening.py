"""Evening: the journal."""

from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_table

if TYPE_CHECKING:
    from capacity.workspace import Workspace


@click.group()
def journal() -> None:
    """Write and read the append-only log kept during a promotion."""


@journal.command()
@click.argument("promotion")
@click.argument("kind")
@click.argument("text")
@click.option("--at", default=None, metavar="TIME", help="When it happened, ISO 8601.  [default: now]")
@click.option("--service", default=None, help="Which service it is about.")
@click.option("--who", default=None, help="Who did or saw it.")
@click.option("--ref", default=None, help="Id of the entry it belongs to, a runbook, a ticket.")
@click.option("--corrects", default=None, help="Id of the entry that this one corrects.")
@common_options
def add(
    ws: "Workspace",
    promotion: str,
    kind: str,
    text: str,
    at: str | None,
    service: str | None,
    who: str | None,
    ref: str | None,
    corrects: str | None,
    as_json: bool,
) -> None:
    """Append an entry of KIND with TEXT to PROMOTION's journal."""
    from capacity.journal import append_entry, new_entry

    entry = new_entry(
        kind, text, timezone=ws.settings.timezone, at=at, service=service, who=who, ref=ref, corrects=corrects
    )
    append_entry(ws.journal_path(promotion), entry)
    if as_json:
        print_json("journal", {"entry": entry.to_document()})
    else:
        click.echo(f"{entry.id} is written.")


@journal.command()
@click.argument("promotion")
@common_options
def show(ws: "Workspace", promotion: str, as_json: bool) -> None:
    """Show PROMOTION's journal, corrections applied."""
    entries = ws.journal(promotion)
    if as_json:
        print_json("journal", {"entries": [entry.to_document() for entry in entries]})
    else:
        print_table(entries.to_frame())
