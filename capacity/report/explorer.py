"""What-ifs at hand: sliders where a person can move them, the usual questions answered where nobody can."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capacity.display import to_html, to_text
from capacity.display.escape import escape
from capacity.plan.what_if import what_if

if TYPE_CHECKING:
    import pandas as pd

    from capacity.plan import Plan

QUESTIONS: tuple[Mapping[str, float], ...] = ({"demand": 1.1}, {"demand": 1.25}, {"demand": 1.5})
_UNITS = {"turned_away_held": "orders, 1 in 20", "cost_anew": "an hour at the peak"}


@dataclass(frozen=True, eq=False)
class Explorer:
    """A plan with sliders in JupyterLab; on a page, the answers to the usual questions.

    Attributes
    ----------
    plan : Plan
        With its samples.
    """

    plan: "Plan"

    def answers(self, questions: Sequence[Mapping[str, float]] | None = None) -> "pd.DataFrame":
        """Return one row a what-if: overload and orders turned away if nothing is done, and the cost of planning anew.

        Parameters
        ----------
        questions
            Changes as `capacity.what_if` takes them; when left out more people, and one zone more lost and one less.
        """
        import pandas as pd

        losses = int(self.plan.document["risk"]["zone_losses"])
        zones = [{"zone_losses": float(n)} for n in (losses - 1, losses + 1) if n >= 0]
        chosen = [*QUESTIONS, *zones] if questions is None else questions
        return pd.DataFrame([self._answer(changes) for changes in chosen])

    def _answer(self, changes: Mapping[str, float]) -> dict[str, Any]:
        found = what_if(self.plan, changes)
        held, anew = found.held.document, found.anew.document
        return {
            "what if": str(found.changes),
            "overload_held": held["core_overload_probability"],
            "turned_away_held": held["transactions_turned_away"]["q95"],
            "cost_anew": anew["cost"]["per_hour_peak"],
            "overload_anew": anew["core_overload_probability"],
            "promise_kept_anew": found.anew.feasible,
        }

    def sliders(self) -> Any:
        """Return the widgets: demand, zones lost, risk, one service's instances and limit, and every switch."""
        import ipywidgets as widgets

        document = self.plan.document
        controls = _controls(document)
        answer = widgets.HTML()

        def ask(_change: object = None) -> None:
            answer.value = self._show(_read(controls, document))

        for control in controls.values():
            control.observe(ask, names="value")
        ask()
        return widgets.VBox([*controls.values(), answer])

    def _show(self, changes: Mapping[str, float]) -> str:
        found = what_if(self.plan, changes)
        minded = "".join(f"<li>{escape(line)}</li>" for line in found.warnings)
        return (
            f"<p>{escape(found.summary())}</p>{to_html(found.totals)}"
            f"{to_html(found.to_frame(), units=found.units, max_rows=10)}<ul>{minded}</ul>"
        )

    def __repr__(self) -> str:
        return to_text(self.answers(), units=_UNITS)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        # A page has nobody to move a slider; it shows the table that stands beside the widgets in the bundle.
        sliders: dict[str, object] = self.sliders()._repr_mimebundle_(include=include, exclude=exclude)
        frame = self.answers()
        return {**sliders, "text/html": to_html(frame, units=_UNITS), "text/plain": to_text(frame, units=_UNITS)}


def explore(plan: "Plan") -> Explorer:
    """Return sliders over what a plan rests on: people, zones lost, risk, instances, limits and switches."""
    return Explorer(plan)


def _controls(document: Mapping[str, Any]) -> dict[str, Any]:
    import ipywidgets as widgets

    risk, services = document["risk"], document["services"]
    wide = {"style": {"description_width": "14em"}, "continuous_update": False}
    names = [name for name, service in services.items() if service["instances"] > 0]
    controls: dict[str, Any] = {
        "demand": widgets.FloatSlider(1.0, min=0.5, max=3.0, step=0.05, description="demand ×", **wide),
        "zone_losses": widgets.IntSlider(risk["zone_losses"], min=0, max=3, description="zones lost", **wide),
        "overload_probability": widgets.SelectionSlider(
            options=sorted({0.005, 0.01, 0.02, 0.05, 0.1, 0.2, risk["overload_probability"]}),
            value=risk["overload_probability"], description="core overload at most", **wide,
        ),
        "service": widgets.Dropdown(options=["", *names], description="one service", style=wide["style"]),
        "instances": widgets.BoundedIntText(0, min=0, max=10**6, description="its instances (0: planned)", **wide),
        "limit_qps": widgets.BoundedFloatText(
            0, min=0, max=1e12, description="its cluster limit (0: planned)", **wide
        ),
    }  # fmt: skip
    for rung in document["degradation"]:
        controls[f"off.{rung['feature']}"] = widgets.Checkbox(
            bool(rung.get("planned")), description=f"{rung['feature']} off"
        )
    return controls


def _read(controls: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, float]:
    """Return the changes that the controls stand for; what stands as planned is none."""
    risk = document["risk"]
    changes: dict[str, float] = {}
    if controls["demand"].value != 1.0:
        changes["demand"] = float(controls["demand"].value)
    for key in ("zone_losses", "overload_probability"):
        if controls[key].value != risk[key]:
            changes[key] = controls[key].value
    service = controls["service"].value
    for key in ("instances", "limit_qps"):
        if service and controls[key].value:
            changes[f"{service}.{key}"] = float(controls[key].value)
    planned = {rung["feature"] for rung in document["degradation"] if rung.get("planned")}
    off = [key for key in controls if key.startswith("off.")]
    return changes | {key: 1.0 for key in off if controls[key].value and key.removeprefix("off.") not in planned}
