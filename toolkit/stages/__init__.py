"""The ten stages of a deployment, one function each; `toolkit.pipeline` calls them in order."""

from toolkit.stages.adapt import adapt
from toolkit.stages.allocate import allocate, allocate_smaller
from toolkit.stages.budget import budget
from toolkit.stages.choose_runtime import choose_runtime
from toolkit.stages.compress import compress
from toolkit.stages.export import export
from toolkit.stages.floor import hold_accuracy
from toolkit.stages.forecast import forecast, remember
from toolkit.stages.frontier import frontier
from toolkit.stages.give_way import give_way, renew_default
from toolkit.stages.install import install
from toolkit.stages.load import load
from toolkit.stages.probe import imagine, probe, recall
from toolkit.stages.profile import estimate, profile
from toolkit.stages.report import report
from toolkit.stages.summarise import summarise
from toolkit.stages.verify import conclude, verify
from toolkit.stages.watch import Watch

__all__ = [
    "Watch",
    "adapt",
    "allocate",
    "allocate_smaller",
    "budget",
    "choose_runtime",
    "compress",
    "conclude",
    "estimate",
    "export",
    "forecast",
    "frontier",
    "give_way",
    "hold_accuracy",
    "imagine",
    "install",
    "load",
    "probe",
    "profile",
    "recall",
    "remember",
    "renew_default",
    "report",
    "summarise",
    "verify",
]
