"""The notebooks that can be run as reports, and their typed parameters."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from capacity.document import write_text
from capacity.errors import Problem, UsageError, did_you_mean

REPORTS: Mapping[str, str] = {
    "kickoff": "Kick-off: the brief, what is expected, what was assumed",
    "decision": "Decision: ready or not, what it costs, what may go wrong, what to decide",
    "forecast": "Forecast: people, orders and the worst second",
    "saturation": "Saturation: what each service can take at its SLO",
    "plan": "Plan: instances, limits, degradation and how surely it holds",
    "rehearsal": "Rehearsal: what breaks first, when and why, and what mends it",
    "readiness": "Readiness: everything open before the freeze",
    "backtest": "Backtest: how good past forecasts would have been",
    "tracking": "Tracking: what is seen against forecast and limits, and what is still to come",
    "retrospective": "Retrospective: forecast and plan against what happened",
}
"""Report names and their titles; each is a notebook of the same name."""

_TYPES: Mapping[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


@dataclass(frozen=True)
class Parameter:
    """One typed parameter of a notebook.

    Attributes
    ----------
    name, kind, default, help
        Its name; ``str``, ``int``, ``float`` or ``bool``; the value without one given; the comment behind it.
    """

    name: str
    kind: str
    default: object
    help: str


def notebook_path(name: str) -> Path:
    """Return where the notebook of a report lies, in a checkout or in the installed package.

    Raises
    ------
    UsageError
        If it is missing.
    """
    package = Path(__file__).resolve().parents[1]
    places = [package / "notebooks", package.parent / "notebooks"]
    for place in places:
        if (place / f"{name}.ipynb").is_file():
            return place / f"{name}.ipynb"
    raise UsageError(f"the notebook of report {name!r} is missing", remedy="install the package again")


def lend_notebooks(directory: Path) -> list[Path]:
    """Copy the notebooks into a workspace's ``notebooks/``, those already there left as they are."""
    lent = []
    for name in REPORTS:
        source, target = notebook_path(name), directory / "notebooks" / f"{name}.ipynb"
        if not target.exists():
            write_text(target, source.read_text(encoding="utf-8"))
            lent.append(target)
    return lent


def read_parameters(notebook: Path) -> tuple[Parameter, ...]:
    """Read the typed parameters cell of a notebook without starting a kernel.

    Each line of the cell tagged ``parameters`` is ``name: type = default  # help``.
    """
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        return ()
    source = "".join(tagged[0]["source"])
    lines = source.splitlines()
    return tuple(
        Parameter(
            name=node.target.id,
            kind=ast.unparse(node.annotation),
            default=ast.literal_eval(node.value) if node.value is not None else None,
            help=lines[node.lineno - 1].partition("#")[2].strip(),
        )
        for node in ast.parse(source).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    )


def check_parameters(name: str, values: Mapping[str, object]) -> dict[str, object]:
    """Return a report's parameters, defaults filled in, or raise with every problem at once.

    Raises
    ------
    UsageError
        If there is no such report, or naming each unknown name, wrong type and unreadable date.

    Examples
    --------
    >>> check_parameters("forecast", {"promotion": "2026-double11", "as_of": "2026-10-20"})["promotion"]
    '2026-double11'
    """
    if name not in REPORTS:
        remedy = did_you_mean(name, REPORTS) or f"take one of: {', '.join(REPORTS)}"
        raise UsageError(f"there is no report {name!r}", remedy=remedy)
    known = {parameter.name: parameter for parameter in read_parameters(notebook_path(name))}
    problems = [_problem(key, value, known) for key, value in values.items()]
    found = [problem for problem in problems if problem is not None]
    if found:
        raise UsageError(f"report {name}: parameters that cannot be used", problems=found)
    return {key: parameter.default for key, parameter in known.items()} | dict(values)


def _problem(key: str, value: object, known: Mapping[str, Parameter]) -> Problem | None:
    if key not in known:
        return Problem(key, "an unknown parameter", f"one of {', '.join(known)}", did_you_mean(key, known))
    kind = _TYPES[known[key].kind]
    fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    if not fits and not (kind is float and isinstance(value, int) and not isinstance(value, bool)):
        return Problem(key, repr(value), known[key].kind, known[key].help)
    if key == "as_of" and value:
        try:
            date.fromisoformat(str(value))
        except ValueError:
            return Problem(key, repr(value), "a date such as 2026-10-20", "write the day as YYYY-MM-DD")
    return None
