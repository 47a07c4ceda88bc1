"""Alerts of a real Prometheus in the journal: each firing once, however often it is asked for."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capacity.cli.main import run
from capacity.history.prometheus import Prometheus
from capacity.tracking import ask_alerts
from tests.real_programs import running_prometheus

RULES = """
groups:
  - name: now
    interval: 1s
    rules:
      - alert: Always
        expr: vector(1)
        labels: {severity: page, service: 'che"ckout', runbook: data/runbooks/path-buy.md}
      - alert: Blinking
        expr: vector(time()) % 6 < 2
        labels: {service: cart}
      - alert: Never
        expr: vector(0) > 1
"""


def test_each_firing_is_one_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = datetime.now(UTC) - timedelta(seconds=2)
    with running_prometheus(tmp_path / "server", rules=RULES) as url:
        time.sleep(11)
        end = datetime.now(UTC)
        found = ask_alerts(Prometheus(url), start=start, end=end, timezone="UTC", service_label="service", step_s=1)
        again = ask_alerts(Prometheus(url), start=start, end=end, timezone="UTC", service_label="service", step_s=1)
        assert run(["init", str(tmp_path / "shop")]) == 0
        (tmp_path / "shop" / "data" / "promotions.yaml").write_text(
            f"- {{id: p, kind: x, starts_at: {start.isoformat()}, ends_at: {(end + timedelta(hours=9)).isoformat()}}}\n"
        )
        with (tmp_path / "shop" / "capacity.toml").open("a", encoding="utf-8") as settings:
            settings.write("\n[monitoring]\nscrape_interval_s = 1.0\n")
        ask = ["-w", str(tmp_path / "shop"), "journal", "import", "p", "--prometheus", url, "--json"]
        capsys.readouterr()
        counts = []
        for _ in range(2):
            assert run([*ask, "--from", start.isoformat(), "--to", end.isoformat()]) == 0
            counts.append(json.loads(capsys.readouterr().out)["new"])
    always = [one for one in found if one.text.startswith("Always")]
    blinking = [one for one in found if one.text.startswith("Blinking")]
    assert len(always) == 1
    assert (always[0].service, always[0].ref, always[0].who) == ('che"ckout', "data/runbooks/path-buy.md", "Prometheus")
    assert "severity page" in always[0].text
    assert len(blinking) in (1, 2, 3), "it fires for two of every six seconds"
    assert not [one for one in found if one.text.startswith("Never")]
    assert [one.id for one in found] == [one.id for one in again]
    assert counts[0] >= 1
    assert counts[1] == 0, "the same alerts are not written twice"
