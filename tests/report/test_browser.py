"""Pages as a reader has them, in a real headless Chromium: links, filter, network, contrast, headings, print."""

import contextlib
import json
import shutil
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from capacity.flow import plan_promotion
from capacity.report import run_reports
from capacity.report.live import write_live_page
from capacity.report.tracking import tracking_status
from capacity.workspace import Workspace
from tests.real_programs import real_package, real_program

ID = "2026-double11"
REPORTS_MADE = ("kickoff", "retrospective")
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,1600"),
)

_CONTRAST = """
const parse = text => (text.match(/[0-9.]+/g) || []).map(Number);
const light = ([r, g, b]) => {
  const part = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const ground = element => {
  for (let one = element; one; one = one.parentElement) {
    const found = parse(getComputedStyle(one).backgroundColor);
    if (found.length === 3 || (found.length === 4 && found[3] === 1)) return found;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
};
const poor = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
  if (!own || ["SCRIPT", "STYLE"].includes(element.tagName) || !element.getClientRects().length) continue;
  const a = light(parse(getComputedStyle(element).color)), b = light(ground(element));
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < 4.5) poor.push(`${element.tagName} ${ratio.toFixed(2)} ${element.textContent.trim().slice(0, 40)}`);
}
return poor;
"""


_FOCUS = """
const one = document.activeElement, style = getComputedStyle(one);
return [[...document.querySelectorAll("*")].indexOf(one), style.outlineStyle !== "none" || style.boxShadow !== "none"];
"""
_CUT = """
return [...document.querySelectorAll(".output")].filter(
  one => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible").length;
"""


@pytest.fixture(scope="module")
def shop(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with pages, and with names that would be markup."""
    folder = Path(shutil.copytree(sample_dir, tmp_path_factory.mktemp("browser") / "shop"))
    before, after = Workspace(folder, as_of="2026-10-20"), Workspace(folder)
    before.save(*plan_promotion(before, ID), approved_by="<script>document.title='owned'</script>")
    runs = run_reports(before, ["kickoff"], promotion=ID) + run_reports(after, ["retrospective"], promotion=ID)
    assert [run.status for run in runs] == ["ok", "ok"]
    write_live_page(after, tracking_status(after, ID, at="2026-11-10T20:10"))
    return folder


@pytest.fixture(scope="module")
def pages(shop: Path) -> list[Path]:
    found = sorted((shop / "reports").rglob("*.html"))
    assert {path.name for path in found} == {"index.html", "live.html"}
    assert len(found) == 4
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = real_package("selenium.webdriver")
    chromium, driver = real_program("chromium"), real_program("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with contextlib.closing(socket.socket()):
        made = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    try:
        yield made
    finally:
        made.quit()


def opened(browser: Any, page: Path) -> list[dict[str, Any]]:
    """Open a page; return every request that it made."""
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(page.as_uri())
    events = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    return [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]


def test_no_request_leaves_and_the_console_is_silent(browser: Any, pages: list[Path]) -> None:
    for page in pages:
        asked = {request["request"]["url"].split(":", 1)[0] for request in opened(browser, page)}
        assert asked <= {"file", "data", "chrome"}, page
        assert browser.get_log("browser") == [], page
        assert page.stat().st_size < 1_500_000
        assert browser.execute_script("return document.title") != "owned"
        assert browser.execute_script("return document.querySelectorAll('main script').length") <= (
            page.parent.name == "reports"
        )


def test_every_link_leads_to_a_page_that_is_there(browser: Any, pages: list[Path]) -> None:
    reached = set()
    for page in pages:
        opened(browser, page)
        links = browser.execute_script("return [...document.querySelectorAll('a[href]')].map(a => a.href)")
        assert links or page.parent.name == "reports"
        for link in links:
            assert link.startswith("file://"), link
            target = Path(link.removeprefix("file://").split("#")[0])
            assert target.is_file(), link
            reached.add(target)
    assert {page for page in pages if page.name == "index.html"} <= reached


def test_the_filter_shows_what_is_chosen(browser: Any, shop: Path) -> None:
    opened(browser, shop / "reports" / "index.html")
    shown = "return [...document.querySelectorAll('tbody tr')].filter(r => !r.hidden).map(r => r.dataset.report)"
    assert sorted(browser.execute_script(shown)) == sorted(REPORTS_MADE)
    choose = """
        const picker = document.querySelector(`select[data-key=${arguments[0]}]`);
        picker.value = arguments[1];
        picker.dispatchEvent(new Event("change"));
    """
    browser.execute_script(choose, "report", "kickoff")
    assert browser.execute_script(shown) == ["kickoff"]
    browser.execute_script(choose, "status", "ok")
    assert browser.execute_script(shown) == ["kickoff"]
    browser.execute_script(choose, "report", "")
    assert len(browser.execute_script(shown)) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, pages: list[Path], scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        for page in pages:
            opened(browser, page)
            assert browser.execute_script(f"return matchMedia('(prefers-color-scheme: {scheme})').matches")
            assert browser.execute_script(_CONTRAST) == [], page
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_figures_tables_and_headings_are_told_to_who_cannot_see(browser: Any, pages: list[Path]) -> None:
    for page in pages:
        opened(browser, page)
        assert browser.execute_script("return document.documentElement.lang")
        assert browser.execute_script("return document.querySelectorAll('main').length") == 1
        alts = browser.execute_script("return [...document.images].map(i => [i.alt, i.complete && i.naturalWidth])")
        assert all(len(alt) >= 10 and width for alt, width in alts), page
        behind = "return [...document.querySelectorAll('figure')].filter(f => !f.querySelector('table')).length"
        assert browser.execute_script(behind) == 0, page
        bare = "return [...document.querySelectorAll('th')].filter(h => !h.scope).length"
        assert browser.execute_script(bare) == 0, page
        levels = browser.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels)), (page, levels)


@pytest.mark.parametrize("width", [390, 1200])
def test_a_page_fits_its_screen(browser: Any, pages: list[Path], width: int) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        for page in pages:
            opened(browser, page)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= width + 1, page
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_everything_that_acts_is_reached_by_the_keyboard(browser: Any, pages: list[Path]) -> None:
    from selenium.webdriver.common.keys import Keys

    for page in pages:
        opened(browser, page)
        wanted = browser.execute_script("return document.querySelectorAll('a[href], select, summary').length")
        body = browser.find_element("tag name", "body")
        seen = set()
        for _ in range(min(wanted, 12)):
            body.send_keys(Keys.TAB)
            place, ring = browser.execute_script(_FOCUS)
            seen.add(place)
            assert ring, "the focus is visible"
        assert len(seen) == min(wanted, 12)


def test_paper_is_white_and_whole(browser: Any, pages: list[Path]) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]},
    )
    try:
        for page in pages:
            opened(browser, page)
            ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
            assert ground in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)"), page
            assert browser.execute_script(_CUT) == 0, page
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
