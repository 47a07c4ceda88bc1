"""Every notebook is executed on the sample company, and its page is what a reader without a network needs."""

import re
from datetime import date

import pytest

from capacity.flow import plan_promotion
from capacity.report import REPORTS, load_tests_ahead, run_reports, show_each
from capacity.workspace import Workspace

PROMOTION, AS_OF = "2026-double11", "2026-10-20"
AFTER = ("tracking", "retrospective")


@pytest.fixture(scope="module")
def pages(sample_dir, tmp_path_factory) -> dict[str, str]:
    import shutil

    folder = shutil.copytree(sample_dir, tmp_path_factory.mktemp("reports") / "shop")
    before, after = Workspace(folder, as_of=AS_OF), Workspace(folder)
    before.save(*plan_promotion(before, PROMOTION), approved_by="ada")
    runs = run_reports(before, [name for name in REPORTS if name not in AFTER], promotion=PROMOTION, jobs=2)
    runs += run_reports(after, list(AFTER), promotion=PROMOTION)
    assert {done.report: (done.status, done.error) for done in runs} == dict.fromkeys(REPORTS, ("ok", None))
    assert all(done.verdict for done in runs)
    return {done.report: (done.folder / "index.html").read_text(encoding="utf-8") for done in runs}


@pytest.mark.parametrize("name", REPORTS)
def test_page_is_whole_without_a_network(pages, name):
    page = pages[name]
    # A figure a service, a run and a planned test are many.
    assert len(page.encode()) < (2_500_000 if name == "saturation" else 1_500_000)
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


def test_the_saturation_page_shows_runs_and_the_tests_ahead(pages):
    alts = re.findall(r'alt="([^"]*)"', pages["saturation"])
    kinds = {"Panels for ": 0, "Two panels for ": 0, "Steps from ": 0, "Bars for ": 0}
    for alt in alts:
        for kind in kinds:
            kinds[kind] += alt.startswith(kind)
    assert kinds["Bars for "] == 1
    assert min(kinds["Panels for "], kinds["Two panels for "], kinds["Steps from "]) >= 10
    assert "come beside the test" in pages["saturation"]


def test_of_a_promotion_that_is_over_the_page_says_why_no_test_is_planned(sample_dir):
    told = load_tests_ahead(Workspace(sample_dir), PROMOTION)
    assert repr(told).startswith(f"- No load test can be planned before {PROMOTION}: ")
    assert "<li>" in told._repr_html_()


def test_many_figures_are_counted_and_not_drawn(sample_dir):
    chart = Workspace(sample_dir, as_of=AS_OF).load_tests()[0].plot()
    some = show_each([chart] * 5, most=2)
    assert some._repr_html_().count("<figure") == 2
    assert "3 more are not drawn here." in some._repr_html_()
    assert "more" not in show_each([chart])._repr_html_().rpartition("</figure>")[2]


def test_nothing_after_as_of_is_on_the_forecasts_page(pages):
    history_ends = date.fromisoformat(AS_OF)
    assert "2026-10-20" in pages["forecast"]
    assert history_ends.isoformat() in pages["plan"]
