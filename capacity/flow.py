"""The main flow, whole: history and load tests in, a plan and its rehearsal out, and the review after.

Whoever reads these functions has seen the program.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from capacity.workspace import Workspace

if TYPE_CHECKING:
    from capacity.plan import Plan
    from capacity.rehearsal import Rehearsal
    from capacity.retrospective import Review


def quietly(step: str) -> None:
    """Take note of a step and say nothing."""


def plan_promotion(
    ws: Workspace,
    promotion_id: str,
    *,
    on_step: Callable[[str], None] = quietly,
) -> "tuple[Plan, Rehearsal]":
    """Plan a promotion from what the workspace knew before its ``as_of``, and rehearse the plan.

    Parameters
    ----------
    ws
        The company's folder, as of a day before the promotion.
    promotion_id
        Which promotion.
    on_step
        Called with what is being done, for a progress display.

    Returns
    -------
    plan, rehearsal
        The plan keeps its inputs; the rehearsal plays its samples against it, a zone gone if the risk says so.

    Raises
    ------
    NotCoveredError
        If the data do not cover what is asked, such as a promotion that is over.
    """
    from capacity.forecast import forecast_demand
    from capacity.peaks import forecast_peaks
    from capacity.plan import make_plan
    from capacity.rehearsal import rehearse
    from capacity.saturation import fit_saturation

    promotion = ws.promotions[promotion_id]
    services = ws.services.for_promotion(promotion)

    on_step("Forecasting DAU and DAT")
    demand = forecast_demand(ws.daily_activity(), promotion, promotions=ws.promotions, lessons=ws.lessons)
    on_step("Forecasting each service's worst second")
    peaks = forecast_peaks(demand, ws.traffic(), services=services, lessons=ws.lessons)
    on_step("Fitting load tests")
    curves = fit_saturation(ws.load_tests(), services, traffic=ws.traffic(), lessons=ws.lessons)
    on_step("Choosing instances, limits and degradation")
    plan = make_plan(
        peaks,
        curves,
        services=services,
        risk=ws.risk,
        currency=ws.settings.currency,
        assumptions=[*ws.settings.assumptions(), *promotion.assumptions()],
    )
    on_step("Rehearsing the plan")
    return plan, rehearse(plan, faults=["zone-loss"] if ws.risk.zone_losses else [])


def review_promotion(ws: Workspace, promotion_id: str, *, on_step: Callable[[str], None] = quietly) -> "Review":
    """Compare a promotion's plan, the approved one if there is one, with what happened.

    Raises
    ------
    NotCoveredError
        If there is no plan of it, or its days are not in the tables yet.
    """
    from capacity.retrospective import review

    on_step("Reading what happened")
    plan = ws.plan(promotion_id)
    on_step("Comparing forecast, plan and what happened")
    return review(plan, ws.traffic(), daily_activity=ws.daily_activity(), journal=ws.journal(promotion_id))
