"""What people named is text on a page: never markup, never a script, never an address."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from capacity.catalog import Catalog, Service, parse_services
from capacity.display import to_html
from capacity.display.figures import Chart, new_figure
from capacity.report.index import write_index
from capacity.report.page import render_page
from capacity.report.verdict import record
from capacity.saturation import fit_saturation
from capacity.workspace import Workspace

EVIL = "<script>alert(1)</script><img src=x onerror='x()'>\"&{{ 7*7 }}"
RUN = {
    "promotion": EVIL, "as_of": "2026-03-01", "report": "plan", "status": "ok", "started_at": EVIL, "duration_s": 1,
    "code": EVIL, "versions": {EVIL: EVIL}, "inputs": [{"path": EVIL, "rows": 1, "sha256": EVIL}], "error": None,
}  # fmt: skip


class _Tags(HTMLParser):
    """Every element of a page, as a browser would see it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def read_harmless(page: str) -> _Tags:
    tags = _Tags()
    tags.feed(page)
    for tag, attributes in tags.seen:
        assert tag != "script"
        assert not [name for name in attributes if name.startswith("on")]
        assert tag != "img" or str(attributes["src"]).startswith("data:")
        assert "javascript" not in str(attributes.get("href"))
    return tags


def assert_harmless(page: str) -> None:
    assert "<script>alert(1)</script>" in read_harmless(page).text


def test_tables_verdicts_and_results():
    catalog = Catalog.from_services([Service(name=EVIL, tier="core", max_qps=9.0)])
    curves = fit_saturation([], catalog, n_samples=10)
    for page in (
        to_html(pd.DataFrame({EVIL: [EVIL]}, index=[EVIL]), caption=EVIL, units={EVIL: EVIL}),
        record(f"Not ready: {EVIL}.")._repr_mimebundle_()["text/html"],
        curves._repr_html_(),
    ):
        assert_harmless(page)


def test_figures_say_names_as_text():
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.plot(np.arange(3))
    axes.set_title(EVIL.replace("$", ""))
    chart = Chart(figure=figure, title=EVIL, alt=EVIL, frame=pd.DataFrame({"x": [1]}))
    assert_harmless(chart._repr_html_())


@pytest.mark.parametrize("kind", ["markdown", "plain", "stdout"])
def test_page(kind):
    output = {
        "plain": {"output_type": "execute_result", "data": {"text/plain": EVIL}},
        "stdout": {"output_type": "stream", "name": "stdout", "text": [EVIL]},
    }.get(kind)
    cell = {"cell_type": "markdown", "source": f"# {EVIL}\n\n{EVIL}\n"}
    cells = [cell if output is None else {"cell_type": "code", "outputs": [output]}]
    page = render_page(cells, title=EVIL, run=RUN)
    assert_harmless(page)
    assert "{{ 7*7 }}" in read_harmless(page).text


def test_a_link_in_a_name_leads_nowhere_harmful():
    cells = [{"cell_type": "markdown", "source": "[shop](javascript:alert(1)) <a href='javascript:x()'>x</a>"}]
    read_harmless(render_page(cells, title="Plan", run=RUN))


def test_index_lists_runs_of_any_name(tmp_path):
    folder = tmp_path / "plan" / "x" / "2026-03-01"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(RUN | {"status": "failed", "error": EVIL}), encoding="utf-8")
    page = write_index(tmp_path).read_text(encoding="utf-8")
    own_script = page[page.index("<script>") : page.index("</script>") + len("</script>")]
    assert "alert" not in own_script
    assert_harmless(page.replace(own_script, ""))


def test_results_of_a_whole_plan(sample_dir: Path):
    from capacity.forecast import forecast_demand
    from capacity.peaks import forecast_peaks
    from capacity.plan import make_plan
    from capacity.rehearsal import rehearse

    ws = Workspace(sample_dir, as_of="2026-10-20")
    promotion = ws.promotions["2026-double11"]
    demand = forecast_demand(ws.daily_activity(), promotion, promotions=ws.promotions, n_samples=50)
    name = EVIL.replace('"', "'")
    text = f'- {{name: "{name}", tier: core, max_qps: 9000, entry: {{per_dat: 3, per_dau: 2}}}}\n'
    services = parse_services(text)
    peaks = forecast_peaks(demand, ws.traffic(), services=services)
    curves = fit_saturation([], services, n_samples=50)
    plan = make_plan(peaks, curves, services=services, risk=ws.risk)
    for result in (peaks, curves, plan, rehearse(plan, n_paths=2)):
        read_harmless(result._repr_html_())
    assert_harmless(plan._repr_html_())
    assert_harmless(plan.plot()._repr_html_())
