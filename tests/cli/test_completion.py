"""Tab offers verbs, targets and settings, with the verb `run` or without it."""

import os
import subprocess
import sys

import pytest

COMPLETE = [sys.executable, "-c", "from toolkit.cli import main; main()"]


@pytest.mark.parametrize(
    ("shell", "line", "offered"),
    [
        ("bash", "deploy status --target emulated-p", "emulated-pi"),
        ("bash", "deploy --target emulated-p", "emulated-pi"),
        ("bash", "deploy meth", "methods"),
        ("zsh", "deploy --set recovery.r", "recovery.rate="),
    ],
)
def test_what_tab_offers(shell: str, line: str, offered: str) -> None:
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
    }[shell]
    environment = os.environ | asked | {"_DEPLOY_COMPLETE": f"complete_{shell}"}
    done = subprocess.run(COMPLETE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert offered in done.stdout
    assert "Error" not in done.stderr
