"""The agent on this machine and on a board: its facts, its failures, and lines that are not its own."""

import dataclasses
import json
import platform
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workplace import Workplace, local_agent

from toolkit.devices import Agent, call, connect, open_home, probe, scratch
from toolkit.devices.agent_client import parse_event
from toolkit.devices.local import LocalDevice
from toolkit.devices.python_agent import install_python_agent
from toolkit.errors import BoardError
from toolkit.targets import Target


@pytest.fixture
def agent(place: Workplace) -> Agent:
    return local_agent(place)


def test_this_machine_tells_its_facts(agent: Agent) -> None:
    facts = probe(agent)
    assert facts.machine == platform.machine()
    assert facts.python == platform.python_version()
    assert facts.cores >= 1
    assert facts.ram_bytes is not None
    assert facts.ram_bytes > 1e8
    assert "onnxruntime" in facts.runtimes
    assert facts.conditions.keys() >= {"governor", "frequency_mhz", "temperature_c", "load_1min", "zones"}


def test_conditions_are_no_part_of_what_a_board_is(agent: Agent) -> None:
    facts = probe(agent)
    assert dataclasses.replace(facts, conditions={"load_1min": 99.0}) == facts
    assert "conditions" not in facts.identity()
    assert "python" not in facts.identity()


@pytest.mark.board
def test_the_board_tells_its_facts(emulated_pi: Target) -> None:
    device = connect(emulated_pi)
    facts = probe(install_python_agent(open_home(device, emulated_pi), emulated_pi))
    device.close()
    assert (facts.machine, facts.cores) == ("aarch64", 1)
    assert facts.libc is not None
    assert facts.libc.startswith("glibc 2.")


def test_installing_the_agent_again_changes_nothing(place: Workplace) -> None:
    first = local_agent(place)
    [archive] = (place.root / "agent").iterdir()
    written = archive.stat().st_mtime_ns
    assert local_agent(place).command == first.command
    assert archive.stat().st_mtime_ns == written
    archive.write_bytes(b"")  # as a power cut may leave it
    local_agent(place)
    assert archive.stat().st_size > 1000


def test_a_tilde_in_the_root_is_the_boards_home(place: Workplace, home: Path) -> None:
    target = place.target.model_copy(update={"root": "~/of mine"})
    assert open_home(LocalDevice(), target).root == f"{home}/of mine"


def test_a_verb_that_fails_is_one_board_error(agent: Agent, place: Workplace) -> None:
    spec = {"release": "/no/such", "adapted": None, "inputs": "/no/x", "outputs": "/no/y", "threads": 1}
    with pytest.raises(BoardError, match=r"agent infer: FileNotFoundError: .*/no/such/manifest\.json") as caught:
        call(agent, "infer", spec)
    assert caught.value.where == "desk"
    assert place.left_behind() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"event": "done"}', "done.machine: Field required"),
        ('{"event": "done", "machine": 8}', "done.machine: Input should be a valid string"),
        ('{"event": "sung"}', "a facts says nothing called sung"),
    ],
)
def test_an_answer_that_is_not_in_the_protocol_is_one_board_error(
    agent: Agent, tmp_path: Path, line: str, said: str
) -> None:
    with pytest.raises(BoardError, match=f"agent facts answered what its protocol does not have: {said}"):
        probe(dataclasses.replace(agent, command=printing(tmp_path, line)))


@pytest.mark.board
def test_a_board_without_python_says_so(emulated_pi: Target) -> None:
    without = emulated_pi.model_copy(update={"python": "python9"})
    device = connect(emulated_pi)
    with pytest.raises(BoardError, match="has no python9") as caught:
        install_python_agent(open_home(device, without), without)
    device.close()
    assert caught.value.next == "Install Python 3.9 or later on the board."


def test_an_agent_killed_for_its_memory_says_so(agent: Agent, tmp_path: Path) -> None:
    killed = tmp_path / "python"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o755)
    with pytest.raises(BoardError, match="was killed, most likely for lack of memory"):
        probe(dataclasses.replace(agent, command=str(killed)))


def printing(tmp_path: Path, *lines: str) -> str:
    """A program that prints those lines, whatever it is asked."""
    (tmp_path / "lines").write_text("\n".join(lines) + "\n")
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\ncat '{tmp_path}/lines'\n")
    program.chmod(0o755)
    return shlex.quote(str(program))


def test_what_libraries_print_is_passed_over(agent: Agent, tmp_path: Path) -> None:
    noise = ["2024-01-01 W something", "{", '{"loss": 1.0}', '{"event": 7}', "[1]", "\x00", '{"a":' * 100_000]
    seen: list[dict[str, Any]] = []
    row = {"event": "measured", "id": "a", "load_ms": 1.0, "sha256": "", "peak_bytes": None}
    row |= {"median_ms": 1.0, "p95_ms": 1.0, "min_ms": 1.0, "runs": 1, "warmups": 0, "busy_share": 1.0}
    end = {"conditions": {"before": {}, "after": {}}}
    command = printing(tmp_path, *noise, json.dumps(row), *noise, json.dumps({"event": "done", **end}))
    spec = {"runtime": "x", "threads": 1, "warmups": 0, "runs": 1, "budget_ms": 1.0, "programs": []}
    assert call(dataclasses.replace(agent, command=command), "bench", spec, on_event=seen.append) == end
    assert seen == [row]


def test_an_agent_that_ends_without_a_result_is_one_board_error(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="agent facts ended without a result"):
        probe(dataclasses.replace(agent, command=printing(tmp_path, "hello")))


@given(st.binary())
def test_any_bytes_are_an_event_or_nothing(line: bytes) -> None:
    event = parse_event(line)
    assert event is None or isinstance(event["event"], str)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), json_values))
def test_only_an_object_that_names_its_event_is_one(fields: dict[str, Any]) -> None:
    line = json.dumps(fields).encode()
    assert parse_event(line) == (fields if isinstance(fields.get("event"), str) else None)


@pytest.mark.parametrize("how", [None, KeyboardInterrupt, BoardError])
def test_a_scratch_path_is_gone_however_its_use_ends(agent: Agent, place: Workplace, how: Any) -> None:
    def use() -> None:
        with scratch(agent.home, "folder") as path:
            Path(path).mkdir()
            (Path(path) / "file").touch()
            if how:
                raise how("stop")

    if how:
        with pytest.raises(how):
            use()
    else:
        use()
    assert place.left_behind() == []
