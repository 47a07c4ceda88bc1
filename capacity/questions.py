"""Questions asked of a workspace around the main flow: what if, what is open, what to test next, how services stand."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from capacity.errors import NotCoveredError
from capacity.flow import plan_promotion, quietly
from capacity.workspace import Workspace

if TYPE_CHECKING:
    from capacity.export import Export
    from capacity.operations import Readiness
    from capacity.plan import Plan
    from capacity.plan.evaluation import Evaluation
    from capacity.plan.what_if import Difference
    from capacity.promotion import Promotion
    from capacity.staircase import LoadTestPlan
    from capacity.tracking import Tracker


def compare_plan(
    ws: Workspace, promotion_id: str, *, changes: Mapping[str, float], on_step: Callable[[str], None] = quietly
) -> "Difference":
    """Compare a promotion's plan with what a change would make of it.

    Parameters
    ----------
    ws
        The company's folder, as of a day before the promotion.
    promotion_id
        Which promotion.
    changes
        As for :func:`capacity.what_if`.
    on_step
        Called with what is being done, for a progress display.

    Returns
    -------
    Difference
        From the plan on file where it was made as of this day from these inputs, else from one made now and not kept.

    Raises
    ------
    InputError
        With every change that is not understood.
    NotCoveredError
        If the data do not cover what is asked, such as a promotion that is over.
    """
    from capacity.plan.what_if import check_changes, what_if

    services = ws.services.for_promotion(ws.promotions[promotion_id])
    check_changes(changes, services=services, risk=ws.risk)
    on_step("Reading the plan")
    plan = _plan_on_file(ws, promotion_id) or plan_promotion(ws, promotion_id, on_step=on_step)[0]
    on_step("Planning under the change")
    return what_if(plan, changes)


def _plan_on_file(ws: Workspace, promotion_id: str) -> "Plan | None":
    try:
        plan = ws.plan(promotion_id)
    except NotCoveredError:
        return None
    same = plan.document["inputs"] == ws.inputs() and plan.document["as_of"] == ws.as_of_text
    return plan if same else None


def evaluate_services(ws: Workspace, promotion_id: str | None = None) -> "Evaluation":
    """Put what is known of every service beside what the next promotion asks of it.

    Parameters
    ----------
    ws
        The company's folder.
    promotion_id
        Which promotion; when left out the first that is not over as of the workspace's day.

    Returns
    -------
    Evaluation
        From the plan on file, the approved one if there is one; without any its forecasts and verdicts are missing.
    """
    from capacity.plan.evaluation import evaluate

    promotion = ws.promotions[promotion_id] if promotion_id is not None else _next_promotion(ws)
    if promotion is None:
        return evaluate(ws.services, tests=ws.load_tests(), zone_losses=ws.risk.zone_losses)
    before = list(ws.promotions.before(promotion.starts_at).values())
    try:
        plan = ws.plan(promotion.id)
    except NotCoveredError:
        plan = None
    return evaluate(
        ws.services.for_promotion(promotion),
        tests=ws.load_tests(),
        plan=plan,
        last=max(before, key=lambda p: p.starts_at, default=None),
        zone_losses=ws.risk.zone_losses,
    )


def _next_promotion(ws: Workspace) -> "Promotion | None":
    today = ws.as_of
    coming = [p for p in ws.promotions.values() if today is None or p.ends_at.date() >= today]
    return min(coming, key=lambda p: p.starts_at, default=None)


def next_load_tests(
    ws: Workspace, promotion_id: str, *, mocked: Sequence[str] = (), on_step: Callable[[str], None] = quietly
) -> "LoadTestPlan":
    """Plan the load tests before a promotion, from its forecast and from what is known of capacity.

    Parameters
    ----------
    ws
        The company's folder, as of a day before the promotion.
    promotion_id
        Which promotion.
    mocked
        Services that the tests replace.
    on_step
        Called with what is being done, for a progress display.

    Raises
    ------
    NotCoveredError
        If the data do not cover what is asked, such as a promotion that is over.
    """
    from capacity.forecast import forecast_demand
    from capacity.peaks import forecast_peaks
    from capacity.saturation import fit_saturation
    from capacity.staircase import plan_load_tests

    promotion = ws.promotions[promotion_id]
    services, traffic = ws.services.for_promotion(promotion), ws.traffic()
    on_step("Forecasting DAU and DAT")
    demand = forecast_demand(ws.daily_activity(), promotion, promotions=ws.promotions, lessons=ws.lessons)
    on_step("Forecasting each service's worst second")
    peaks = forecast_peaks(demand, traffic, services=services, lessons=ws.lessons)
    on_step("Fitting load tests")
    curves = fit_saturation(ws.load_tests(), services, traffic=traffic, lessons=ws.lessons)
    on_step("Finding quiet hours")
    fleet = _fleet_of_plan(ws, promotion_id)
    return plan_load_tests(
        promotion, peaks, curves, services=services, traffic=traffic, promotions=ws.promotions, fleet=fleet,
        mocked=mocked,
    )  # fmt: skip


def _fleet_of_plan(ws: Workspace, promotion_id: str) -> dict[str, int] | None:
    """Return the instances of the plan, if there is one, that are left after a zone loss: they share the peak."""
    try:
        planned = ws.plan(promotion_id).document["services"]
    except NotCoveredError:
        return None
    left = {}
    for name, one in planned.items():
        count, zones = int(one.get("instances") or 0), ws.services[name].zones if name in ws.services else 1
        if count > 0:
            left[name] = max(count - -(-count // zones) * ws.risk.zone_losses, 1)
    return left


def check_readiness(ws: Workspace, promotion_id: str, *, on_step: Callable[[str], None] = quietly) -> "Readiness":
    """Gather everything that is open before a promotion: the plan's promise, scaling, tests, gaps, old actions.

    Parameters
    ----------
    ws
        The company's folder, as of today.
    promotion_id
        Which promotion.
    on_step
        Called with what is being done, for a progress display.

    Returns
    -------
    Readiness
        From the plan on file, the approved one if there is one, else from one made now and not kept.

    Raises
    ------
    NotCoveredError
        If the data do not cover what is asked, such as a promotion that is over.
    """
    from capacity.operations import check_readiness as check
    from capacity.plan.evaluation import evaluate
    from capacity.retrospective.worklist import journal_actions

    promotion = ws.promotions[promotion_id]
    on_step("Reading the plan")
    try:
        plan, approved_by = ws.plan(promotion_id), ws.approval(promotion_id)
    except NotCoveredError:
        plan, approved_by = plan_promotion(ws, promotion_id, on_step=on_step)[0], None
    services = ws.services.for_promotion(promotion)
    gaps = evaluate(services, tests=ws.load_tests(), plan=plan).gaps
    before = ws.promotions.before(promotion.starts_at)
    actions = [action for name in before for action in journal_actions(ws.journal(name))]
    on_step("Planning load tests")
    try:
        tests = next_load_tests(ws, promotion_id)
    except NotCoveredError:
        tests = None
    today = ws.as_of or plan.as_of
    return check(
        plan, promotion=promotion, as_of=today, gaps=gaps, load_tests=tests, approved_by=approved_by, actions=actions
    )


def export_plan(ws: Workspace, promotion_id: str, *, targets: Sequence[str]) -> "tuple[Export, ...]":
    """Make the files of one or more targets from a promotion's plan; nothing is written.

    Parameters
    ----------
    ws
        The company's folder.
    promotion_id
        Which promotion.
    targets
        Names of ``capacity.export.TARGETS``.

    Returns
    -------
    tuple of Export
        From the approved plan, else the newest; each says which, and what its system cannot carry out.

    Raises
    ------
    UsageError
        If there is no such target.
    NotCoveredError
        If there is no plan.
    """
    from capacity.export import Source, make_export

    promotion = ws.promotions[promotion_id]
    plan, approved_by = ws.plan(promotion_id), ws.approval(promotion_id)
    source = Source(plan, ws.services.for_promotion(promotion), promotion, ws.settings, approved_by)
    doubts = []
    if approved_by is None:
        doubts.append(
            f"the plan as of {plan.as_of} is not approved: sign it with capacity plan {promotion_id} --approve NAME"
        )
    if not plan.feasible:
        doubts.append(f"the plan breaks its promise: {plan.infeasible_because[0]}")
    made = [make_export(source, target) for target in targets]
    return tuple(replace(one, warnings=(*doubts, *one.warnings)) for one in made)


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
        contacts=Contacts(),
    )
