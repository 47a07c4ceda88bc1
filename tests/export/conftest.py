"""Generated load tests, run with the real tool where it is, or with stand-ins for its modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from capacity.catalog import Service
from capacity.export import Source, locust_file
from capacity.staircase import Downstream, Staircase
from capacity.staircase.rules import stop_rules

RATES = (50.0, 100.0, 110.0, 120.0)


def make_test(name: str = "shop", *, seconds: float = 60.0, **slo: float) -> Staircase:
    given = slo or {"p95_ms": 100.0, "error_fraction": 0.001}
    service = Service.model_validate({"name": name, "tier": "core", "slo": given, "calls": [{"to": "db"}]})
    lengths = (seconds,) * len(RATES)
    return Staircase(name, 2, 115.0, RATES, lengths, stop_rules(service, RATES[-1]), (), warm_up_s=15.0)


def hard_limit(name: str, most: float) -> Downstream:
    return Downstream(name, 1.0, RATES[-1], None, most, "sla", is_hard=True)


def _stand_ins(clock: SimpleNamespace) -> dict[str, ModuleType]:
    def module(name: str, **content: Any) -> ModuleType:
        made = ModuleType(name)
        made.__dict__.update(content)
        return made

    class Hook:
        def add_listener(self, function: Any) -> Any:
            return function

    class Shape:
        runner: Any = None

    hooks = ("init", "report_to_master", "worker_report", "quitting")
    return {
        "gevent": module("gevent", sleep=lambda _s: None, spawn=lambda function, *a: function(*a)),
        "locust": module(
            "locust",
            FastHttpUser=type("FastHttpUser", (), {}),
            LoadTestShape=Shape,
            constant=lambda _s: None,
            events=SimpleNamespace(**{name: Hook() for name in hooks}),
            task=lambda function: function,
        ),
        "locust.runners": module(
            "locust.runners", MasterRunner=type("MasterRunner", (), {}), WorkerRunner=type("WorkerRunner", (), {})
        ),
        "time": module("time", perf_counter=lambda: clock.now),
    }


@pytest.fixture
def load_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., SimpleNamespace]:
    """Run a generated Locust file's text with stand-ins; its names come back, with the clock that it reads."""

    def load(test: Staircase, *limits: Downstream, **environment: str) -> SimpleNamespace:
        clock = SimpleNamespace(now=1000.0)
        with monkeypatch.context() as patch:
            patch.setenv("CAPACITY_OUT", str(tmp_path / "out"))
            for name, value in environment.items():
                patch.setenv(f"CAPACITY_{name}", value)
            for name, made in _stand_ins(clock).items():
                patch.setitem(sys.modules, name, made)
            names: dict[str, Any] = {"__name__": "generated"}
            exec(compile(locust_file(test, limits=limits), "generated.py", "exec"), names)
        return SimpleNamespace(**names, clock=clock)

    return load


@pytest.fixture(scope="session")
def sample_source(sample_dir: Path) -> Source:
    """The sample's plan with the words around it."""
    from capacity.flow import plan_promotion
    from capacity.workspace import Workspace

    ws = Workspace(sample_dir, as_of="2026-10-20")
    promotion = ws.promotions["2026-double11"]
    plan, _ = plan_promotion(ws, promotion.id)
    return Source(plan, ws.services.for_promotion(promotion), promotion, ws.settings, approved_by="who")
