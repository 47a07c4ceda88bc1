"""The part of a workspace that takes data in."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from capacity.errors import UsageError
from capacity.settings import Settings
from capacity.workspace.template import SETTINGS_FILE

if TYPE_CHECKING:
    from capacity.history import IngestReport
    from capacity.history.access_log import AccessLogReport, ServiceRule
    from capacity.history.prometheus import Prometheus


class TakesIn:
    """Files, access logs and a Prometheus server on their way into the tables."""

    directory: Path

    if TYPE_CHECKING:

        @property
        def settings(self) -> Settings: ...  # noqa: D102 - the workspace has it

    def ingest(self, source: str, *, table: str, timezone: str | None = None) -> "IngestReport":
        """Check a source against a table's contract and take it in; see :func:`capacity.history.ingest`."""
        from capacity.history import ingest

        return ingest(
            source,
            table=table,
            workspace_dir=self.directory,
            timezone=self.settings.timezone,
            source_timezone=timezone,
        )

    def ingest_access_log(self, source: str, *, rule: "ServiceRule") -> "AccessLogReport":
        """Take an access log into ``traffic``; see :func:`capacity.history.access_log.ingest_access_log`."""
        from capacity.history.access_log import ingest_access_log

        return ingest_access_log(source, rule=rule, workspace_dir=self.directory, timezone=self.settings.timezone)

    def ingest_openmetrics(self, source: str) -> "IngestReport":
        """Take counters with timestamps into ``traffic``; see `capacity.history.prometheus.openmetrics`."""
        from capacity.history.ingestion import write_frame
        from capacity.history.prometheus.openmetrics import read_openmetrics

        if not Path(source).is_file():
            raise UsageError(f"{source}: no such file")
        rows = read_openmetrics(source, self.settings.monitoring)
        return write_frame("traffic", rows, root=self.directory, timezone=self.settings.timezone)

    def prometheus(self, url: str | None = None) -> "Prometheus":
        """Return the company's Prometheus, the one of ``capacity.toml`` when none is named.

        Raises
        ------
        UsageError
            If none is known, or its token cannot be read.
        """
        from capacity.history.prometheus import Prometheus

        known = url or self.settings.monitoring.url
        if not known:
            raise UsageError("no Prometheus is known", remedy=f"put its url under [monitoring] in {SETTINGS_FILE}")
        return Prometheus.from_environment(known)

    def ingest_prometheus(
        self, source: str = "prometheus", *, table: str = "traffic", first: date | str | None = None,
        last: date | str | None = None, step_s: float = 60.0,
    ) -> "IngestReport":  # fmt: skip
        """Take days of a Prometheus server into ``traffic``; see :func:`capacity.history.prometheus.ingest_prometheus`.

        Parameters
        ----------
        source
            ``prometheus`` for the one of ``capacity.toml``, or ``prometheus+http://HOST:PORT``.
        table
            ``traffic``; nothing else is asked of Prometheus.
        first, last
            Local days, both included; a week up to today when left out.
        step_s
            Length of an interval.
        """
        from capacity.history.prometheus import ingest_prometheus

        if table != "traffic":
            raise UsageError(f"--as: got {table!r}, expected traffic, which alone Prometheus is asked for")
        server = self.prometheus(source.removeprefix("prometheus").removeprefix("+"))
        until = read_day(last) or datetime.now(self.settings.zone).date()
        return ingest_prometheus(
            server, self.settings.monitoring, first=read_day(first) or until - timedelta(days=6), last=until,
            workspace_dir=self.directory, timezone=self.settings.timezone, step_s=step_s,
        )  # fmt: skip


def read_day(day: date | str | None) -> date | None:
    """Read a day as a command or a call names it; None for none."""
    if day is None or day == "":
        return None
    if isinstance(day, datetime):
        return day.date()
    if isinstance(day, date):
        return day
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise UsageError(
            f"as_of: got {day!r}, expected a date such as 2026-10-20", remedy="write the day as YYYY-MM-DD"
        ) from None
