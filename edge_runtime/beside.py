"""Packages that `deploy` put on a board beside this one: found behind those that the application has of its own."""

import os
import sys

_ARCHIVE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_SITE = os.path.join(os.path.dirname(_ARCHIVE), "site")
if _ARCHIVE.endswith(".pyz") and os.path.isdir(_SITE):
    sys.path.append(os.path.realpath(_SITE))  # a later deployment leads the link elsewhere
