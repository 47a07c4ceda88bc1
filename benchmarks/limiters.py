"""What nginx, HAProxy and Envoy let through of a limit, side by side, with the files that are exported for them.

The load and the servers are those of the tests; each program must be installed (``make tools``).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

SECONDS = 6.0
OVERLOADS = (2.0, 5.0)


def run() -> str:
    """Return the table."""
    from capacity.demo import make_company
    from capacity.export import Source
    from capacity.flow import plan_promotion
    from capacity.workspace import Workspace, create_workspace
    from tests.export.sources import of_services, with_document
    from tests.export.test_limiters import BURST, LIMIT, SERVERS
    from tests.export.traffic import backend, play

    lines = [
        "| limiter | offered ÷ limit | admitted ÷ limit | most in 0.1 s | a bucket allows |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        create_workspace(Path(scratch) / "shop", sample=make_company(0))
        ws = Workspace(Path(scratch) / "shop", as_of="2026-10-20")
        promotion = ws.promotions["2026-double11"]
        plan = plan_promotion(ws, promotion.id)[0]
        source = of_services(
            Source(plan, ws.services.for_promotion(promotion), promotion, ws.settings, "x"), "home", "cart"
        )
        services = {name: dict(entry) for name, entry in source.document["services"].items()}
        services["home"] |= {"cluster_limit_qps": LIMIT, "burst_requests": BURST, "instance_limit_qps": LIMIT / 2}
        limited = with_document(source, services=services)
        for name, serve in SERVERS.items():
            for overload in OVERLOADS:
                folder = Path(tempfile.mkdtemp(dir=scratch))
                with backend() as behind, serve(limited, folder, behind.port) as port:
                    played = play(port, overload * LIMIT, SECONDS, headers=("Host: home",))
                offered, admitted = (played.rate(status, 1.0, SECONDS) / LIMIT for status in (None, 200))
                bound = BURST + 0.1 * LIMIT
                lines.append(f"| {name} | {offered:.2f} | {admitted:.3f} | {played.most_in(0.1)} | {bound:.0f} |")
    return "\n".join(lines)
