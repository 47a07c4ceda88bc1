"""Every notebook is executed on the sample company, and its page is what a reader without a network needs."""

import re
from datetime import date

import pytest

from capacity.flow import plan_promotion
from capacity.report import REPORTS, run_reports
from capacity.workspace import Workspace

PROMOTION, AS_OF = "2026-double11", "2026-10-20"


@pytest.fixture(scope="module")
def pages(sample_dir, tmp_path_factory) -> dict[str, str]:
    import shutil

    folder = shutil.copytree(sample_dir, tmp_path_factory.mktemp("reports") / "shop")
    before, after = Workspace(folder, as_of=AS_OF), Workspace(folder)
    before.save(*plan_promotion(before, PROMOTION), approved_by="ada")
    runs = run_reports(before, [name for name in REPORTS if name != "retrospective"], promotion=PROMOTION, jobs=2)
    runs += run_reports(after, ["retrospective"], promotion=PROMOTION)
    assert {done.report: (done.status, done.error) for done in runs} == dict.fromkeys(REPORTS, ("ok", None))
    assert all(done.verdict for done in runs)
    return {done.report: (done.folder / "index.html").read_text(encoding="utf-8") for done in runs}


@pytest.mark.parametrize("name", REPORTS)
def test_page_is_whole_without_a_network(pages, name):
    page = pages[name]
    assert len(page.encode()) < 1_500_000
    addresses = re.findall(r"""(?:src|href|action)\s*=\s*["']([^"']*)""", page)
    assert all(address.startswith(("data:", "../../../index.html")) for address in addresses)
    assert "<script" not in page
    images = re.findall(r"<img[^>]*>", page)
    assert images
    assert all(re.search(r'alt="[^"]{10,}"', image) for image in images)
    assert page.index('class="verdict"') < page.index("<figure")


@pytest.mark.parametrize("name", REPORTS)
def test_page_shows_no_code_and_no_unknown_numbers(pages, name):
    text = re.sub(r"data:[^\"]*", "", pages[name])
    assert "import capacity" not in text
    assert not re.search(r">\s*(nan|NaN|inf|None|&lt;NA&gt;)\s*<", text)


def test_nothing_after_as_of_is_on_the_forecasts_page(pages):
    history_ends = date.fromisoformat(AS_OF)
    assert "2026-10-20" in pages["forecast"]
    assert history_ends.isoformat() in pages["plan"]
