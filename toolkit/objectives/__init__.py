"""What a task wants of a network's outputs: one file an objective."""

from toolkit.objectives.boxes import Boxes
from toolkit.objectives.classification import CLASSIFICATION, Classification
from toolkit.objectives.embedding import Embedding
from toolkit.objectives.labelling import IGNORED, Labelling
from toolkit.objectives.multi_label import MultiLabel
from toolkit.objectives.objective import Objective, OverAll
from toolkit.objectives.regression import Regression

__all__ = [
    "CLASSIFICATION",
    "IGNORED",
    "Boxes",
    "Classification",
    "Embedding",
    "Labelling",
    "MultiLabel",
    "Objective",
    "OverAll",
    "Regression",
]
