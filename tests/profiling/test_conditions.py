"""Conditions before and after a batch: what the vendors' tools print, and what a disturbed board leads to.

The transcripts are written after the vendors' public documentation; none was recorded on hardware.
"""

import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from native import run_verb
from torch import nn
from workplace import Workplace, local_agent

from toolkit.devices import Agent, probe
from toolkit.inputs import inputs_of
from toolkit.profiling import Untimed, open_profile, row_of, time_models
from toolkit.profiling.conditions import (
    disturbances,
    parse_power_mode,
    parse_tegrastats,
    parse_throttled,
    too_hot,
)
from toolkit.profiling.steady import Patience, time_steadily
from toolkit.profiling.time_programs import Timeable, timing
from toolkit.runtimes import RUNTIMES

ORIN = (
    "11-21-2026 10:00:00 RAM 2448/7620MB (lfb 7x4MB) SWAP 0/3810MB (cached 0MB) "
    "CPU [2%@1510,100%@1511,off,off,0%@729,0%@729] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] NVDEC off APE 200 "
    "cpu@48.5C soc2@47.406C tj@48.5C gpu@-256C VDD_IN 5158mW/5158mW"
)
NANO = (
    "RAM 861/3956MB (lfb 538x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [4%@1479,0%@1479,0%@1479,0%@1479] EMC_FREQ 1%@1600 GR3D_FREQ 0%@76 PLL@38.5C CPU@41C PMIC@100C "
    "GPU@39C AO@46.5C thermal@40C POM_5V_IN 2300/2300 POM_5V_GPU 0/0 POM_5V_CPU 328/328"
)


def test_throttle_flags_of_a_raspberry_pi() -> None:
    healthy, hot, once = map(parse_throttled, ("throttled=0x0\n", "throttled=0x50005", "throttled=0xe0000"))
    assert healthy is not None
    assert healthy.now == healthy.since_boot == frozenset()
    assert hot is not None
    assert hot.now == hot.since_boot == {"under-voltage", "throttled"}
    assert once is not None
    assert (once.now, once.since_boot) == (
        frozenset(),
        {"clock capped", "throttled", "soft temperature limit"},
    )


def test_power_modes_of_a_jetson() -> None:
    assert parse_power_mode("NV Power Mode: MAXN\n0") == "MAXN"
    assert parse_power_mode("NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W\n2\n") == "MODE_15W"


def test_tegrastats_of_two_jetsons() -> None:
    orin, nano = parse_tegrastats(ORIN), parse_tegrastats(NANO)
    assert orin is not None
    assert orin.frequency_mhz == (1510, 1511, 729, 729)
    assert orin.temperature_c == {"cpu": 48.5, "soc2": 47.406, "tj": 48.5, "gpu": -256.0}
    assert nano is not None
    assert nano.frequency_mhz == (1479,) * 4
    assert nano.temperature_c["AO"] == 46.5


@pytest.mark.parametrize("parse", [parse_throttled, parse_power_mode, parse_tegrastats])
@given(text=st.none() | st.text() | st.text(alphabet="throled=0x9CPU []%@:,.C NVPowrMd"))
def test_what_is_no_transcript_says_nothing(parse: Callable[[str | None], object], text: str | None) -> None:
    try:
        parse(text)
    except Exception as error:
        raise AssertionError(f"{text!r}") from error
    assert parse("bash: vcgencmd: command not found") is None


CALM: dict[str, Any] = {
    "governor": "ondemand",
    "frequency_mhz": [2400.0, 1500.0],
    "zones": [{"type": "cpu-thermal", "temperature_c": 60.0, "trip_c": 80.0}],
    "vcgencmd": "throttled=0x20000",
    "nvpmodel": "NV Power Mode: MAXN\n0",
    "tegrastats": None,
}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({}, {"frequency_mhz": [1500.0, 2300.0]}, []),  # another core, 4 % slower
        ({}, {"frequency_mhz": [1800.0, 1500.0]}, [("drifted", "clock went from 2400 to 1800 MHz")]),
        ({}, {"governor": "powersave"}, [("drifted", "governor ondemand became powersave")]),
        ({}, {"nvpmodel": "NV Power Mode: 15W\n2"}, [("drifted", "power mode MAXN became 15W")]),
        ({}, {"vcgencmd": "throttled=0x20002"}, [("throttled", "clock capped")]),
        ({"vcgencmd": "throttled=0x4"}, {}, [("throttled", "clock capped"), ("throttled", "throttled")]),
        ({}, {"vcgencmd": "throttled=0xa0000"}, [("throttled", "soft temperature limit")]),
        (
            {},
            {"zones": [{"type": "cpu", "temperature_c": 80.0, "trip_c": 80.0}]},
            [("throttled", "cpu at or above 80 °C")],
        ),
        ({"frequency_mhz": None, "tegrastats": ORIN}, {"frequency_mhz": None, "tegrastats": ORIN}, []),
        (
            {"frequency_mhz": None, "tegrastats": ORIN},
            {"frequency_mhz": None, "tegrastats": ORIN.replace("@151", "@115")},
            [("drifted", "clock went from 1511 to 1151 MHz")],
        ),
    ],
)
def test_what_counts_as_a_disturbance(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = disturbances(CALM | before, CALM | after)
    assert [(each.flag, each.reason) for each in found] == expected


def test_nothing_readable_is_no_disturbance() -> None:
    unknown = dict.fromkeys(CALM) | {"zones": []}
    assert disturbances(unknown, unknown) == ()
    assert not too_hot(unknown)


@dataclasses.dataclass(frozen=True)
class Sysfs:
    """A folder laid out like a board's root."""

    root: Path

    def write(self, path: str, text: str, *, executable: bool = False) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
        file.chmod(0o755 if executable else 0o644)

    def agent(self, agent: Agent) -> Agent:
        """The real agent, which takes this folder for the board's root."""
        return dataclasses.replace(
            agent, command=f"EDGE_DEPLOY_SYSTEM_ROOT={shlex.quote(str(self.root))} {agent.command}"
        )


@pytest.fixture
def board(tmp_path: Path) -> Sysfs:
    """A calm Raspberry Pi with a clock of 2400 MHz."""
    made = Sysfs(tmp_path / "a root")
    made.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "ondemand")
    made.write("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "2400000")
    zone = "sys/class/thermal/thermal_zone0"
    for name, text in {
        "type": "cpu-thermal",
        "temp": "61000",
        "trip_point_0_type": "active",
        "trip_point_0_temp": "50000",
        "trip_point_1_type": "passive",
        "trip_point_1_temp": "80000",
        "trip_point_2_type": "critical",
        "trip_point_2_temp": "110000",
    }.items():
        made.write(f"{zone}/{name}", text)
    made.write("usr/bin/vcgencmd", '#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x0', executable=True)
    return made


EXPECTED = {
    "governor": "ondemand",
    "frequency_mhz": [2400.0],
    "temperature_c": 61.0,
    "zones": [{"type": "cpu-thermal", "temperature_c": 61.0, "trip_c": 80.0}],
    "vcgencmd": "throttled=0x0",
    "nvpmodel": "NV Power Mode: MAXN\n0",
    "tegrastats": ORIN,
}


def _as_a_jetson_too(board: Sysfs) -> None:
    board.write("usr/sbin/nvpmodel", "#!/bin/sh\necho NV Power Mode: MAXN\necho 0", executable=True)
    endless = f"#!/bin/sh\nwhile echo {shlex.quote(ORIN)}; do sleep 0.1; done"
    board.write("usr/bin/tegrastats", endless, executable=True)


def test_the_agent_reads_clocks_zones_and_tools(place: Workplace, board: Sysfs) -> None:
    _as_a_jetson_too(board)
    said = probe(board.agent(local_agent(place))).conditions
    assert {key: said[key] for key in EXPECTED} == EXPECTED


def test_the_runner_reads_the_same(
    compiler: None, board: Sysfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as_a_jetson_too(board)
    monkeypatch.setenv("EDGE_DEPLOY_SYSTEM_ROOT", str(board.root))
    said = run_verb(tmp_path, "facts", None).last["conditions"]
    assert {key: said[key] for key in EXPECTED} == EXPECTED


def _timed(
    agent: Agent,
    on_note: Callable[[str], None],
    clock: Any = "wall",
    size: int = 64,
    judged_by_p95: tuple[str, ...] = (),
) -> Any:
    runtime = RUNTIMES["onnxruntime"]
    [program] = runtime.export_layers([nn.Linear(size, size)], [torch.zeros(size, size)])
    return time_steadily(
        agent,
        runtime,
        1,
        clock,
        {"it": Timeable(program, (size, size), {})},
        timing(runs=3),
        on_note=on_note,
        patience=Patience(attempts=2, cool_down_s=2.0, look_every_s=0.2),
        judged_by_p95=judged_by_p95,
    )


def test_a_board_that_throttles_throughout_is_cooled_repeated_and_flagged(place: Workplace, board: Sysfs) -> None:
    board.write("sys/class/thermal/thermal_zone0/temp", "85000")
    notes: list[str] = []
    found = _timed(board.agent(local_agent(place)), notes.append)
    assert "throttled" in found.rows["it"].flags
    assert (found.batch.attempts, found.batch.rows) == (2, ("it",))
    assert "cpu-thermal at or above 80 °C" in found.batch.reasons
    assert found.batch.after["temperature_c"] == 85.0
    assert "again once the board is calm, 2 of 2" in notes[0]
    assert "cooling down, 85 °C" in notes
    assert "flagged" in notes[-1]
    assert "disturbed 2 times" in notes[-1]


def test_a_board_that_cooled_down_is_not_flagged_for_heat(place: Workplace, board: Sysfs) -> None:
    board.write("sys/class/thermal/thermal_zone0/temp", "85000")
    notes: list[str] = []

    def cool(text: str) -> None:
        notes.append(text)
        board.write("sys/class/thermal/thermal_zone0/temp", "60000")

    found = _timed(board.agent(local_agent(place)), cool)
    assert "throttled" not in found.rows["it"].flags
    assert found.batch.attempts == 2
    assert found.batch.before["temperature_c"] == 60.0


def test_a_p95_far_above_its_median_is_timed_again_and_flagged(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.profiling.steady.MOST_SPREAD", 0.0)
    notes: list[str] = []
    calm = _timed(local_agent(place), notes.append, "instructions", judged_by_p95=("it",))
    assert not any("far above" in reason for reason in calm.batch.reasons), "counted instructions have no such tail"
    found = _timed(local_agent(place), notes.append, judged_by_p95=("it",))
    assert found.batch.attempts == 2
    assert "contended" in found.rows["it"].flags
    assert any("far above its median" in reason for reason in found.batch.reasons)


def test_a_long_tail_of_before_is_timed_again_once(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    agent, path = local_agent(place), place.folder / "profile.json"
    kept, _ = open_profile(place.target, probe(agent), "onnxruntime", "1")
    model = Untimed(nn.Flatten(), nn.Linear(4, 2), inputs_of(torch.zeros(1, 4)), judged_by_p95=True)
    counts = []
    for spread in (1e9, 0.0, 0.0):
        monkeypatch.setattr("toolkit.profiling.steady.MOST_SPREAD", spread)
        _, now = time_models(agent, RUNTIMES["onnxruntime"], [model], kept, path)
        counts.append(now is not kept)
        row = now.rows[row_of(model)]
        if spread and row.flags:
            pytest.skip("the machine was too busy to time anything undisturbed")
        kept = now
    assert counts == [True, True, False]
    assert "contended" in row.flags


def test_heat_does_not_disturb_an_instruction_clock(place: Workplace, board: Sysfs) -> None:
    board.write("usr/bin/vcgencmd", "#!/bin/sh\necho throttled=0x1", executable=True)
    found = _timed(board.agent(local_agent(place)), print, "instructions")
    assert "throttled" not in found.rows["it"].flags
    assert found.batch.before["vcgencmd"] == "throttled=0x1"


def test_other_programs_on_the_processor_are_noticed(place: Workplace) -> None:
    """Both on one processor: each has half of it."""
    agent = local_agent(place)
    pinned = dataclasses.replace(agent, command=f"taskset -c 0 {agent.command}")
    notes: list[str] = []
    with subprocess.Popen(["taskset", "-c", "0", sys.executable, "-c", "while True: pass"]) as rival:
        try:
            found = _timed(pinned, notes.append, "instructions", size=1024)
        finally:
            rival.kill()
    assert found.rows["it"].flags == ("contended",)
    assert "other programs had" in notes[-1]
