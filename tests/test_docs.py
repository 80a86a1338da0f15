"""What the documents show exists: commands parse, settings and links are there, generated pages are those of today."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from toolkit.cli.app import app
from toolkit.settings import all_settings

CHECKOUT = Path(__file__).parents[1]
GENERATED = ("cli.md", "results.md")
PAGES = [
    path
    for path in sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
    if path.name not in GENERATED and not path.name.startswith("NOTICE")
]
# Options of `deploy` itself: they end the process, or change the user's shell.
OF_DEPLOY = ("--help", "--version", "--install-completion", "--show-completion")


def commands(page: Path) -> list[str]:
    """Lines of `deploy` in blocks of code and in running text; patterns with `...` are none."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^(?:\.venv/bin/)?(deploy .+)$", text, re.MULTILINE)
    found += re.findall(r"`(?:\.venv/bin/)?(deploy [^`\n]+)`", text)
    return [each for each in dict.fromkeys(found) if "..." not in each]


LINES = [(page.relative_to(CHECKOUT).as_posix(), line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_in_the_documents_parses(page: str, line: str) -> None:
    arguments = shlex.split(line, comments=True)[1:]
    command = typer.main.get_command(app)
    if arguments[0] in OF_DEPLOY:
        return
    if arguments[0].startswith("-"):
        arguments.insert(0, "run")
    while hasattr(command, "commands"):
        assert arguments, f"{page}: {line} names no verb"
        assert arguments[0] in command.commands, f"{page}: there is no verb {arguments[0]}"
        command = command.commands[arguments.pop(0)]
    if arguments:  # without any, the text speaks of the verb
        command.make_context("deploy", arguments)


def test_there_are_commands_to_check() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/your-board.md"} <= {page for page, _ in LINES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(CHECKOUT).as_posix())
def test_settings_and_links_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    settings = {each.name for each in all_settings()}
    assert set(re.findall(r"--set ([a-z_]+\.[a-z_]+)", text)) <= settings
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in link:
            assert (page.parent / link).exists(), f"{page.name} links to {link}, which is not there"


def test_readme_can_be_read_in_three_minutes() -> None:
    assert (CHECKOUT / "README.md").stat().st_size <= 6200


def test_generated_pages_are_those_of_today() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_troubleshooting_is_keyed_by_is_said_somewhere() -> None:
    page = (CHECKOUT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    keys = [piece.strip() for key in re.findall(r"\*\*`([^`]+)`\*\*", page) for piece in key.split("...")]
    source = "\n".join(path.read_text(encoding="utf-8") for path in (CHECKOUT / "toolkit").rglob("*.py"))
    assert [key for key in keys if key not in source] == []
