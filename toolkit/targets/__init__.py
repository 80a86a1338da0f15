"""Boards: families of them, where each can be reached, and the files that say both."""

from toolkit.targets.family import BoardSettings, BudgetDefaults, Clock, Datasheet, Family
from toolkit.targets.files import (
    expand_path,
    load_family,
    load_target,
    read_entries,
    read_entry,
    read_target,
    target_files,
)
from toolkit.targets.host import place_at
from toolkit.targets.place import AdbPlace, EmulatedCpu, LabPlace, LocalPlace, Place, SerialPlace, SshPlace
from toolkit.targets.target import Target, usual_target

__all__ = [
    "AdbPlace",
    "BoardSettings",
    "BudgetDefaults",
    "Clock",
    "Datasheet",
    "EmulatedCpu",
    "Family",
    "LabPlace",
    "LocalPlace",
    "Place",
    "SerialPlace",
    "SshPlace",
    "Target",
    "expand_path",
    "load_family",
    "load_target",
    "place_at",
    "read_entries",
    "read_entry",
    "read_target",
    "target_files",
    "usual_target",
]
