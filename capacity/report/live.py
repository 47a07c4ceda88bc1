"""The page of a promotion that runs: written whole with every look, reloaded by whoever has it open."""

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from capacity.display import to_html
from capacity.document import write_text
from capacity.report.page import environment

if TYPE_CHECKING:
    from capacity.tracking import Status
    from capacity.workspace import Workspace

RELOAD_S = 30
_CHARTS, _ROWS = 3, 40


def write_live_page(ws: "Workspace", status: "Status", *, every_s: int = RELOAD_S) -> Path:
    """Write ``reports/tracking/ID/live.html``; return where.

    Parameters
    ----------
    ws
        The company's folder.
    status
        How things stand.
    every_s
        How often the page reloads itself.
    """
    services = status.to_frame().drop(columns=["takes", "rejected_fraction", "instances"])
    charts = [Markup(status.plot(name)._repr_html_()) for name in services["service"].head(_CHARTS)]  # noqa: S704
    anomalies = Markup(to_html(status.anomaly_frame())) if status.anomalies else None  # noqa: S704 - escaped there
    text = (
        environment()
        .get_template("live.html")
        .render(
            status=status,
            services=Markup(to_html(services.head(_ROWS), units=dict(status.units))),  # noqa: S704
            anomalies=anomalies,
            charts=charts,
            every_s=every_s,
        )
    )
    path = ws.reports_dir / "tracking" / ws.promotions[status.promotion_id].slug / "live.html"
    write_text(path, text)
    return path
