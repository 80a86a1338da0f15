"""A runtime that a board's Python cannot import is one line, with what helps."""

from dataclasses import replace
from pathlib import Path

import pytest
from workplace import Workplace, local_agent

from toolkit.devices.first_import import first_import, one_line
from toolkit.devices.python_agent import with_site
from toolkit.errors import BoardError

NUMPY = """

IMPORTANT: PLEASE READ THIS FOR ADVICE ON HOW TO SOLVE THIS ISSUE!

Importing the numpy C-extensions failed. This error can happen for
many reasons, often due to issues with your setup or how NumPy was
installed.

Original error was: libopenblas.so.0: wrong ELF class: ELFCLASS64
"""


def test_the_version_is_told(place: Workplace) -> None:
    assert first_import(local_agent(place), "onnxruntime").startswith("1.")


def test_a_library_that_cannot_be_loaded_is_named_in_one_line(place: Workplace, tmp_path: Path) -> None:
    site = tmp_path / "site" / "onnxruntime"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text(f"raise ImportError({NUMPY!r})")
    with pytest.raises(BoardError, match="wrong ELF class") as caught:
        first_import(with_site(local_agent(place), str(site.parent)), "onnxruntime")
    assert "\n" not in caught.value.what
    assert "IMPORTANT" not in caught.value.what
    assert "executorch" in str(caught.value.next)


def test_an_instruction_that_the_processor_has_not_is_named(place: Workplace, tmp_path: Path) -> None:
    site = tmp_path / "site" / "onnxruntime"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)")
    with pytest.raises(BoardError, match="SIGILL"):
        first_import(with_site(local_agent(place), str(site.parent)), "onnxruntime")


def test_an_agent_that_is_not_reached_is_not_the_runtimes_fault(place: Workplace) -> None:
    agent = local_agent(place)
    gone = replace(agent, command="/no/such/python agent.pyz")
    with pytest.raises(BoardError, match="127"):
        first_import(gone, "onnxruntime")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (NUMPY, "libopenblas.so.0: wrong ELF class: ELFCLASS64"),
        ("\n\nfirst\nsecond", "first"),
        ("", "it says nothing"),
    ],
)
def test_the_cause_is_found_in_what_a_library_says(said: str, line: str) -> None:
    assert one_line(said) == line
