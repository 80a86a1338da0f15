"""What a task wants of a network's outputs: one file an objective."""

from toolkit.objectives.classification import CLASSIFICATION, Classification
from toolkit.objectives.labelling import IGNORED, Labelling
from toolkit.objectives.multi_label import MultiLabel
from toolkit.objectives.objective import Objective
from toolkit.objectives.regression import Regression

__all__ = ["CLASSIFICATION", "IGNORED", "Classification", "Labelling", "MultiLabel", "Objective", "Regression"]
