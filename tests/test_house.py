"""The house: which part may import which (the design's table), what is exported, what stays unloaded."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import capacity

PACKAGE = Path(capacity.__file__).parent

# Every word may import the words before it; every other part all words, and what stands here.
WORDS = ["errors", "display", "result", "document", "promotion", "catalog", "graph", "lessons", "settings"]
MAY_IMPORT: dict[str, set[str]] = {
    "demo": set(),
    "history": set(),
    "loadtest": set(),
    "forecast": {"history"},
    "peaks": {"history", "forecast"},
    "saturation": {"history", "loadtest"},
    "staircase": {"peaks", "saturation"},
    "plan": {"peaks", "saturation"},
    "rehearsal": {"plan"},
    "operations": {"plan", "staircase"},
    "journal": set(),
    "tracking": {"history", "plan", "journal"},
    "retrospective": {"history", "plan", "operations", "journal"},
    "export": {"plan", "staircase", "operations"},
}
EDGES = ["workspace", "flow", "questions", "report", "cli"]  # each may import all that stands above it


def closure() -> dict[str, set[str]]:
    allowed = {word: set(WORDS[:place]) for place, word in enumerate(WORDS)}
    for part, direct in MAY_IMPORT.items():
        allowed[part] = set(WORDS) | direct | set().union(*(allowed[other] for other in direct))
    for place, edge in enumerate(EDGES):
        allowed[edge] = set(WORDS) | set(MAY_IMPORT) | set(EDGES[:place])
    return allowed


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "capacity"
                else [node.module or ""]
            )
    return {name.split(".")[1] for name in names if name.startswith("capacity.")}


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name not in {"__init__.py", "__main__.py"}
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_part_imports_only_what_the_table_allows(path):
    part = part_of(path)
    allowed = closure()
    assert part in allowed, f"{part} has no place in the design's table"
    assert imports(path) - {part} <= allowed[part]


def test_forecast_and_saturation_stay_strangers():
    allowed = closure()
    assert "saturation" not in allowed["forecast"]
    assert "forecast" not in allowed["saturation"]


def parts_with(pattern: str) -> set[str]:
    return {part_of(path) for path in SOURCES if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)}


def test_ibis_is_imported_in_history_alone():
    assert parts_with(r"^\s*(import|from) ibis\b") == {"history"}


def test_truth_is_opened_by_demo_alone():
    assert parts_with(r"truth/|read_truth") == {"demo"}


def test_exports_are_those_announced_and_all_load():
    assert capacity.__all__ == sorted(capacity.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in capacity.__all__:
        assert getattr(capacity, name).__module__.startswith("capacity.")
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = capacity.nonsense


@pytest.mark.parametrize("statement", ["import capacity", "from capacity.cli.main import run; run(['--help'])"])
def test_nothing_heavy_is_loaded_before_it_is_needed(statement):
    heavy = {
        "numpy",
        "pandas",
        "scipy",
        "xarray",
        "matplotlib",
        "duckdb",
        "ibis",
        "papermill",
        "statsmodels",
        "pydantic",
    }
    code = f"{statement}; import sys; print('LOADED', sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
