"""Pages on paper: the decision on one sheet, its verdict readable by who searches it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from capacity.errors import UsageError
from capacity.flow import plan_promotion
from capacity.report import run_reports
from capacity.report.pdf import write_pdf
from capacity.workspace import Workspace
from tests.real_programs import real_package, real_program

ID = "2026-double11"


def test_the_decision_is_one_sheet(sample_copy: Path) -> None:
    real_package("weasyprint")
    pdftotext, pdfinfo = real_program("pdftotext"), real_program("pdfinfo")
    ws = Workspace(sample_copy, as_of="2026-10-20")
    ws.save(*plan_promotion(ws, ID), approved_by="ada")
    done = run_reports(ws, ["decision"], promotion=ID)[0]
    path = write_pdf(done.folder, report="decision")
    facts = subprocess.run([pdfinfo, str(path)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Pages:\s+1\n", facts)
    assert "A4" in facts
    words = " ".join(
        subprocess.run([pdftotext, str(path), "-"], capture_output=True, text=True, check=True).stdout.split()
    )
    assert " ".join(done.verdict.split())[:60] in words
    page = (done.folder / "index.html").read_text()
    for title in re.findall(r"<h2[^>]*>([^<]+)</h2>", page):
        assert title in words


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    (tmp_path / "index.html").write_text("<p>x</p>")
    with pytest.raises(UsageError) as caught:
        write_pdf(tmp_path, report="plan")
    assert "pip install 'capacity[pdf]'" in str(caught.value)
    assert not (tmp_path / "report.pdf").exists()
