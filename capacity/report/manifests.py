"""Ready configuration that makes a scheduler run what is due, once a day."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import tzinfo
from pathlib import Path

from capacity.document.notation import to_yaml
from capacity.errors import UsageError, did_you_mean
from capacity.report.schedule import Schedule


def write_schedule(target: str, *, schedule: Schedule, workspace: Path, zone: tzinfo) -> str:
    """Return the configuration for a scheduler.

    All four run one command, ``capacity report due``, which makes every page that is due by ``reports.yaml`` and not
    yet there: so a day that was missed is caught up, and running it twice changes nothing.

    Parameters
    ----------
    target
        ``cron``, ``systemd``, ``kubernetes`` or ``airflow``.
    schedule
        The workspace's.
    workspace
        Its folder.
    zone
        Its time zone.

    Raises
    ------
    UsageError
        For another target.
    """
    if target not in TARGETS:
        remedy = did_you_mean(target, TARGETS) or f"take one of: {', '.join(TARGETS)}"
        raise UsageError(f"there is no scheduler {target!r}", remedy=remedy)
    return TARGETS[target](schedule, workspace.resolve(), str(zone))


def _command(workspace: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("capacity")), "-w", str(workspace), "report", "due", "--jobs", "2"]


def _cron(schedule: Schedule, workspace: Path, zone: str) -> str:
    hour, minute = schedule.at.split(":")
    # A percent sign ends a cron command, whatever the quotes.
    line = shlex.join(_command(workspace)).replace("%", r"\%")
    return (
        "# crontab: every page that is due by reports.yaml and not yet there\n"
        f"CRON_TZ={zone}\n"
        f"{int(minute)} {int(hour)} * * * {line}\n"
    )


def _systemd(schedule: Schedule, workspace: Path, zone: str) -> str:
    line = " ".join(_quoted(part) for part in _command(workspace))
    return (
        "# capacity-reports.service\n[Unit]\nDescription=Capacity reports that are due\n\n"
        f"[Service]\nType=oneshot\nExecStart={line}\n\n"
        "# capacity-reports.timer\n[Unit]\nDescription=Capacity reports, every day\n\n"
        f"[Timer]\nOnCalendar=*-*-* {schedule.at}:00 {zone}\n"
        "# Started late, it makes what was missed.\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def _quoted(text: str) -> str:
    """Quote for ExecStart: a percent sign is a specifier there, a dollar sign a variable (systemd.service(5))."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _kubernetes(schedule: Schedule, workspace: Path, zone: str) -> str:
    hour, minute = schedule.at.split(":")
    container = {
        "name": "reports",
        "image": "capacity:latest",
        "command": ["capacity", "-w", "/workspace", "report", "due", "--jobs", "2"],
        "volumeMounts": [{"name": "workspace", "mountPath": "/workspace"}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "workspace", "hostPath": {"path": str(workspace), "type": "Directory"}}],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "capacity-reports"},
        "spec": {
            "schedule": f"{int(minute)} {int(hour)} * * *",
            "timeZone": zone,
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": {"backoffLimit": 1, "template": {"spec": pod}}},
        },
    }
    return f"# An image with this package; the workspace as a volume of the cluster's choice.\n{to_yaml(job)}"


def _airflow(schedule: Schedule, workspace: Path, zone: str) -> str:
    hour, minute = schedule.at.split(":")
    command = shlex.join(_command(workspace))
    return f'''"""Capacity reports that are due, every day; a missed day is caught up by the next run."""

import pendulum
from airflow import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG(
    "capacity_reports",
    schedule="{int(minute)} {int(hour)} * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz={json.dumps(zone)}),
    catchup=False,
    max_active_runs=1,
):
    BashOperator(task_id="report_due", bash_command={json.dumps(command, ensure_ascii=False)})
'''


TARGETS: Mapping[str, Callable[[Schedule, Path, str], str]] = {
    "cron": _cron,
    "systemd": _systemd,
    "kubernetes": _kubernetes,
    "airflow": _airflow,
}
