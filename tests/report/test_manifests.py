"""The schedulers' configuration is what they read."""

import shutil
import subprocess
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from capacity.errors import UsageError
from capacity.report import TARGETS, Schedule, write_schedule

ZONE = ZoneInfo("Asia/Shanghai")
ODD = Path("/srv/a shop's 100% $HOME")


def text(target, workspace=ODD, at="06:05"):
    return write_schedule(target, schedule=Schedule(at=at), workspace=workspace, zone=ZONE)


def test_cron_runs_the_command_at_the_workspaces_time():
    line = text("cron").splitlines()[-1]
    minute, hour, rest, command = line.split(maxsplit=5)[0], *line.split(maxsplit=5)[1:3], line.split(maxsplit=5)[5]
    assert (minute, hour, rest) == ("5", "6", "*")
    assert "CRON_TZ=Asia/Shanghai" in text("cron")
    assert "%" not in command.replace(r"\%", "")
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\n' {command.replace(chr(92) + '%', '%')}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[1:5] == ["-w", str(ODD), "report", "due"]


def test_systemd_accepts_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not there")
    service, timer = text("systemd", tmp_path).split("# capacity-reports.timer\n")
    (tmp_path / "capacity-reports.service").write_text(service, encoding="utf-8")
    (tmp_path / "capacity-reports.timer").write_text(timer, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "capacity-reports.timer")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_systemd_quotes_what_it_would_read_itself():
    assert "100%% $$HOME" in text("systemd")
    assert "OnCalendar=*-*-* 06:05:00 Asia/Shanghai" in text("systemd")


def test_kubernetes_gets_one_job_a_day_that_never_overlaps():
    job = yaml.safe_load(text("kubernetes"))
    assert (job["kind"], job["spec"]["schedule"], job["spec"]["timeZone"]) == ("CronJob", "5 6 * * *", "Asia/Shanghai")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["hostPath"]["path"] == str(ODD)
    mounts = {mount["name"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in pod["volumes"]}


def test_airflow_gets_a_module_that_compiles():
    code = text("airflow")
    compile(code, "dag.py", "exec")
    assert "5 6 * * *" in code


def test_another_scheduler_is_told():
    with pytest.raises(UsageError, match="did you mean 'systemd'"):
        text("systmd")
    assert set(TARGETS) == {"cron", "systemd", "kubernetes", "airflow"}
