"""The freeze for GitLab and Argo CD; both know it as cron, which has no year."""

from datetime import UTC, datetime

import yaml

from capacity.errors import NotCoveredError
from capacity.export.source import Export, Source
from capacity.export.words import cron_at, dns_name, to_json

GITLAB, ARGO = "gitlab-freeze-periods.json", "argocd-appproject.yaml"


def export_freeze(source: Source) -> Export:
    """Make a deploy freeze for GitLab's interface, and a denying sync window for an AppProject.

    Raises
    ------
    NotCoveredError
        If the promotion has no freeze.
    """
    freeze = source.promotion.freeze
    if freeze is None:
        raise NotCoveredError(
            f"{source.promotion.id} has no freeze", remedy="give it freeze: {starts_at, ends_at} in promotions.yaml"
        )
    start, end = (moment.astimezone(source.settings.zone) for moment in (freeze.starts_at, freeze.ends_at))
    until = end.isoformat()
    gitlab = {
        "about": list(source.header()),
        "signature": source.signature,
        "origin": "promotions.yaml freeze",
        "delete_after": until,
        "freeze_periods": [
            {"freeze_start": cron_at(start), "freeze_end": cron_at(end), "cron_timezone": source.settings.timezone}
        ],
    }
    return Export(
        "freeze", {GITLAB: to_json(gitlab), ARGO: _argo(source, start, end)},
        next_steps=(
            "GitLab: POST each entry of freeze_periods to /projects/ID/freeze_periods",
            "Argo CD: merge spec.syncWindows into the AppProject, check with: argocd proj windows list",
            f"delete both after {until}: cron knows no year and would freeze next year's same days",
        ),
        warnings=(
            "GitLab only sets CI_DEPLOY_FREEZE, for jobs to ask for; capacity freeze check knows exceptions",
        ),
    )  # fmt: skip


def _argo(source: Source, start: datetime, end: datetime) -> str:
    minutes = round((end.astimezone(UTC) - start.astimezone(UTC)).total_seconds() / 60)
    hours, rest = divmod(minutes, 60)
    window = {
        "kind": "deny",
        "schedule": cron_at(start),
        "duration": f"{hours}h" + (f"{rest}m" if rest else ""),
        "timeZone": source.settings.timezone,
        "applications": ["*"],
        "manualSync": False,
    }
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {
            "name": dns_name(source.promotion.id),
            "annotations": {
                "capacity/plan-signature": source.signature,
                "capacity/valid-until": end.isoformat(),
                "capacity/origin": "promotions.yaml freeze",
            },
        },
        "spec": {"syncWindows": [window]},
    }
    header = "".join(f"# {line}\n" for line in source.header())
    return header + yaml.safe_dump(project, sort_keys=False, allow_unicode=True, width=10_000)
