"""Everything open before the freeze, as one worklist with owners and days."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from capacity.display.numbers import format_odds, format_qps
from capacity.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from capacity.display.figures import Chart
    from capacity.lessons import Action
    from capacity.plan import Plan
    from capacity.plan.evaluation import Gap
    from capacity.promotion import Promotion
    from capacity.staircase import LoadTestPlan

BLOCKING_GAPS = frozenset({"unknown_capacity", "third_party_without_sla"})
_FEW = 3


@dataclass(frozen=True)
class Item:
    """One thing to do.

    Attributes
    ----------
    kind : str
        ``promise``, ``approval``, ``scale``, ``switch``, ``load_test``, ``gap``, ``action``, ``duty``, ``drill`` or
        ``third_party``.
    service, owner : str
        Empty where there is none.
    due : date or None
        Last day on which it is of use.
    says : str
        What, with its numbers.
    blocking : bool
        Whether the plan's promise does not hold without it.
    cost_per_hour : float or None
        What it adds, in the plan's currency.
    """

    kind: str
    service: str
    owner: str
    due: date | None
    says: str
    blocking: bool = False
    cost_per_hour: float | None = None


@dataclass(frozen=True, repr=False, eq=False)
class Readiness(Result):
    """Whether a promotion is ready, and what is left to do.

    Attributes
    ----------
    promotion : str
    as_of : date
        Items due before it are overdue.
    items : tuple of Item
        Blocking ones first, then by day.
    overload_probability, promised : float or None
        Of any core service, with the planned zone loss.
    """

    promotion: str
    as_of: date
    items: tuple[Item, ...]
    overload_probability: float | None
    promised: float

    units: ClassVar[dict[str, str]] = {"cost_per_hour": "an hour"}

    @property
    def blocking(self) -> tuple[Item, ...]:
        """Items without which the promise does not hold."""
        return tuple(item for item in self.items if item.blocking)

    @property
    def overdue(self) -> tuple[Item, ...]:
        """Items whose day has passed."""
        return tuple(item for item in self.items if item.due is not None and item.due < self.as_of)

    @property
    def state(self) -> str:
        """``ready``, ``ready if …`` where at most three things stand between, or ``not ready``."""
        blocking = self.blocking
        if not blocking:
            return "ready"
        return "ready if …" if len(blocking) <= _FEW else "not ready"

    def summary(self) -> str:
        """Return the verdict in words, with its probability and what stands between."""
        odds = "unknown" if self.overload_probability is None else format_odds(self.overload_probability)
        chance = f"the chance that a core service is overloaded is {odds} (allowed: {format_odds(self.promised)})"
        blocking = self.blocking
        if not blocking:
            head = "ready"
        elif len(blocking) <= _FEW:
            head = f"ready if {'; and '.join(_short(item) for item in blocking)}"
        else:
            head = f"not ready: {len(blocking)} things stand between, first {_short(blocking[0])}"
        late = len(self.overdue)
        return f"{self.promotion}: {head}; {chance}; {len(self.items)} open, {late} overdue"

    def to_frame(self) -> "pd.DataFrame":
        """Return the worklist: ``kind, service, owner, due, overdue, blocking, says, cost_per_hour``."""
        import pandas as pd

        late = set(map(id, self.overdue))
        columns = ["kind", "service", "owner", "due", "overdue", "blocking", "says", "cost_per_hour"]
        rows = [vars(item) | {"overdue": id(item) in late} for item in self.items]
        return pd.DataFrame(rows, columns=columns)

    def plot(self) -> "Chart":
        """Draw how many things are due on which day."""
        from capacity.operations.figure import draw_readiness

        return draw_readiness(self)


def check_readiness(
    plan: "Plan",
    *,
    promotion: "Promotion",
    as_of: date,
    gaps: "Iterable[Gap]" = (),
    load_tests: "LoadTestPlan | None" = None,
    approved_by: str | None = None,
    actions: "Sequence[Action]" = (),
    others: "Iterable[Item]" = (),
) -> Readiness:
    """Gather what is left to do before a promotion.

    Parameters
    ----------
    plan : Plan
    promotion : Promotion
    as_of : date
        Today.
    gaps
        Of the evaluation of the services.
    load_tests
        Planned before the promotion.
    approved_by
        Who signed the plan; None when nobody did.
    actions
        Left open by earlier promotions.
    others
        What else is open: roster, drills, third parties.
    """
    last = (promotion.freeze.starts_at if promotion.freeze is not None else promotion.starts_at).date()
    items = [
        *_promises(plan, last),
        *_approval(plan, approved_by, last),
        *_scaling(plan),
        *_switches(plan),
        *_tests(plan, load_tests),
        *(
            Item("gap", gap.service, gap.owner, last, f"{gap.says}: {gap.remedy}", _blocks(gap))
            for gap in gaps
            if not (gap.kind == "untested" and load_tests is not None)
        ),
        *(Item("action", "", a.owner, a.due or last, a.text) for a in actions if a.status == "open"),
        *others,
    ]
    items.sort(key=lambda item: (not item.blocking, item.due or last, item.kind, item.service))
    document = plan.document
    return Readiness(
        promotion=promotion.id,
        as_of=as_of,
        items=tuple(items),
        overload_probability=document["core_overload_probability"],
        promised=float(document["risk"]["overload_probability"]),
    )


def _blocks(gap: "Gap") -> bool:
    return gap.tier == "core" and gap.kind in BLOCKING_GAPS


def _promises(plan: "Plan", last: date) -> Iterator[Item]:
    """Yield what breaks the promise, each with the least change that mends it."""
    for reason in plan.infeasible_because:
        named = next((name for name in plan.document["services"] if f" {name} " in f" {reason} "), "")
        yield Item("promise", named, _owner(plan, named), last, reason, blocking=True)


def _approval(plan: "Plan", approved_by: str | None, last: date) -> Iterator[Item]:
    if approved_by is None:
        first = min((d for _, _, d in _steps(plan)), default=last)
        says = f"nobody has signed the plan: capacity plan {plan.promotion_id} --approve NAME"
        yield Item("approval", "", "", min(first, last), says)


def _steps(plan: "Plan") -> Iterator[tuple[str, dict[str, Any], date]]:
    for name, service in plan.document["services"].items():
        for step in service["scale_schedule"]:
            if step["instances"] > service["instances_now"]:
                yield name, step, datetime.fromisoformat(step["start_at"]).date()


def _scaling(plan: "Plan") -> Iterator[Item]:
    for name, step, day in _steps(plan):
        runs_on = None if plan.services is None else plan.services[name].runs_on
        if runs_on:
            continue
        now = plan.document["services"][name]["instances_now"]
        price = None if plan.services is None else float(plan.services[name].instance_cost)
        yield Item(
            "scale", name, _owner(plan, name), day,
            f"from {now} to {step['instances']} instances: ask at {step['start_at']}, serving by {step['ready_by']}",
            cost_per_hour=None if price is None else price * (step["instances"] - now),
        )  # fmt: skip


def _switches(plan: "Plan") -> Iterator[Item]:
    for rung in plan.document["degradation"]:
        if rung.get("planned") and rung["on_at"]:
            says = f"switch {rung['feature']} off at {rung['on_at']} ({rung.get('switch') or 'no switch is named'})"
            day = datetime.fromisoformat(rung["on_at"]).date()
            yield Item("switch", rung["service"], rung["owner"] or "", day, says)


def _tests(plan: "Plan", load_tests: "LoadTestPlan | None") -> Iterator[Item]:
    for test in load_tests.tests if load_tests is not None else ():
        stairs = test.staircase
        when = f"at {test.window.starts_at.isoformat()}" if test.window is not None else "but no quiet hour is free"
        day = test.window.starts_at.date() if test.window is not None else None
        top, target = format_qps(max(stairs.offered_qps)), format_qps(stairs.target_qps)
        says = f"load-test it {when}: to {top}, for the {target} it must take"
        yield Item("load_test", test.service, _owner(plan, test.service), day, says)


def _owner(plan: "Plan", name: str) -> str:
    return plan.services[name].owner if plan.services is not None and name in plan.services else ""


def _short(item: Item) -> str:
    return item.says if len(item.says) <= 160 else f"{item.says[:159]}…"
