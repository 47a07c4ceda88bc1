"""Evening: the promotion as it runs."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, print_text, read_moment

if TYPE_CHECKING:
    from capacity.tracking import Status, Tracker
    from capacity.workspace import Workspace

_ROWS = 12


@click.command()
@click.argument("promotion")
@click.option("--prometheus", "url", default=None, metavar="URL", help="Instead of the one of capacity.toml.")
@click.option("--every", "every_s", type=click.FloatRange(1.0), default=30.0, show_default=True, help="Seconds a look.")
@click.option("--once", is_flag=True, help="Look once.")
@click.option("--at", default=None, metavar="TIME", help="Look as of then, once, unless --speed.  [default: now]")
@click.option("--speed", type=click.FloatRange(1.0), default=None, help="Play from --at so many times as fast.")
@click.option("--replay", is_flag=True, help="Take the minutes from the traffic table: an evening played again.")
@click.option("--no-journal", is_flag=True, help="Write nothing into the journal.")
@click.option("--until", default=None, metavar="TIME", help="Stop then.  [default: the promotion's last phase ends]")
@common_options
def track(
    ws: "Workspace", promotion: str, url: str | None, every_s: float, once: bool, at: str | None,
    speed: float | None, replay: bool, no_journal: bool, until: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Follow PROMOTION: what is seen against forecast and limits, the peak to come, what is out of order, whom to call.

    What goes out of order is written into the journal, and when it is over. reports/tracking/PROMOTION/live.html
    shows the same and reloads itself. A Prometheus that does not answer is said, and asked again.
    """
    from capacity.questions import follow_promotion

    subject = ws.promotions[promotion]
    start = read_moment(at, "--at", ws.settings.zone)
    stop = read_moment(until, "--until", ws.settings.zone) or subject.phases[-1].ends_at
    tracker = follow_promotion(ws, promotion, url=url, replay=replay)
    looks = _Looks(ws, promotion, tracker, write_journal=not no_journal)
    if once or as_json or (start is not None and speed is None):
        status = looks.look(start or datetime.now(ws.settings.zone))
        if as_json:
            print_json("track", status.to_document() | {"page": str(looks.page)})
        else:
            _print(status, looks.page)
        return
    _follow(looks, _clock(start, speed or 1.0, every_s, ws.settings.zone), stop)


class _Looks:
    """One look after the other, each written down."""

    def __init__(self, ws: "Workspace", promotion: str, tracker: "Tracker", *, write_journal: bool) -> None:
        self.ws, self.promotion, self.tracker, self.write_journal = ws, promotion, tracker, write_journal
        self.page: Path | None = None

    def look(self, now: datetime) -> "Status":
        from capacity.journal import append_entries
        from capacity.report.live import write_live_page
        from capacity.tracking import entries_of

        journal = self.ws.journal(self.promotion)
        status = self.tracker.poll(now, journal=journal)
        if self.write_journal:
            new = entries_of(
                status.anomalies, journal, now=now, timezone=self.ws.settings.timezone, watched=status.watched
            )
            append_entries(self.ws.journal_path(self.promotion), new)
        self.page = write_live_page(self.ws, status)
        return status


def _clock(start: datetime | None, speed: float, every_s: float, zone: Any) -> Iterator[datetime]:
    """Yield the moments to look at, waiting between them."""
    began = time.monotonic()
    origin = start or datetime.now(zone)
    step = 0
    while True:
        passed = time.monotonic() - began
        if start is None:
            yield datetime.now(zone)
        else:
            yield origin + timedelta(seconds=passed * speed)
        step += 1
        time.sleep(max(began + step * every_s / speed - time.monotonic(), 0.0))


def _follow(looks: _Looks, moments: Iterator[datetime], stop: datetime) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        for now in moments:
            status = looks.look(now)
            live.update(_screen(status, looks.page), refresh=True)
            if now >= stop:
                break
    _print(status, looks.page)


def _screen(status: "Status", page: Path | None) -> Any:
    from rich.console import Group
    from rich.text import Text

    from capacity.display import to_text
    from capacity.display.escape import plain

    frame, anomalies = status.to_frame().head(_ROWS), status.anomaly_frame().head(_ROWS)
    parts = [Text(plain(status.summary()), style="bold red" if status.urgent else "bold green"), Text("")]
    if len(anomalies):
        parts += [Text(to_text(anomalies)), Text("")]
    parts.append(Text(to_text(frame, units=dict(status.units))))
    parts += [Text(plain(note), style="dim") for note in (*status.notes, f"page: {page}, Ctrl+C ends")]
    return Group(*parts)


def _print(status: "Status", page: Path | None) -> None:
    print_text(status.summary())
    if len(status.anomalies):
        print_table(status.anomaly_frame(), title="Out of order")
    print_table(status.to_frame(), title="Services, nearest to their limit first", units=status.units)
    print_lines("Mind", list(status.notes))
    click.echo(f"\n{page}")
