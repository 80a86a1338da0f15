"""Where devices and models meet: time operators on the board, keep profiles, derive budgets and cost tables."""

from toolkit.profiling.acceptance import Accepted, accept
from toolkit.profiling.budget import Budget, Limit, derive_budget
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.planning import MemoryModel, corrected, cost_table, memory_model, plan_limits
from toolkit.profiling.profile import Profile, open_profile, save_profile
from toolkit.profiling.profile_layers import profile_layers, variants_of
from toolkit.profiling.time_programs import timing
from toolkit.profiling.whole_models import WholeModel, time_model, time_program

__all__ = [
    "Accepted",
    "Budget",
    "Limit",
    "Measurement",
    "MemoryModel",
    "Profile",
    "WholeModel",
    "accept",
    "corrected",
    "cost_table",
    "derive_budget",
    "memory_model",
    "open_profile",
    "plan_limits",
    "profile_layers",
    "save_profile",
    "time_model",
    "time_program",
    "timing",
    "variants_of",
]
