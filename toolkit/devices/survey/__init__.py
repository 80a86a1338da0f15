"""What a board is, asked before anything is put there: one shell script, facts, and what follows from them."""

from toolkit.devices.survey.ask import ask_survey
from toolkit.devices.survey.checks import Check, checks, chosen_runtime
from toolkit.devices.survey.parse import parse_survey
from toolkit.devices.survey.recognise import recognise
from toolkit.devices.survey.survey import Interpreter, Survey
from toolkit.devices.survey.unfit import Unfit, unfit, usable_python

__all__ = [
    "Check",
    "Interpreter",
    "Survey",
    "Unfit",
    "ask_survey",
    "checks",
    "chosen_runtime",
    "parse_survey",
    "recognise",
    "unfit",
    "usable_python",
]
