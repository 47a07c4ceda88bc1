"""The page that a director reads: is it ready, what is committed, what it costs, what may go wrong, what to decide."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from capacity.display import format_number, format_percent
from capacity.display.figures import BLUE, GREY, INK, ORANGE, VERMILION, Chart, new_figure
from capacity.display.numbers import format_odds
from capacity.operations import Readiness
from capacity.plan.what_if import what_if
from capacity.report.narrate import Table
from capacity.report.verdict import Metric, Verdict, record

if TYPE_CHECKING:
    from capacity.plan import Plan
    from capacity.promotion import Promotion, Promotions
    from capacity.workspace import Workspace

_RISKS = 3
_WEAK = {"none": "nothing", "bounded": "a test that stopped early", "production": "production traffic alone"}


@dataclass(frozen=True, eq=False)
class DecisionPage:
    """What a director needs, each part one figure or one short table.

    Attributes
    ----------
    verdict : Verdict
    commitment : Chart
        Orders a second: committed, forecast, expected by the business, and last time.
    costs, risks, decisions : Table
    """

    verdict: Verdict
    commitment: Chart
    costs: Table
    risks: Table
    decisions: Table


def decision_page(ws: "Workspace", promotion: str) -> DecisionPage:
    """Gather a promotion's decision page from the plan on file, or from one made now.

    Parameters
    ----------
    ws
        The company's folder, as of today.
    promotion
        Its id.
    """
    from capacity.errors import NotCoveredError
    from capacity.flow import plan_promotion
    from capacity.questions import check_readiness

    subject = ws.promotions[promotion]
    try:
        plan = ws.plan(promotion)
    except NotCoveredError:
        plan = plan_promotion(ws, promotion)[0]
    ready = check_readiness(ws, promotion)
    more_sure = float(plan.document["risk"]["overload_probability"]) / 10.0
    dearer = what_if(plan, {"overload_probability": more_sure}).anew
    return DecisionPage(
        verdict=_verdict(plan, ready),
        commitment=draw_commitment(plan, subject, ws.promotions),
        costs=_costs(plan, dearer),
        risks=_risks(plan, subject, ready),
        decisions=_decisions(plan, ready, dearer, subject),
    )


def _verdict(plan: "Plan", ready: Readiness) -> Verdict:
    document = plan.document
    cost, currency = document["cost"], document["cost"]["currency"]
    chance = document["core_overload_probability"]
    state = ready.state.capitalize() if ready.state != "ready if …" else f"Ready if {_first(ready)}"
    odds = "unknown" if chance is None else format_odds(chance)
    turned = document["transactions_turned_away"]["q95"]
    zones = int(document["risk"]["zone_losses"])
    losses = f"{zones} zone{'s' * (zones != 1)}"
    lost = "" if turned is None else f" In 1 of 20 futures {format_number(turned)} orders are turned away."
    sentence = (
        f"{state}. The chance that a core service is overloaded is {odds} with {losses} lost; "
        f"it costs {format_number(cost['per_hour_peak'])} {currency} an hour at the peak, "
        f"{format_number(cost['per_hour_now'])} today.{lost}"
    )
    metrics: list[Metric] = [
        {"name": "blocking", "value": len(ready.blocking), "unit": "items"},
        {"name": "core_overload_probability", "value": chance, "unit": "fraction"},
        {"name": "cost_per_hour_peak", "value": cost["per_hour_peak"], "unit": f"{currency}/h"},
        {"name": "admitted_tps", "value": document["admitted_tps"], "unit": "orders/s"},
        {"name": "transactions_turned_away_q95", "value": turned, "unit": "orders"},
    ]
    return record(sentence, metrics)


def _first(ready: Readiness) -> str:
    return "; and ".join(item.says for item in ready.blocking)


def draw_commitment(plan: "Plan", promotion: "Promotion", promotions: "Promotions") -> Chart:
    """Draw the committed orders a second against the forecast's band, the business's estimate and last time."""
    import pandas as pd

    peak, committed = plan.document["peak_tps"], plan.document["admitted_tps"]
    expected = None if promotion.expected is None else promotion.expected.peak_tps
    last = _last_peak(promotion, promotions)
    rows: list[tuple[str, float, float, float, str]] = [("forecast, 90 %", peak["q05"], peak["q50"], peak["q95"], BLUE)]
    if expected is not None:
        rows.append(("business", expected.low, expected.mid, expected.high, ORANGE))
    if last is not None:
        rows.append((f"last time ({last[0]})", last[1], last[1], last[1], INK))
    figure = new_figure(8.0, 1.2 + 0.5 * len(rows))
    axes = figure.subplots()
    for y, (_, low, mid, high, color) in enumerate(reversed(rows)):
        axes.hlines(y, low, high, color=color, linewidth=8, alpha=0.35)
        axes.plot(mid, y, "o", color=color, markersize=7)
        axes.annotate(format_number(mid), (mid, y), xytext=(0, 9), textcoords="offset points", ha="center", color=color)
    if committed is not None:
        axes.axvline(committed, color=VERMILION, linewidth=2)
        axes.set_title(f"red: committed, {format_number(committed)} orders/s", loc="left", fontsize=9, color=GREY)
    axes.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(left=0)
    axes.set_xlabel("orders in the worst second")
    frame = pd.DataFrame([row[:4] for row in rows], columns=["what", "low", "mid", "high"])
    said = "no limit is set" if committed is None else f"{format_number(committed)} orders/s are committed"
    middle, top = format_number(peak["q50"]), format_number(peak["q95"])
    return Chart(
        figure=figure,
        title=f"{said}; the forecast's middle is {middle}, in 1 of 20 futures {top}",
        alt=f"Bars of orders in the worst second: {'; '.join(f'{n} {format_number(m)}' for n, _, m, _, _ in rows)}",
        frame=frame,
        units=dict.fromkeys(["low", "mid", "high"], "orders/s"),
    )


def _last_peak(promotion: "Promotion", promotions: "Promotions") -> tuple[str, float] | None:
    before = [p for p in promotions.of_kind(promotion.kind).values() if p.ends_at <= promotion.starts_at]
    for one in sorted(before, key=lambda p: p.starts_at, reverse=True):
        if one.actual is not None and one.actual.peak_tps is not None:
            return one.id, float(one.actual.peak_tps)
    return None


def _costs(plan: "Plan", dearer: "Plan") -> Table:
    """Today's instances, the recommended ones, and one nine more, each with what is turned away."""
    import pandas as pd

    now = {
        f"{name}.instances": float(service["instances_now"])
        for name, service in plan.document["services"].items()
        if plan.services is not None and plan.services[name].has_pool
    }
    today = what_if(plan, now).anew if now else plan
    choices: Mapping[str, tuple[Plan, float]] = {
        "today's instances": (today, plan.document["cost"]["per_hour_now"]),
        "recommended": (plan, plan.document["cost"]["per_hour_peak"]),
        "one nine more": (dearer, dearer.document["cost"]["per_hour_peak"]),
    }
    rows = [
        {
            "choice": name,
            "cost": cost,
            "core_overload": _odds(one.document["core_overload_probability"]),
            "committed": one.document["admitted_tps"],
            "turned_away": one.document["transactions_turned_away"]["q50"],
            "turned_away_1_in_20": one.document["transactions_turned_away"]["q95"],
            "promise_kept": one.feasible,
        }
        for name, (one, cost) in choices.items()
    ]
    units = {
        "cost": f"{plan.document['cost']['currency']} an hour", "committed": "orders/s", "turned_away": "orders",
        "turned_away_1_in_20": "orders",
    }  # fmt: skip
    return Table(pd.DataFrame(rows), units)


def _risks(plan: "Plan", promotion: "Promotion", ready: Readiness) -> Table:
    """Return the largest risks: what blocks first, then demand beyond the forecast, then the weakest core services."""
    import pandas as pd

    found = [*_blocking(ready), *_more_demand(plan, promotion), *_weak_services(plan, ready)]
    columns = ["risk", "chance", "owner", "until", "money"]
    return Table(pd.DataFrame(found[:_RISKS], columns=columns))


def _blocking(ready: Readiness) -> Iterator[tuple[str, str, str, date | None, str]]:
    for item in ready.blocking:
        yield item.says, _odds(ready.overload_probability), item.owner or "nobody", item.due, "–"


def _more_demand(plan: "Plan", promotion: "Promotion") -> Iterator[tuple[str, str, str, date | None, str]]:
    """Yield what happens if the business's high estimate comes, where it lies above the forecast's middle."""
    expected = None if promotion.expected is None else promotion.expected.peak_tps
    mid = plan.document["peak_tps"]["q50"]
    if expected is None or not mid or expected.high <= 1.05 * mid:
        return
    factor = round(expected.high / mid, 2)
    found = what_if(plan, {"demand": factor})
    held, anew = found.held.document, found.anew.document
    more = anew["cost"]["per_hour_peak"] - plan.document["cost"]["per_hour_peak"]
    says = (
        f"demand is {factor:g} times the forecast, its middle where the business's high estimate is "
        f"({format_number(expected.high)} orders/s): with this plan a core service is then overloaded with "
        f"{_percent(held['core_overload_probability'])}"
    )
    owner = promotion.expected.owner if promotion.expected is not None else ""
    yield (
        says,
        "the business holds it possible",
        owner or "nobody",
        _first_scaling(plan),
        f"{_money(plan, more)} to cover it",
    )


def _weak_services(plan: "Plan", ready: Readiness) -> Iterator[tuple[str, str, str, date | None, str]]:
    """Core services that fail most often in the plan's futures, then those whose capacity is hardly known."""
    services = plan.document["services"]
    core = [name for name in services if plan.services is not None and plan.services[name].tier == "core"]
    due = {item.service: item.due for item in ready.items if item.kind in ("load_test", "gap")}
    likely = sorted(core, key=lambda name: -(services[name]["overload_probability"] or 0.0))
    weak = sorted((n for n in likely if services[n]["capacity_evidence"] in _WEAK), key=lambda n: n not in due)
    for name in dict.fromkeys([*weak[:1], *likely]):
        service = services[name]
        rests = _WEAK.get(service["capacity_evidence"])
        because = f"; what it takes rests on {rests}" if rests else ""
        chance = service["overload_probability"]
        price = 0.0 if plan.services is None else float(plan.services[plan.services.pool_of(name)].instance_cost)
        yield (
            f"{name} gets more than it takes{because}",
            _odds(chance),
            (plan.services[name].owner if plan.services is not None else "") or "nobody",
            due.get(name),
            f"{_money(plan, price)} each further instance" if price and service["instances"] else "–",
        )


def _decisions(plan: "Plan", ready: Readiness, dearer: "Plan", promotion: "Promotion") -> Table:
    """Return what only somebody with authority can decide, with the last day on which it helps."""
    import pandas as pd

    document, day = plan.document, _first_scaling(plan)
    last = promotion.freeze.starts_at.date() if promotion.freeze is not None else promotion.starts_at.date()
    more = document["cost"]["per_hour_peak"] - document["cost"]["per_hour_now"]
    rows: list[tuple[str, date | None, str]] = []
    if any(item.kind == "approval" for item in ready.items):
        rows.append(("sign the plan", day or last, f"{_money(plan, more)} more than today, while it runs"))
    nine = dearer.document["cost"]["per_hour_peak"] - document["cost"]["per_hour_peak"]
    if dearer.feasible and nine > 0:
        rows.append(
            (f"one nine more ({_odds(dearer.document['core_overload_probability'])})?", day or last, _money(plan, nine))
        )
    rows += [(item.says, item.due, item.owner or "nobody is named") for item in ready.blocking]
    rows += [(item.says, item.due, item.owner or "nobody is named") for item in ready.items if item.kind == "switch"]
    fallback = [i for i in ready.items if i.kind == "gap" and "cannot answer without" in i.says]
    rows += [(f"{i.service}: {i.says}", i.due, i.owner or "nobody is named") for i in fallback[:2]]
    return Table(pd.DataFrame(rows, columns=["decision", "until", "what hangs on it"]))


def _first_scaling(plan: "Plan") -> date | None:
    days = [
        date.fromisoformat(step["start_at"][:10])
        for service in plan.document["services"].values()
        for step in service["scale_schedule"]
        if step["instances"] > service["instances_now"]
    ]
    return min(days, default=None)


def _money(plan: "Plan", amount: float) -> str:
    return f"{format_number(amount)} {plan.document['cost']['currency']} an hour"


def _odds(probability: Any) -> str:
    return "unknown" if probability is None else format_odds(float(probability))


def _percent(probability: Any) -> str:
    return (
        "a probability that is not known"
        if probability is None
        else f"probability {format_percent(float(probability))}"
    )
