"""What to test next, and what is open before a promotion."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from capacity.errors import NotCoveredError
from capacity.flow import plan_promotion, quietly
from capacity.workspace import Workspace

if TYPE_CHECKING:
    from capacity.operations import Readiness
    from capacity.staircase import LoadTestPlan


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
    from capacity.operations.duty import open_items
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
    written = [action for name in before for action in journal_actions(ws.journal(name))]
    reviews = [review for name in before if (review := ws.kept_review(name)) is not None]
    kept = [action for review in reviews for action in review.actions]
    known = {action.text for action in written}
    actions = [*written, *(action for action in kept if action.text not in known)]
    on_step("Planning load tests")
    try:
        tests = next_load_tests(ws, promotion_id)
    except NotCoveredError:
        tests = None
    today = ws.as_of or plan.as_of
    held = held_drills(ws, promotion_id)
    others = tuple(open_items(ws.operations, promotion, services=services, held=held))
    return check(
        plan, promotion=promotion, as_of=today, gaps=gaps, load_tests=tests, approved_by=approved_by, actions=actions,
        others=others,
    )  # fmt: skip


def held_drills(ws: Workspace, promotion_id: str) -> dict[str, str]:
    """Return how the drills went that a promotion's journal says were held: ``passed``, ``failed`` or ``unknown``.

    A drill's name is the entry's ``ref``, or its text up to a colon; of one held again the last time counts.
    """
    from capacity.retrospective.findings import drill_outcome

    drills = ws.journal(promotion_id).of_kind("drill")
    return {
        name: drill_outcome(entry.text)
        for entry in drills
        for name in (entry.ref, entry.text.partition(":")[0])
        if name
    }
