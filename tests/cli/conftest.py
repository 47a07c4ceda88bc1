"""A company small enough to be broken in many ways, and the command line in this process."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from capacity.cli.main import run

SETTINGS = 'timezone = "Asia/Shanghai"\ncurrency = "CNY"\ncountry = "CN"\n'
PROMOTIONS = """\
- {id: 2026-spring, kind: spring, starts_at: 2026-03-20T20:00+08:00, ends_at: 2026-03-21T00:00+08:00}
"""
SERVICES = """\
- name: shop
  tier: core
  instances: 6
  zones: 3
  slo: {p99_ms: 300}
  entry: {per_dau: 20, per_dat: 10}
  calls: [{to: db, retries: 1}, {to: bank, per_request: 0.1}]
- {name: db, tier: core, scalable: false, max_qps: 90000}
- {name: bank, tier: core, third_party: true, max_qps: 5000}
"""
RUN = "service: shop\ninstances: 1\ntool: csv\nfiles: [steps.csv]\nstarted_at: 2026-02-20T02:00+08:00\n"
HEADER = "offered_qps,achieved_qps,concurrency,p50_ms,p95_ms,p99_ms,error_fraction,cpu_fraction,seconds\n"
LADDER = [(20, 20), (40, 21), (60, 22), (80, 24), (100, 28), (120, 35), (140, 60), (160, 140), (180, 400)]


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; a NaN or an infinity in it is a failure."""
        found: dict[str, Any] = json.loads(self.out, parse_constant=_refuse)
        return found


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} in JSON")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run a command line here; nothing that it says may be a traceback or its own fault."""

    def run_it(*arguments: object) -> Answer:
        try:
            code = run([str(argument) for argument in arguments])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        assert code != 1, err
        return Answer(code, out, err)

    return run_it


def daily_csv(days: int = 120) -> str:
    """Days up to 1 March 2026."""
    wobble = np.exp(np.random.default_rng(1).normal(0, 0.03, days))
    dates = np.datetime64("2026-03-01") - np.arange(days)[::-1]
    return "date,dau,dat\n" + "".join(
        f"{day},{int(10_000 * w)},{int(500 * w)}\n" for day, w in zip(dates, wobble, strict=True)
    )


def traffic_csv(days: int = 10) -> str:
    """Hours up to 1 March 2026."""
    rng = np.random.default_rng(2)
    shape = 1 + 0.6 * np.sin((np.arange(24) - 9) / 24 * 2 * np.pi)
    rows = ["ts,service,requests,p99_ms,instances"]
    for day in np.datetime64("2026-03-01") - np.arange(days)[::-1]:
        for name, volume in (("shop", 205_000), ("db", 205_000), ("bank", 20_500)):
            counts = rng.poisson(volume * shape / 24)
            rows += [f"{day}T{hour:02d}:00:00,{name},{n},60,6" for hour, n in enumerate(counts)]
    return "\n".join(rows) + "\n"


class Shop:
    """A workspace folder; texts are put in place of its files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __fspath__(self) -> str:
        return os.fspath(self.root)

    def __str__(self) -> str:
        return str(self.root)

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    def put(self, name: str, content: str | bytes) -> Path:
        """Write a file and return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path


def _fill(root: Path) -> Shop:
    shop = Shop(root)
    shop.put("capacity.toml", SETTINGS)
    shop.put("data/promotions.yaml", PROMOTIONS)
    shop.put("data/services.yaml", SERVICES)
    shop.put("data/loadtests/shop-1/run.yaml", RUN)
    rows = [f"{q},{min(q, 160)},{min(q, 160) * ms / 1000:.2f},{ms},{1.5 * ms},{2 * ms},0,,60" for q, ms in LADDER]
    shop.put("data/loadtests/shop-1/steps.csv", HEADER + "\n".join(rows) + "\n")
    return shop


@pytest.fixture(scope="session")
def _filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from capacity.workspace import Workspace

    shop = _fill(tmp_path_factory.mktemp("small") / "shop")
    workspace = Workspace(shop.root)
    for table, text in (("daily_activity", daily_csv()), ("traffic", traffic_csv())):
        workspace.ingest(str(shop.put(f"exports/{table}.csv", text)), table=table)
    return shop.root


@pytest.fixture(scope="session")
def _planned(_filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(_filled, tmp_path_factory.mktemp("planned") / "shop"))
    assert run(["-w", str(folder), "plan", "2026-spring", "--json", "--out", str(folder / "out.json")]) == 0
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Shop:
    """A shop without tables."""
    return _fill(tmp_path / "bare")


@pytest.fixture
def shop(_filled: Path, tmp_path: Path) -> Shop:
    """A shop with history and a load test, without a plan."""
    return Shop(Path(shutil.copytree(_filled, tmp_path / "shop")))


@pytest.fixture
def planned(_planned: Path, tmp_path: Path) -> Shop:
    """The shop with a plan of its promotion."""
    return Shop(Path(shutil.copytree(_planned, tmp_path / "planned")))
