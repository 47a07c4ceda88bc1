"""What if, how do services stand, and what does the plan become for other systems."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from capacity.errors import NotCoveredError
from capacity.flow import plan_promotion, quietly
from capacity.workspace import Workspace

if TYPE_CHECKING:
    from capacity.export import Export
    from capacity.plan import Plan
    from capacity.plan.evaluation import Evaluation
    from capacity.plan.what_if import Difference
    from capacity.promotion import Promotion


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
    services = ws.services.for_promotion(promotion)
    source = Source(plan, services, promotion, ws.settings, approved_by, ws.operations)
    doubts = []
    if approved_by is None:
        doubts.append(
            f"the plan as of {plan.as_of} is not approved: sign it with capacity plan {promotion_id} --approve NAME"
        )
    if not plan.feasible:
        doubts.append(f"the plan breaks its promise: {plan.infeasible_because[0]}")
    made = [make_export(source, target) for target in targets]
    return tuple(replace(one, warnings=(*doubts, *one.warnings)) for one in made)
