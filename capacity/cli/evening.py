"""Evening: the journal."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_table, read_moment
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.journal import Entry
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


@journal.command(name="import")
@click.argument("promotion")
@click.argument("source", required=False)
@click.option("--prometheus", "url", default=None, metavar="URL", help="Take the alerts of this server.")
@click.option("--from", "first", default=None, metavar="TIME", help="Of Prometheus.  [default: the first phase]")
@click.option("--to", "last", default=None, metavar="TIME", help="Of Prometheus.  [default: the last phase, or now]")
@common_options
def import_(
    ws: "Workspace", promotion: str, source: str | None, url: str | None, first: str | None, last: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Append entries to PROMOTION's journal: of the file SOURCE (JSON lines), or alerts that Prometheus raised.

    Without SOURCE the Prometheus of capacity.toml is asked. What is there already is not written twice.
    """
    from capacity.journal import append_entries

    entries = _of_file(ws, source) if source is not None else _of_prometheus(ws, promotion, url, first, last)
    new = append_entries(ws.journal_path(promotion), entries)
    if as_json:
        print_json("journal", {"read": len(entries), "new": new})
    else:
        click.echo(f"{new} of {len(entries)} entries are new.")


def _of_file(ws: "Workspace", source: str) -> "Sequence[Entry]":
    from capacity.journal import parse_journal

    if not Path(source).is_file():
        raise UsageError(f"{source}: no such file", remedy="name a file of JSON lines, or leave it out for Prometheus")
    return parse_journal(Path(source).read_bytes(), timezone=ws.settings.timezone, where=source)


def _of_prometheus(
    ws: "Workspace", promotion: str, url: str | None, first: str | None, last: str | None
) -> "Sequence[Entry]":
    from capacity.tracking import ask_alerts

    phases, zone = ws.promotions[promotion].phases, ws.settings.zone
    start = read_moment(first, "--from", zone) or phases[0].starts_at
    end = read_moment(last, "--to", zone) or min(phases[-1].ends_at, datetime.now(zone))
    if end <= start:
        raise UsageError(f"{promotion} has not begun: its first phase starts at {start.isoformat()}")
    monitoring = ws.settings.monitoring
    return ask_alerts(
        ws.prometheus(url), start=start, end=end, timezone=ws.settings.timezone,
        service_label=monitoring.service_label, step_s=monitoring.scrape_interval_s,
    )  # fmt: skip
