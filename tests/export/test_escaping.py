"""Names of any origin are data in generated scripts, never code."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from capacity.catalog import Service
from capacity.document.contract import Name
from capacity.export import k6_script, locust_file
from capacity.export.loadtest import as_literal
from capacity.loadtest import read_load_test
from tests.export.conftest import hard_limit, make_test

EVIL = [
    "'''); import os; os.abort() #",
    '"); process.exit(1); //',
    "a\nb\r\n# c",
    "back\\slash\\",
    "</script><script>alert(1)</script>",
    "${process.exit(1)} `x` #{y} {{z}} %(s)s",
    "\u2028\u2029\x7f\x00\x85",
    "双11 😀 __PLAN__",
    "*/ /* -->",
    ": yaml - [x] {y} & * ! | > ' \" % @",
]


NAME: TypeAdapter[str] = TypeAdapter(Name)


def is_name(text: str) -> bool:
    """Whether the catalogue takes it: a name of spaces alone, of any kind, it does not."""
    try:
        NAME.validate_python(text)
    except ValidationError:
        return False
    return True


TEXT = st.one_of(st.sampled_from(EVIL), st.text(min_size=1, max_size=60).filter(is_name))


def plan_of_python(text: str) -> dict[str, object]:
    """Find the one literal that json.loads is given, without running anything."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    literals = [
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) == "json.loads" and call.args and isinstance(call.args[0], ast.Constant)
    ]
    assert len(literals) == 1
    found: dict[str, object] = json.loads(str(literals[0]))
    return found


@given(TEXT)
@settings(max_examples=60)
def test_a_literal_is_ascii_without_signs_that_end_anything(name: str) -> None:
    text = as_literal({"service": name})
    assert text.isascii()
    assert json.loads(text) == {"service": name}
    assert not set("'<>&$`") & set(text)
    assert '"""' not in text


@given(TEXT)
@settings(max_examples=40)
def test_the_locust_file_holds_the_name_as_data(name: str) -> None:
    text = locust_file(make_test(name), limits=[hard_limit(name, 50.0)])
    plan = plan_of_python(text)
    assert plan["service"] == name
    plain = locust_file(make_test("plain"))
    assert ast.dump(ast.parse(text)).count("Call(") == ast.dump(ast.parse(plain)).count("Call(")


def test_services_from_files_are_escaped_too() -> None:
    for name in EVIL:
        service = Service.model_validate({"name": name, "tier": "core", "calls": [{"to": name + "x"}]})
        assert plan_of_python(locust_file(make_test(service.name)))["service"] == name


@pytest.mark.parametrize("name", [n for n in EVIL if "\x00" not in n])
def test_run_yaml_gives_the_name_back(name: str, load_file: Callable[..., SimpleNamespace], tmp_path: Path) -> None:
    file = load_file(make_test(name), MOCKED=name.replace(",", ";").strip())
    file.write_results(SimpleNamespace(ended={}, stop=None))
    text = (tmp_path / "out" / "run.yaml").read_text(encoding="utf-8")
    told = yaml.safe_load(text)
    assert told["service"] == name
    assert told["mocked"] == [name.strip()]
    steps = tmp_path / "out" / "steps.csv"
    steps.write_text("offered_qps,achieved_qps\n10,10\n", encoding="utf-8")
    assert read_load_test(tmp_path / "out", timezone="UTC").service == name


@given(st.text(max_size=40))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives_yaml(load_file: Callable[..., SimpleNamespace], text: str) -> None:
    file = load_file(make_test())
    assert yaml.safe_load(f"key: {file.as_yaml(text)}") == {"key": text}
    assert yaml.safe_load(f"key: {file.as_yaml({text: [text, 1.5]})}") == {"key": {text: [text, 1.5]}}


@pytest.mark.parametrize("name", EVIL)
def test_the_k6_script_holds_the_name_as_data(name: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the k6 script cannot be parsed")
    text = k6_script(make_test(name), limits=[hard_limit(name, 50.0)])
    script = tmp_path / "loadtest.mjs"
    script.write_text(text, encoding="utf-8")
    subprocess.run([node, "--check", str(script)], check=True, timeout=60)
    plan = text.partition("const PLAN = ")[2].partition(";\n\nconst HOST")[0]
    printed = subprocess.run(
        [node, "-e", f"process.stdout.write(JSON.stringify({plan}))"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    told = json.loads(printed.stdout)
    assert told["service"] == name
    assert told["downstream_limits"][0]["service"] == name


def test_what_was_not_given_is_not_in_the_files() -> None:
    text = locust_file(make_test()) + k6_script(make_test())
    assert "__PLAN__" not in text
