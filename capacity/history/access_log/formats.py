"""What a log's lines look like: common and combined, as Apache and nginx write them, or JSON.

Read from Apache's documentation, "Log Files", and nginx's, "Module ngx_http_log_module".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capacity.errors import InputError
from capacity.history.engine import quote_text
from capacity.history.sources import read_head

_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
COMBINED = (
    r'^\S+ \S+ (?:"(?:[^"\\]|\\.)*"|\S+(?: \S+)*?) \[(\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [-+]\d{4})\] '
    r'"((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)(?: "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"(?: (?:.* )?(\d+\.\d+)\s*$)?)?'
)
_PREFIX = r"\S+ \S+ \S[^\[]*\[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [-+]\d{4}\] "
_MIDDLE = r" \d{3} (?:\d+|-) ?"
_SPLIT = f"""CASE
    WHEN NOT contains(l, chr(92)) AND len(x) IN (3, 7) AND regexp_full_match(x[1], {quote_text(_PREFIX)})
        AND regexp_full_match(rtrim(x[3], chr(13)), {quote_text(_MIDDLE)})
    THEN struct_pack(stamp := right(x[1], 28)[:26], request := x[2], status := x[3][2:4], agent := coalesce(x[6], ''),
        seconds := CASE WHEN len(x) = 7 THEN regexp_extract(x[7], ' (\\d+[.]\\d+)\\s*$', 1) ELSE '' END)
    ELSE regexp_extract(l, {quote_text(COMBINED)}, ['stamp', 'request', 'status', 'agent', 'seconds']) END"""
"""Quotes tell the parts of most lines; only a line with escapes, or of an odd shape, is worth the whole expression."""

_ALIASES: Mapping[str, tuple[str, ...]] = {
    "at": ("time", "timestamp", "@timestamp", "ts", "time_iso8601", "time_local", "start_time", "StartUTC", "msec"),
    "path": ("path", "uri", "request_uri", "url", "RequestPath", "request", "http_path"),
    "status": ("status", "response_code", "status_code", "code", "DownstreamStatus", "http_status"),
    "agent": ("user_agent", "http_user_agent", "userAgent", "agent", "request_User-Agent"),
    "seconds": ("request_time", "duration_s", "response_time"),
    "ms": ("duration_ms", "latency_ms", "duration", "response_time_ms"),
    "service": ("service", "upstream_cluster", "ServiceName", "app"),
}


@dataclass(frozen=True, eq=False)
class LogFile:
    """One file of log lines.

    Attributes
    ----------
    path, packing
        Where it is, and how it is packed.
    fields
        Of JSON lines: their name by what they mean; None of common and combined lines.
    """

    path: Path
    packing: str | None
    fields: Mapping[str, str] | None

    def lines_sql(self, *, bytewise: bool, rejects: bool = True) -> str:
        """Return the relation of its lines, one column ``l``.

        Parameters
        ----------
        bytewise
            Read bytes as characters: every line arrives, whatever its encoding, at half the speed.
        rejects
            Remember lines that are too long, or not UTF-8.
        """
        packing = self.packing or "none"
        return (
            f"read_csv({quote_text(str(self.path))}, delim='\x01\x02\x03\x02', quote='', escape='', header=false, "
            f"columns={{'l': 'VARCHAR'}}, auto_detect=false, strict_mode=false, max_line_size=4194304, "
            f"ignore_errors=true, store_rejects={str(rejects).lower()}, compression={quote_text(packing)}, "
            f"encoding={quote_text('latin-1' if bytewise else 'utf-8')}, "
            "null_padding=true)"
        )

    def parts_sql(self) -> str:
        """Return the expressions ``stamp, request, status, agent, seconds``, of JSON ``own`` too; broken: no stamp."""
        if self.fields is None:
            return f"unnest({_SPLIT})"
        taken = {what: f"json_extract_string(l, {quote_text(_pointer(name))})" for what, name in self.fields.items()}
        request = taken.get("path", "NULL")
        seconds = taken.get("seconds") or (f"(try_cast({taken['ms']} AS DOUBLE) / 1000)" if "ms" in taken else "NULL")
        return (
            f"{taken['at']} AS stamp, {request} AS request, {taken['status']} AS status, "
            f"{taken.get('agent', 'NULL')} AS agent, CAST({seconds} AS VARCHAR) AS seconds, "
            f"{taken.get('service', 'NULL')} AS own"
        )


def open_log(path: Path) -> LogFile:
    """Tell by its first lines what a file is.

    Raises
    ------
    InputError
        If it is empty, or its JSON lines do not tell time and status.
    """
    with path.open("rb") as file:
        first = file.read(4)
    packing = next((name for magic, name in _PACKED.items() if first.startswith(magic)), None)
    try:
        head = read_head(path, packing, 1 << 16).decode("latin-1")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error})", remedy="is it whole?") from None
    lines = [line for line in head.splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path} is empty", remedy="leave it out")
    if not lines[0].lstrip().startswith("{"):
        return LogFile(path, packing, None)
    return LogFile(path, packing, _fields(path, lines))


def _fields(path: Path, lines: list[str]) -> dict[str, str]:
    objects = [found for line in lines[:50] if isinstance(found := _loads(line), dict)]
    names = {name for one in objects for name in one}
    fields = {
        what: next(alias for alias in aliases if alias in names)
        for what, aliases in _ALIASES.items()
        if any(alias in names for alias in aliases)
    }
    missing = [what for what in ("at", "status") if what not in fields]
    if missing:
        known = "; ".join(f"{what}: {', '.join(_ALIASES[what])}" for what in missing)
        raise InputError(
            f"{path}: its JSON lines name no {' and no '.join('time' if what == 'at' else what for what in missing)}",
            remedy=f"one of these names is read: {known}",
        )
    return fields


def _loads(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
