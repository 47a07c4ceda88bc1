"""A DuckDB in memory, bounded and offline, as an Ibis backend; and quoting for the few names that enter SQL."""

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_GIB = 1024**3


def connect(*, spill_dir: Path | None = None) -> Any:
    """Open an in-memory DuckDB as an Ibis backend.

    It takes at most half of the machine's memory (4 GiB at most) and spills the rest to `spill_dir`, installs
    nothing from the network, and computes in UTC.

    Parameters
    ----------
    spill_dir
        Where larger-than-memory work goes; a private name below the system's temporary folder when left out. It is
        made only when needed.

    Examples
    --------
    >>> connect().con.execute("SELECT current_setting('TimeZone')").fetchall()
    [('UTC',)]
    """
    import duckdb
    import ibis

    # A name of its own: two processes must not write each other's spill files.
    spill = spill_dir or Path(tempfile.gettempdir()) / f"capacity-spill-{os.getpid()}-{secrets.token_hex(4)}"
    backend = ibis.duckdb.connect()
    for setting, value in {
        "TimeZone": "UTC",
        "memory_limit": f"{_memory_limit() // 1024**2}MiB",
        "temp_directory": str(spill),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }.items():
        backend.con.execute(f"SET {setting} = {quote_text(value)}")
    # A bar would write into what programs read from standard output. Notebooks without ipywidgets refuse: no bar there.
    with suppress(duckdb.InvalidInputException):
        backend.con.execute("SET enable_progress_bar = false")
    return backend


@contextmanager
def quiet() -> Iterator[None]:
    """Keep back what DuckDB 2 says to Ibis 12 about how it is called: a user can do nothing about it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"fetch_\w+\(\) is deprecated", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="Arrow output on a DB-API result", category=UserWarning)
        yield


def quote_text(text: object) -> str:
    """Write a text as an SQL literal.

    Examples
    --------
    >>> quote_text("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """Write a name as an SQL identifier.

    Examples
    --------
    >>> quote_name('a"b')
    '"a""b"'
    """
    return '"' + name.replace('"', '""') + '"'


def _memory_limit() -> int:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 2 * _GIB
    return max(_GIB // 2, min(4 * _GIB, total // 2))
