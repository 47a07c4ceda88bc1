"""The whole main job on a real shop's orders and a real service's load tests, from the command line."""

import json

import pytest

from benchmarks.online_retail import write_load_tests, write_sources
from capacity.cli.main import run

PROMOTION, AS_OF = "2011-christmas", "2011-10-15"


@pytest.fixture(scope="module")
def shop(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("retail")
    write_sources(shared_data / "online_retail" / "orders.csv.gz", folder)
    write_load_tests(shared_data / "loadtests", folder)
    return folder


def ask(capsys, shop, *arguments):
    code = run(["-w", str(shop), *arguments, "--json"])
    out, err = capsys.readouterr()
    assert code == 0, err
    return json.loads(out)


def test_the_main_job_runs_on_real_orders(capsys, shop):
    days = ask(capsys, shop, "ingest", str(shop / "sources" / "daily_activity.csv"), "--as", "daily_activity")
    assert days["rows_kept"] == days["rows_read"] == 373
    minutes = ask(capsys, shop, "ingest", str(shop / "sources" / "traffic.csv.gz"), "--as", "traffic")
    assert minutes["rows_kept"] == minutes["rows_read"]
    assert "12:00" in minutes["busiest_hour"]
    assert ask(capsys, shop, "check")["problems"] == []

    forecast = ask(capsys, shop, "forecast", PROMOTION, "--as-of", AS_OF)
    assert forecast["seconds_known"] is False
    assert any("seconds cannot be known" in line for line in forecast["assumptions"])
    assert min(forecast["demand"]) == AS_OF

    # The service is known: 138.5/s at p95 < 300 ms for random arrivals, 145 to 155/s at a constant pace.
    capacity = ask(capsys, shop, "saturation", "shop", "--as-of", AS_OF)["services"]["shop"]
    assert capacity["capacity_evidence"] == "measured"
    band = capacity["instance_capacity_qps"]
    assert band["q05"] < 138.5 < band["q95"] < 155

    plan = ask(capsys, shop, "plan", PROMOTION, "--as-of", AS_OF, "--approve", "the manager")
    assert plan["services"]["shop"]["decision"] == "keep"
    assert ask(capsys, shop, "rehearse", PROMOTION)["schema"] == "capacity.rehearsal/1"

    review = ask(capsys, shop, "retrospective", PROMOTION)
    judged = [day for day in review["demand"] if day["in_promotion"]]
    assert {day["date"][:10] for day in judged} >= {"2011-11-07", "2011-12-08"}
    inside = [day["inside_band"] for day in judged if day["inside_band"] is not None]
    assert sum(inside) >= 0.8 * len(inside), "the 90 % band of one season, whose days share their shock"
