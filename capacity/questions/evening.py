"""The evening: how the promotion runs, whether a change may go out."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from capacity.workspace import Workspace

if TYPE_CHECKING:
    from capacity.journal import Entry
    from capacity.operations import Exemption, FreezeAnswer
    from capacity.operations.book import ChangeKind
    from capacity.tracking import Tracker


def follow_promotion(ws: Workspace, promotion_id: str, *, url: str | None = None, replay: bool = False) -> "Tracker":
    """Follow a promotion by its plan: against Prometheus, or against the ``traffic`` table as an evening played again.

    Parameters
    ----------
    ws
        The company's folder.
    promotion_id
        Which promotion.
    url
        Of Prometheus; the one of ``capacity.toml`` when left out.
    replay
        Take the minutes from the ``traffic`` table instead.

    Returns
    -------
    Tracker
        ``poll(now, journal=…)`` says how things stand.

    Raises
    ------
    NotCoveredError
        If there is no plan.
    UsageError
        If no Prometheus is known.
    """
    from capacity.tracking import Contacts, Tracker, WatchedPrometheus, WatchedTraffic, learn_misfit

    promotion = ws.promotions[promotion_id]
    plan = ws.plan(promotion_id)
    watched = WatchedTraffic(ws.traffic()) if replay else WatchedPrometheus(ws.prometheus(url), ws.settings.monitoring)
    past = list(ws.promotions.before(promotion.starts_at).values())
    return Tracker(
        plan,
        promotion=promotion,
        services=ws.services.for_promotion(promotion),
        watched=watched,
        misfit=learn_misfit(ws.traffic(), promotion, past),
        contacts=Contacts(on_call=ws.operations.on_call, runbooks=_written_runbooks(ws)),
    )


def _written_runbooks(ws: Workspace) -> dict[str, str]:
    from capacity.operations import runbook_files

    return {name: path for name, path in runbook_files(ws.services).items() if (ws.directory / path).is_file()}


def may_change(
    ws: Workspace, *, at: datetime, service: str | None = None, kind: "ChangeKind" = "release"
) -> "FreezeAnswer":
    """Say whether a change may go out at a moment, exceptions signed in the journals included.

    Parameters
    ----------
    ws
        The company's folder.
    at
        Aware.
    service
        What changes; None: anything.
    kind
        ``release``, ``data_migration``, ``emergency_scaling`` or ``hot_fix``.

    Raises
    ------
    InputError
        If there is no such service.
    """
    from capacity.operations import check_freeze

    if service is not None:
        ws.services[service]
    frozen = [p for p in ws.promotions.values() if p.freeze and p.freeze.holds_at(at)]
    exemptions = [one for promotion in frozen for one in _exemptions(ws, promotion.id)]
    return check_freeze(ws.promotions, ws.operations, exemptions, at=at, service=service, kind=kind)


def _exemptions(ws: Workspace, promotion_id: str) -> "Iterator[Exemption]":
    from capacity.journal import exception_terms
    from capacity.operations import Exemption

    for entry in ws.journal(promotion_id).of_kind("exception"):
        terms = exception_terms(entry)
        if terms.until is not None:
            yield Exemption(
                entry.id, promotion_id, entry.service, entry.who or "", entry.at, terms.until, terms.reason, terms.kind
            )


def sign_exception(
    ws: Workspace, promotion_id: str, *, who: str, at: datetime, until: datetime, reason: str,
    service: str | None = None, kind: "ChangeKind" = "release",
) -> "Entry":  # fmt: skip
    """Sign an exception from a promotion's freeze into its journal; return its entry.

    Raises
    ------
    UsageError
        If there is no freeze then, it would not end inside it, or no reason is given.
    InputError
        If who signs may not, or nobody may.
    """
    from capacity.journal import Terms, append_entry, new_entry
    from capacity.operations import check_exception

    if service is not None:
        ws.services[service]
    promotion = ws.promotions[promotion_id]
    check_exception(ws.operations, promotion, who=who, at=at, until=until, reason=reason, kind=kind)
    text = Terms(until, kind, reason).to_text()
    entry = new_entry("exception", text, timezone=ws.settings.timezone, at=at, service=service, who=who)
    append_entry(ws.journal_path(promotion_id), entry)
    return entry
