"""Where devices and models meet: time operators on the board, keep profiles, derive budgets and cost tables."""

from toolkit.profiling.acceptance import Accepted, Refusal, accept, judged
from toolkit.profiling.budget import Budget, Limit, derive_budget, with_defaults_of
from toolkit.profiling.conversions import Border, conversions_of, profile_conversions
from toolkit.profiling.cost_tables import MemoryModel, cost_table, memory_model
from toolkit.profiling.measurement import MOST_SPREAD, Measurement
from toolkit.profiling.pieces import (
    ONLY_FP32,
    Arithmetics,
    Part,
    Piece,
    block_part,
    fixed_part,
    group_part,
    input_shapes,
    layer_part,
)
from toolkit.profiling.planning import (
    p95_over_median,
    plan_limits,
    planned_share,
    unreachable,
    with_overheads,
)
from toolkit.profiling.profile import Profile
from toolkit.profiling.profile_file import read_profile, save_profile
from toolkit.profiling.profile_layers import profile_layers
from toolkit.profiling.program_key import WHOLE
from toolkit.profiling.steady import Patience
from toolkit.profiling.stored import open_profile, stored_profile
from toolkit.profiling.time_programs import timing
from toolkit.profiling.variants import variants_of
from toolkit.profiling.whole_models import (
    NotStored,
    Untimed,
    WholeModel,
    is_stored,
    row_of,
    time_models,
)

__all__ = [
    "MOST_SPREAD",
    "ONLY_FP32",
    "WHOLE",
    "Accepted",
    "Arithmetics",
    "Border",
    "Budget",
    "Limit",
    "Measurement",
    "MemoryModel",
    "NotStored",
    "Part",
    "Patience",
    "Piece",
    "Profile",
    "Refusal",
    "Untimed",
    "WholeModel",
    "accept",
    "block_part",
    "conversions_of",
    "cost_table",
    "derive_budget",
    "fixed_part",
    "group_part",
    "input_shapes",
    "is_stored",
    "judged",
    "layer_part",
    "memory_model",
    "open_profile",
    "p95_over_median",
    "plan_limits",
    "planned_share",
    "profile_conversions",
    "profile_layers",
    "read_profile",
    "row_of",
    "save_profile",
    "stored_profile",
    "time_models",
    "timing",
    "unreachable",
    "variants_of",
    "with_defaults_of",
    "with_overheads",
]
