"""Recipe: which losses train a compact model, how they are weighed against each other, and what of it they train."""

from dataclasses import dataclass
from typing import Literal, get_args

from toolkit.errors import BadInput

Loss = Literal["kd", "features", "gradient"]
Weighing = Literal["fixed", "beta", "beta-terms", "beta-instances"]
Trained = Literal["cores", "factors", "network"]
# The cross-entropy on the labels is part of every recipe; alone it is the recipe without a teacher.
TASK = "task"


@dataclass(frozen=True)
class Recipe:
    """What the teacher teaches beside the cross-entropy of the task, and the weights: fixed, or one form of beta.

    On this machine all three factors of a compact layer may train, not only its core, or the whole network with what
    stayed dense; on the board it is the cores.
    """

    losses: tuple[Loss, ...] = ("kd",)
    weighing: Weighing = "fixed"
    trained: Trained = "cores"

    def __str__(self) -> str:
        weighing = [] if self.weighing == "fixed" else [self.weighing]
        return "+".join([*(self.losses or [TASK]), *weighing, *([] if self.trained == "cores" else [self.trained])])


# Seven points above `kd` alone (Hinton et al. 2015) on a ResNet-20 at 30 %: benchmarks/ablations.py. Another one has to
# be measured better before it takes its place.
DEFAULT_RECIPE = Recipe(("kd", "features"), trained="factors")


def parse_recipe(text: str) -> Recipe:
    """`kd+gradient+beta` and the like, in any order. Raises BadInput that names every part that is wrong."""
    parts = [part.strip() for part in text.split("+")]
    losses = tuple(name for name in get_args(Loss) if name in parts)
    weighings = tuple(name for name in get_args(Weighing) if name != "fixed" and name in parts)
    known = {TASK, *get_args(Loss), *get_args(Weighing), *get_args(Trained)} - {"fixed"}
    wrong = [f"'{part}' is not known" for part in dict.fromkeys(parts) if part not in known]
    wrong += [f"'{part}' is there twice" for part in dict.fromkeys(parts) if part in known and parts.count(part) > 1]
    trained = [name for name in get_args(Trained) if name in parts]
    if len(trained) > 1:
        wrong.append(f"{' and '.join(trained)} exclude each other")
    if len(weighings) > 1:
        wrong.append(f"{' and '.join(weighings)} exclude each other")
    if weighings and not losses:
        wrong.append(f"{weighings[0]} has no loss of a teacher to weigh")
    if not losses and TASK not in parts and not wrong:
        wrong.append("names no loss")
    if wrong:
        names = f"{', '.join(get_args(Loss))}, at most one of {', '.join(get_args(Weighing)[1:])}"
        names += f", and one of {', '.join(get_args(Trained))}"
        raise BadInput("; ".join(wrong), where="recovery.distill", next=f"Join {names} with +, or give {TASK} alone.")
    return Recipe(losses, weighings[0] if weighings else "fixed", trained[0] if trained else "cores")
