"""The command line of the plugin: names that other plugins and conftests may have taken, which then stay theirs."""

import argparse
import os
from pathlib import Path

import pytest

REQUIRE = "EDGE_DEPLOY_REQUIRE_BOARD"
TARGET = "edge_deploy_target"
# Ends the name of the JUnit property that says where a baseline was written.
WRITTEN = ".baseline_written"
_OPTIONS: tuple[tuple[str, str, str | None, str], ...] = (
    ("--target", "store", "NAME", "board to test on (`deploy targets` lists them); ini-file: edge_deploy_target"),
    ("--require-board", "store_true", None, f"fail where the board is missing, not skip ({REQUIRE}=1)"),
    ("--update-baselines", "store_true", None, "what `regression` measures becomes the baseline"),
    ("--baselines", "store", "DIR", "folder of the baselines (default: baselines/ in the root folder)"),
    ("--openmetrics", "store", "FILE", "write what `regression` measured in OpenMetrics' text format"),
)


def add_options(parser: pytest.Parser) -> None:
    """Add what nobody else has; the ini-file's `edge_deploy_target` serves where `--target` means something else."""
    group = parser.getgroup("edge-deploy", "hardware in the loop")
    for name, action, metavar, text in _OPTIONS:
        shown = {"metavar": metavar} if metavar else {}
        try:
            group.addoption(name, action=action, dest=_dest(name), default=None, help=text, **shown)
        except (argparse.ArgumentError, ValueError):
            continue


def target_name(config: pytest.Config) -> str | None:
    """The board to test on, if anyone said which."""
    return _said(config, "--target") or config.getini(TARGET) or None


def update_baselines(config: pytest.Config) -> bool:
    """Whether measurements become baselines."""
    return bool(_said(config, "--update-baselines"))


def baselines_folder(config: pytest.Config) -> Path:
    """Where baselines lie, relative to where pytest was started."""
    said = _said(config, "--baselines")
    return config.invocation_params.dir / said if said else config.rootpath / "baselines"


def openmetrics_file(config: pytest.Config) -> Path | None:
    """The file to write, relative to where pytest was started."""
    said = _said(config, "--openmetrics")
    return config.invocation_params.dir / said if said else None


def promise_board(config: pytest.Config) -> None:
    """`--require-board` for everything in and below this process, until pytest ends."""
    if _said(config, "--require-board") and not board_required():
        before = {REQUIRE: os.environ[REQUIRE]} if REQUIRE in os.environ else {}
        os.environ[REQUIRE] = "1"

        def restore() -> None:
            del os.environ[REQUIRE]
            os.environ.update(before)

        config.add_cleanup(restore)


def board_required() -> bool:
    """Whether a board was promised."""
    return os.environ.get(REQUIRE) == "1"


def _said(config: pytest.Config, option: str) -> str | None:
    said: str | None = config.getoption(_dest(option), default=None)
    return said


def _dest(option: str) -> str:
    return "edge_deploy_option_" + option.strip("-").replace("-", "_")
