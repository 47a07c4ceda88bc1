"""What commands share: common options, tables for people, JSON for programs, progress."""

import functools
import json
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from capacity.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


_STEERING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command ``-w``, ``--as-of``, ``--json`` and ``--debug``, which may stand before or after the verb.

    The command gets ``ws``, the opened workspace, and ``as_json``.
    """

    @click.option("-w", "--workspace", "directory", default=None, metavar="DIR", help="The workspace.  [default: .]")
    @click.option("--as-of", default=None, metavar="DATE", help="Know nothing of this day or later.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
    @click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
    @functools.wraps(command)
    def wrapped(directory: str | None, as_of: str | None, debug: bool, **rest: Any) -> Any:
        from capacity.workspace import Workspace

        _quiet_warnings(debug)
        ctx = click.get_current_context()
        above = ctx.find_root().obj or {}
        ws = Workspace(
            directory or above.get("directory") or ".", as_of=_given_day(above.get("as_of") if as_of is None else as_of)
        )
        return ctx.invoke(command, ws=ws, **rest)

    return wrapped


def print_json(verb: str, content: Mapping[str, object]) -> None:
    """Print one object, ``{"schema": "capacity.VERB/1", …}``, and nothing else."""
    object_ = _plain({"schema": f"capacity.{verb}/1"} | dict(content))
    text = json.dumps(object_, ensure_ascii=False, allow_nan=False)
    # JSON escapes most of what steers a terminal, but not these; escaped they are the same text to who reads it.
    click.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def print_table(frame: "pd.DataFrame", *, title: str = "", units: Mapping[str, str] | None = None) -> None:
    """Print a frame as a plain table with an optional title."""
    from capacity.display import to_text

    if title:
        click.echo(f"\n{title}")
    click.echo(to_text(frame, units=dict(units or {})))


def print_lines(title: str, lines: "tuple[str, ...] | list[str]") -> None:
    """Print sentences as a list below a title; nothing when there are none."""
    if lines:
        click.echo(f"\n{title}")
    for line in lines:
        print_text(f"  - {line}")


def print_text(text: str, *, err: bool = False) -> None:
    """Print a line in which names of files and requests may stand, without what steers a terminal."""
    from capacity.display.escape import plain

    click.echo(plain(text), err=err)


@contextmanager
def progress(verb: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, on standard error; stay silent elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _step: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda step: bar.update(task, description=step)


def read_moment(text: str | None, option: str, zone: ZoneInfo) -> datetime | None:
    """Read an option's time by the rules of the files; None where it was not given.

    Raises
    ------
    UsageError
        If it is no time, a day alone, or a local time that a clock change skips or repeats.
    """
    from pydantic import TypeAdapter, ValidationError

    from capacity.document.contract import Moment

    if text is None:
        return None
    try:
        found: datetime = TypeAdapter(Moment).validate_python(text, context={"zone": zone})
    except ValidationError as error:
        wanted = error.errors(include_url=False)[0].get("ctx", {})
        expected = wanted.get("expected", "a time such as 2026-11-10T20:10")
        raise UsageError(f"{option}: got {text!r}, expected {expected}", remedy=str(wanted.get("remedy", ""))) from None
    return found


def _given_day(text: str | None) -> str | None:
    # An empty shell variable must not silently become another day.
    if text is not None and not text.strip():
        raise UsageError(
            "--as-of: got nothing, expected a day such as 2026-10-20", remedy="leave --as-of out or give it"
        )
    return text


def _quiet_warnings(debug: bool) -> None:
    # Numeric warnings of libraries mean nothing to who reads a plan; tests turn them into errors.
    if not debug:
        warnings.simplefilter("ignore")


def _plain(value: Any) -> Any:
    """Return what JSON knows: unknown numbers as null, times in ISO form, arrays as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    return None if "NA" in type(value).__name__ else str(value)
