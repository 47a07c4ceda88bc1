"""The notebooks on the shelf: thin, typed, without outputs, runnable."""

import nbformat
import pytest

from capacity.errors import UsageError
from capacity.report import REPORTS, check_parameters, read_parameters
from capacity.report.shelf import lend_notebooks, notebook_path


@pytest.mark.parametrize("name", REPORTS)
def test_notebook_is_thin_typed_and_without_outputs(name):
    notebook = nbformat.read(notebook_path(name), as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(notebook.cells) < 25
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1
    parameters = read_parameters(notebook_path(name))
    assert [parameter.name for parameter in parameters][:3] == ["workspace", "promotion", "as_of"]
    assert all(parameter.help for parameter in parameters)


def test_wrong_parameters_are_told_all_at_once():
    with pytest.raises(UsageError) as caught:
        check_parameters("plan", {"promotoin": "x", "as_of": "tomorrow", "workspace": 3})
    assert "did you mean 'promotion'" in str(caught.value)
    assert "2026-10-20" in str(caught.value)
    assert "workspace" in str(caught.value)


def test_lent_notebooks_are_never_overwritten(tmp_path):
    assert len(lend_notebooks(tmp_path)) == len(REPORTS)
    mine = tmp_path / "notebooks" / "plan.ipynb"
    mine.write_text("mine", encoding="utf-8")
    assert lend_notebooks(tmp_path) == []
    assert mine.read_text(encoding="utf-8") == "mine"
