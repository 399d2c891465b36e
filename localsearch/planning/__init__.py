"""What an index of a given size needs: memory, disk, machines and hours, by formulas with measured constants.

constants.py  what was measured, and in which file of results
plan.py       the formulas
"""

from localsearch.planning.plan import Machine, Plan, plan

__all__ = ["Machine", "Plan", "plan"]
