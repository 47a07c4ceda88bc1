"""What nginx, HAProxy and Envoy really let through with the files written for them, under load on loopback."""

import contextlib
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from capacity.export import Source, make_export
from capacity.export.envoy import export_envoy, fill, fill_of_caller
from capacity.export.limits import Limit, find_limits
from tests.export.sources import hostile_source, of_services, with_document
from tests.export.traffic import backend, play
from tests.real_programs import free_port, real_program

LIMIT = 150.0
BURST = 12.0
Serve = Callable[[Source, Path, int], "contextlib.AbstractContextManager[int]"]


@pytest.fixture(scope="module")
def limited(sample_source: Source) -> Source:
    """One service whose limit a test can overload within seconds."""
    few = of_services(sample_source, "home", "cart")
    services = {name: dict(entry) for name, entry in few.document["services"].items()}
    services["home"] |= {"cluster_limit_qps": LIMIT, "burst_requests": BURST, "instance_limit_qps": LIMIT / 2}
    return with_document(few, services=services)


@contextlib.contextmanager
def running(command: list[str], folder: Path, port: int) -> Iterator[int]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while True:
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            with (
                contextlib.suppress(OSError),
                contextlib.closing(__import__("socket").create_connection(("127.0.0.1", port), 1)),
            ):
                break
            assert time.monotonic() < until
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def write(folder: Path, source: Source, target: str) -> dict[str, str]:
    files = dict(make_export(source, target).files)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return files


@contextlib.contextmanager
def nginx(source: Source, folder: Path, behind: int) -> Iterator[int]:
    program, port = real_program("nginx"), free_port()
    write(folder, source, "nginx")
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr error;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 100000; include {folder}/capacity_zones.conf;\n"
        f"  upstream behind {{ server 127.0.0.1:{behind}; keepalive 64; }}\n"
        f"  server {{ listen 127.0.0.1:{port};\n"
        f"    location / {{ include {folder}/capacity_gateway_home.conf;\n"
        '      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://behind; } } }\n'
    )
    with running([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)], folder, port):
        yield port


@contextlib.contextmanager
def haproxy(source: Source, folder: Path, behind: int) -> Iterator[int]:
    program, port = real_program("haproxy"), free_port()
    files = write(folder, source, "haproxy")
    rules = "\n".join(line for line in files["capacity_gateway_home.cfg"].splitlines() if line.startswith("    "))
    (folder / "haproxy.cfg").write_text(
        "defaults\n    mode http\n    timeout connect 2s\n    timeout client 20s\n    timeout server 20s\n"
        f"frontend home\n    bind 127.0.0.1:{port}\n{rules}\n    default_backend behind\n"
        f"backend behind\n    server one 127.0.0.1:{behind}\n"
    )
    command = [program, "-db", "-f", str(folder / "haproxy.cfg"), "-f", str(folder / "capacity_limits.cfg")]
    with running(command, folder, port):
        yield port


@contextlib.contextmanager
def envoy(source: Source, folder: Path, behind: int) -> Iterator[int]:
    program, port, admin = real_program("envoy"), free_port(), free_port()
    files = export_envoy(source, port=port, admin_port=admin, backend_port=behind).files
    (folder / "envoy.yaml").write_text(files["envoy.yaml"], encoding="utf-8")
    (folder / "admin").write_text(str(admin))
    command = [program, "-c", "envoy.yaml", "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
    with running(command, folder, port):
        yield port


SERVERS: dict[str, Serve] = {"nginx": nginx, "haproxy": haproxy, "envoy": envoy}
HOST = ("Host: home",)


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("overload", [2.0, 4.0])
def test_under_overload_the_plans_limit_is_let_through(
    limited: Source, tmp_path: Path, name: str, overload: float
) -> None:
    with backend() as behind, SERVERS[name](limited, tmp_path, behind.port) as port:
        played = play(port, overload * LIMIT, 6.0, headers=HOST)
        reached = len(behind.at_s)
    assert set(played.status.tolist()) == {200, 429}
    offered = played.rate(None, 1.0, 6.0)
    # A machine that is busy sends late, and then more at once: never less than an overload.
    assert offered >= 0.9 * overload * LIMIT
    admitted = played.rate(200, 1.0, 6.0)
    assert admitted == pytest.approx(LIMIT, rel=0.05)
    assert reached == (played.status == 200).sum(), "what is turned away does not reach the service"


@pytest.mark.parametrize("name", SERVERS)
def test_below_the_limit_little_is_turned_away_and_health_never(limited: Source, tmp_path: Path, name: str) -> None:
    with backend() as behind, SERVERS[name](limited, tmp_path, behind.port) as port:
        calm = play(port, 0.6 * LIMIT, 4.0, headers=HOST)
        play(port, 3 * LIMIT, 1.0, headers=HOST)
        health = play(port, 50, 1.0, path="/healthz", headers=HOST)
        time.sleep(1.2)
        after = play(port, 0.6 * LIMIT, 2.0, headers=HOST, seed=1)
    assert (calm.status == 429).mean() <= 0.01
    assert set(health.status.tolist()) == {200}
    assert (after.status == 429).mean() <= 0.02, "it recovers when the overload is over"


@pytest.mark.parametrize(("name", "at_once"), [("nginx", BURST + 1), ("envoy", BURST), ("haproxy", 0.1334 * LIMIT + 1)])
def test_a_burst_is_bounded(limited: Source, tmp_path: Path, name: str, at_once: float) -> None:
    with backend() as behind, SERVERS[name](limited, tmp_path, behind.port) as port:
        time.sleep(1.0)
        played = play(port, 8 * LIMIT, 1.5, headers=HOST)
    for window in (0.1, 0.5):
        # A millisecond is the clocks' grain on both sides; connections in flight add their own wobble.
        assert played.most_in(window) <= at_once + LIMIT * (window + 0.03) + 2


def test_envoys_own_counts_agree(limited: Source, tmp_path: Path) -> None:
    with backend() as behind, envoy(limited, tmp_path, behind.port) as port:
        played = play(port, 3 * LIMIT, 2.0, headers=HOST)
        admin = (tmp_path / "admin").read_text()
        with urllib.request.urlopen(
            f"http://127.0.0.1:{admin}/stats?filter=capacity_gateway_home", timeout=5
        ) as answer:
            stats = dict(line.split(": ") for line in answer.read().decode().splitlines())
    found = {key.rsplit(".", 1)[1]: int(value) for key, value in stats.items()}
    assert found["ok"] == (played.status == 200).sum()
    assert found["rate_limited"] == found["enforced"] == (played.status == 429).sum()


@pytest.mark.parametrize("name", ["nginx", "envoy"])
def test_a_caller_has_its_own_limit_within_the_services(limited: Source, tmp_path: Path, name: str) -> None:
    """Callers and everybody else together never get more than the service's limit, however many name themselves."""
    edges = [
        {"caller": caller, "callee": "home", "limit_qps": LIMIT * share, "retry_budget_qps": 0.0, "burst_requests": 5.0}
        for caller, share in (("cart", 0.4), ("wide", 3.0))
    ]
    source = with_document(limited, edges=edges)
    with backend() as behind, SERVERS[name](source, tmp_path, behind.port) as port:
        alone = play(port, 2 * LIMIT, 4.0, headers=(*HOST, "X-Caller: cart"))
        time.sleep(0.5)
        wide = play(port, 3 * LIMIT, 4.0, headers=(*HOST, "X-Caller: wide"))
        assert len(behind.at_s) == (alone.status == 200).sum() + (wide.status == 200).sum()
    assert alone.rate(200, 1.0, 4.0) == pytest.approx(0.4 * LIMIT, rel=0.05)
    assert wide.rate(200, 1.0, 4.0) == pytest.approx(LIMIT, rel=0.05)


@given(rate=st.floats(0.01, 5000), main=st.floats(0.5, 20_000))
def test_a_callers_bucket_is_never_above_its_limit_and_little_below(rate: float, main: float) -> None:
    every_s = fill(Limit("a", "a", "gateway", main, 1.0, "", ""))[1]
    tokens, interval_s, _ = fill_of_caller(Limit("a", "a", "edge", rate, 1.0, "b", ""), every_s)
    assert tokens >= 1
    assert tokens / interval_s <= rate * (1 + 1e-4)
    assert tokens / interval_s >= rate * 0.5
    assert interval_s / every_s == pytest.approx(round(interval_s / every_s), abs=1e-6)


def test_return_bypasses_nginxs_limit_as_the_warning_says(limited: Source, tmp_path: Path) -> None:
    program, port = real_program("nginx"), free_port()
    write(tmp_path, limited, "nginx")
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr error;\nevents {{}}\n"
        f"http {{ access_log off; include {tmp_path}/capacity_zones.conf; server {{ listen 127.0.0.1:{port};\n"
        f"    location / {{ include {tmp_path}/capacity_gateway_home.conf; return 200; }} }} }}\n"
    )
    with running([program, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)], tmp_path, port):
        played = play(port, 3 * LIMIT, 1.0)
    assert set(played.status.tolist()) == {200}
    assert any("return" in line for line in make_export(limited, "nginx").warnings)


@pytest.mark.parametrize("which", ["sample", "hostile", "gateways"])
def test_every_file_is_accepted(sample_source: Source, tmp_path: Path, which: str) -> None:
    source = hostile_source(sample_source) if which == "hostile" else sample_source
    if which == "gateways":
        source = with_gateways(source, 7)
    checks = {
        "nginx": [real_program("nginx"), "-T", "-c", str(tmp_path / "capacity_check.conf")],
        "haproxy": [real_program("haproxy"), "-c", "-f", "capacity_check.cfg"],
        "envoy": [real_program("envoy"), "--mode", "validate", "-c", "envoy.yaml"],
    }
    for target, command in checks.items():
        files = write(tmp_path, source, target)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{target}: {done.stderr[-2000:]}"
        for text in files.values():
            assert source.signature in text
        if target == "nginx":
            directives = set(re.findall(r"^\s*([a-z_]+)\b", re.sub(r"#.*", "", done.stdout), re.MULTILINE))
            assert directives <= {
                "map",
                "limit_req_zone",
                "limit_req_status",
                "limit_req",
                "pid",
                "events",
                "http",
                "include",
                "server",
                "listen",
                "location",
            }
        if target == "envoy":
            hosts = yaml.safe_load(files["envoy.yaml"])["static_resources"]["clusters"]
            assert len(hosts) == len({limit.slug for limit in find_limits(source)})


def with_gateways(source: Source, count: int) -> Source:
    from dataclasses import replace

    from capacity.settings import Exports

    return replace(source, settings=source.settings.model_copy(update={"export": Exports(gateways=count)}))


def test_shares_over_gateways_never_exceed_the_limit(sample_source: Source) -> None:
    seven = {limit.name: limit for limit in find_limits(with_gateways(sample_source, 7))}
    for limit in find_limits(sample_source):
        share = seven[limit.name]
        times = 1 if limit.where == "instance" else 7
        assert share.rate_qps * times == pytest.approx(limit.rate_qps)
