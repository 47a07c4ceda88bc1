"""The planner who knows how the evening is drawn but not the draw, and the seer who knows the draw.

*What the knowing planner knows.* Every parameter that is drawn once for the company, as it truly is: growth, seasons,
uplifts of its kinds of promotion and how they grow, how far promotions scatter, what a user asks of each entry, the
call graph, the shapes of rushes, the dispersion of seconds; all days before the planning day; what was told of the
offer's depth; the true capacity of an instance and of what cannot be scaled. *What it does not know:* whatever is drawn
after the planning day. This is drawn anew, many times, by the family's own code (`first`, `second`): the days until the
promotion, the strength of the promotion and of its opening, its mix of calls, and every second of it. It makes no use
of the business's estimate. In the second family it also knows the course of growth to the end, so the one company in
twenty whose growth jumps between planning and promotion is told of the jump.

No planner who has only the company's files can know as much: parameters come to them through one to four past
promotions. The distance to the knowing planner is the price of learning; that to the seer is the price of risk.
"""

from benchmarks.known_process.parts import parts_table
from benchmarks.known_process.verdict import FUTURES, judge_planners, planners_table

__all__ = ["FUTURES", "judge_planners", "parts_table", "planners_table"]
