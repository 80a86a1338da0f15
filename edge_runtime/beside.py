"""Packages that `deploy` put on a board beside this one: found behind those that the application has of its own."""

import os
import sys

_ARCHIVE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What every application needs, and what reads its texts and its images.
_LINKS = ("site", "texts", "images")
for _place in [os.path.join(os.path.dirname(_ARCHIVE), name) for name in _LINKS]:
    if _ARCHIVE.endswith(".pyz") and os.path.isdir(_place):
        sys.path.append(os.path.realpath(_place))  # a later deployment leads the link elsewhere
