"""What a report run rests on, as one hash: the same key is the same page."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capacity.workspace import Workspace


def run_key(
    report: str, *, parameters: Mapping[str, object], inputs: Sequence[Mapping[str, object]], notebook: Path
) -> str:
    """Return the key of a run: report, parameters, inputs by content, and code.

    The workspace's folder is left out of the parameters: the same files elsewhere are the same run.
    """
    given = {name: value for name, value in parameters.items() if name != "workspace"}
    rests_on = [[item["path"], item["sha256"]] for item in inputs]
    parts = {"report": report, "parameters": given, "inputs": rests_on, "code": code_hash(notebook)}
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def code_hash(notebook: Path) -> str:
    """Return a hash over the notebook and every source file of the package."""
    return hashlib.sha256(notebook.read_bytes() + _package_hash()).hexdigest()


@cache
def _package_hash() -> bytes:
    package = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        total.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return total.digest()


def report_inputs(workspace: "Workspace", slug: str) -> list[dict[str, object]]:
    """Return what a promotion's reports rest on: the workspace's inputs, the promotion's plans and its journal."""
    data = workspace.directory / "data"
    files = [*sorted((data / "plans" / slug).glob("*/*.json")), data / "journal" / f"{slug}.jsonl"]
    own: list[dict[str, object]] = [
        {
            "path": path.relative_to(workspace.directory).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "rows": None,
        }
        for path in files
        if path.is_file()
    ]
    return [*workspace.inputs(), *own]
