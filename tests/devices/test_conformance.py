"""Both agents, the Python and the native one, are given the same and say the same: what `protocol.py` has, no more."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native import Made, Said, make_release, run_verb
from safetensors.numpy import load_file, save_file
from workplace import Workplace, local_agent

from toolkit.devices.agent_client import parse_event
from toolkit.devices.protocol import VERBS, wrong_with
from toolkit.runtimes import RUNTIMES

_TIMING = {"warmups": 1, "runs": 3, "budget_ms": 50.0}
AGENTS = {"python": "onnxruntime", "native": "executorch"}
Say = Callable[[str, dict[str, Any] | None], Said]


@dataclass(frozen=True)
class Tried:
    """An agent, how to speak with it, a release for it, and a folder for files."""

    name: str
    say: Say
    made: Made
    folder: Path

    @property
    def release(self) -> dict[str, Any]:
        return {"release": str(self.made.bundle.folder), "threads": 1}

    def file(self, **arrays: np.ndarray) -> str:
        """A file of tensors, `inputs_x` for `inputs.x`."""
        save_file({name.replace("_", ".", 1): array for name, array in arrays.items()}, self.folder / "given")
        return str(self.folder / "given")


@pytest.fixture(scope="module", params=["python", pytest.param("native", marks=pytest.mark.native)])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Made]:
    """An agent's name, and a release for it."""
    if request.param == "native":
        request.getfixturevalue("compiler")
    folder = tmp_path_factory.mktemp("made")
    return request.param, make_release(folder / "release", "mlp", RUNTIMES[AGENTS[request.param]])


@pytest.fixture
def tried(released: tuple[str, Made], request: pytest.FixtureRequest, tmp_path: Path) -> Tried:
    name, made = released
    folder = shutil.copytree(made.bundle.folder, tmp_path / "release")
    made = replace(made, bundle=replace(made.bundle, folder=folder))
    if name == "native":
        return Tried(name, lambda verb, spec: run_verb(tmp_path, verb, spec), made, tmp_path)
    place: Workplace = request.getfixturevalue("place")
    command = local_agent(place).command

    def say(verb: str, spec: dict[str, Any] | None) -> Said:
        (tmp_path / "spec.json").write_text(json.dumps(spec))
        line = f"{command} {verb}" + ("" if spec is None else f" '{tmp_path / 'spec.json'}'")
        done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, timeout=300)
        events = [parse_event(line) for line in done.stdout.splitlines()]
        return Said(done.returncode, [event for event in events if event], done.stderr.decode())

    return Tried(name, say, made, tmp_path)


def _said(tried: Tried, verb: str, spec: dict[str, Any] | None) -> Said:
    """What it says, after the specification and every line of it were held against the protocol."""
    VERBS[verb].spec.model_validate(spec or {})
    said = tried.say(verb, spec)
    assert said.status == 0, said
    assert said.last["event"] == "done"
    assert [wrong_with(verb, event) for event in said.events] == [None] * len(said.events)
    return said


def test_facts(tried: Tried) -> None:
    assert AGENTS[tried.name] in _said(tried, "facts", None).last["runtimes"]


def test_bench(tried: Tried) -> None:
    """On random values, on integers, and on the first row of an example; also at an application's rate."""
    manifest, tensors = tried.made.bundle.manifest, load_file(tried.made.bundle.folder / "tensors.safetensors")
    path = str(tried.made.bundle.folder / manifest["infer"]["program"])
    holes = {name: list(tensors[name].shape) for name in manifest["infer"]["holes"]}
    x = tried.made.x.numpy()
    example = {"path": tried.file(a_input=x), "names": ["a.input"]}
    programs = [
        {"id": "random", "path": path, "holes": holes, "inputs": [[1, *x.shape[1:]]]},
        {"id": "example", "path": path, "holes": holes, "example": example},
    ]
    spec = {"runtime": AGENTS[tried.name], "threads": 1, **_TIMING, "programs": programs}
    said = _said(tried, "bench", {**spec, "rate_hz": 200.0})
    assert [event["event"] for event in said.events] == ["measured", "measured", "done"]
    assert [row["id"] for row in said.of("measured")] == ["random", "example"]
    assert all(0 < row["min_ms"] <= row["median_ms"] <= row["p95_ms"] for row in said.of("measured"))
    assert {row["paced_rate_hz"] for row in said.of("measured")} == {200.0}
    assert "paced_rate_hz" not in _said(tried, "bench", spec).of("measured")[0]


def test_infer(tried: Tried) -> None:
    given = {"adapted": None, "inputs": tried.file(inputs_x=tried.made.x.numpy()), "outputs": str(tried.folder / "out")}
    assert _said(tried, "infer", {**tried.release, **given}).last["examples"] == len(tried.made.x)
    outputs = load_file(tried.folder / "out")
    np.testing.assert_allclose(outputs["outputs.logits"], tried.made.expected().numpy(), atol=1e-5)


def test_verify(tried: Tried) -> None:
    spec = {**tried.release, "digest": tried.made.bundle.digest, **_TIMING}
    whole = _said(tried, "verify", spec).last
    assert whole["corrupt"] == []
    assert 0 <= whole["max_relative_difference"] <= tried.made.bundle.tolerance
    (tried.made.bundle.folder / "tensors.safetensors").write_bytes(b"none")
    assert _said(tried, "verify", spec).last == {"event": "done", "corrupt": ["tensors.safetensors"]}


def _adapt(tried: Tried, count: int, scale: float = 1.0, **more: Any) -> Said:
    random = np.random.default_rng(0)
    y = np.arange(count) % 3
    x = random.normal(size=(count, *tried.made.x.shape[1:])).astype(np.float32) + y.reshape(
        -1, *[1] * (tried.made.x.ndim - 1)
    )
    support = tried.file(inputs_x=(scale * x).astype(np.float32), targets_y=y, strata=y)
    learning = {"support": support, "adapted": str(tried.folder / "adapted"), "steps": 6, "lr": 1e-2}
    return _said(tried, "adapt", {**tried.release, **learning, "jitter": {"x": 0.1}, "seed": 0, **more})


def test_plain(tried: Tried) -> None:
    """What fills its holes lies where the program says, or in a file of ExecuTorch's own form."""
    shutil.copytree(tried.made.bundle.folder, tried.folder / "releases" / "d")
    spec = {"root": str(tried.folder), "digest": "d"}
    assert _said(tried, "plain", spec).last["folder"] == "adapted/d/installed"
    holes = {"python": "holes.bin", "native": "holes.ptd"}[tried.name]
    assert (tried.folder / "adapted" / "d" / "installed" / holes).is_file()
    # Nor is anything left of a release of before, which does not say where its holes lie.
    if tried.name == "native":
        manifest = json.loads((tried.folder / "releases" / "d" / "manifest.json").read_text())
        del manifest["infer"]["layout"]
        (tried.folder / "releases" / "d" / "manifest.json").write_text(json.dumps(manifest))
        assert _said(tried, "plain", spec).last["folder"] is None


def test_adapt(tried: Tried) -> None:
    """Fifteen examples, five a class: in five folds, judged before, after five steps and after the last."""
    said = _adapt(tried, 15)
    events = [(event["event"], event.get("step")) for event in said.events]
    judged = [("folds", None), ("curve", 0), ("curve", 5), ("curve", 6)]
    judgements = [event for event in said.events if event["event"] == "curve" and event["step"]]
    best = min(judgements, key=lambda event: event["loss"])["step"]
    learned = [("step", step) for step in range(1, best + 1)] if said.last["accepted"] else []
    assert events == [*judged, *learned, ("done", None)]
    assert (said.last["folds"], said.last["steps"]) == (5, best)
    assert (tried.folder / "adapted").exists() == said.last["accepted"]


@pytest.mark.parametrize("method", ["head", "cores"])
def test_adapt_moves_what_its_method_says_and_nothing_else(tried: Tried, method: str) -> None:
    installed = load_file(tried.made.bundle.folder / "tensors.safetensors")
    done = _adapt(tried, 15, steps=20, method=method).last
    assert (done["method"], done["accepted"]) == (method, True)
    learned = load_file(tried.folder / "adapted")
    moved = {name for name, values in learned.items() if not np.array_equal(values, installed[name])}
    assert {name for name in moved if name.startswith("head.")} == {"head.weight", "head.bias"}
    assert any(not name.startswith("head.") for name in moved) == (method == "cores")


def test_adapt_ends_in_time(tried: Tried) -> None:
    """Of no time one round is judged and nothing kept; of much time it takes all steps."""
    said = _adapt(tried, 15, seconds=1e-6)
    assert [event["step"] for event in said.events if event["event"] in ("curve", "step")] == [0, 1]
    assert (said.last["folds"], said.last["accepted"]) == (3, False)
    assert said.last["reason"] == "time was up before it had learned"
    assert not (tried.folder / "adapted").exists()
    curve = [event["step"] for event in _adapt(tried, 15, seconds=3600.0).events if event["event"] == "curve"]
    assert curve == [0, 5, 6]


def test_adapt_takes_no_more_memory_than_it_may(tried: Tried) -> None:
    """What it takes at least is what it says it took."""
    said = _adapt(tried, 15, memory_bytes=1_000_000)
    assert [event["event"] for event in said.events] == ["folds", "done"]
    assert not said.last["accepted"]
    taken = re.fullmatch(r"learning takes ([0-9.]+) MB of memory, and may take 1\.0", said.last["reason"])
    assert taken
    assert 1 < float(taken[1]) <= said.last["peak_bytes"] / 1e6 + 0.1
    assert not (tried.folder / "adapted").exists()
    enough = _adapt(tried, 15, memory_bytes=2 * said.last["peak_bytes"]).last
    assert "memory" not in enough["reason"]


def test_adapt_with_nothing_to_judge_by(tried: Tried) -> None:
    done = _adapt(tried, 3).last
    assert (done["folds"], done["accepted"], done["held_out"]) == (1, False, None)
    assert done["reason"] == "one example of a class: nothing can be held out to judge by"


def test_adapt_to_what_the_network_cannot_count_with(tried: Tried) -> None:
    done = _adapt(tried, 15, scale=float("nan")).last
    assert not done["accepted"]
    assert done["reason"].startswith("what the network makes of these examples is no number")


def _carry_a_guard(tried: Tried, max_forgetting: float) -> np.ndarray:
    """Forty examples with what the network makes of them: (N, ...) of the only input."""
    folder = tried.made.bundle.folder
    x = np.random.default_rng(1).normal(size=(40, *tried.made.x.shape[1:])).astype(np.float32)
    save_file({"inputs.x": x, "targets.y": _answers(tried, x, None)}, folder / "guard.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["learn"]["guard"] = {"file": "guard.safetensors", "max_forgetting": max_forgetting}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return x


def _answers(tried: Tried, x: np.ndarray, adapted: str | None) -> np.ndarray:
    given = {"adapted": adapted, "inputs": tried.file(inputs_x=x), "outputs": str(tried.folder / "out")}
    _said(tried, "infer", {**tried.release, **given})
    answers: np.ndarray = load_file(tried.folder / "out")["outputs.logits"].argmax(1)
    return answers


def test_what_the_network_knew_is_told_before_and_after_learning(tried: Tried) -> None:
    x = _carry_a_guard(tried, 1.0)
    knew = _answers(tried, x, None)
    done = _adapt(tried, 15, steps=20).last
    kept = float((_answers(tried, x, str(tried.folder / "adapted")) == knew).mean())
    assert done["accepted"]
    assert kept < 0.9  # that there is something to forget
    assert done["guard"] == {"examples": 40, "score_before": 1.0, "score_after": pytest.approx(kept)}


def test_learning_goes_back_to_where_it_had_forgotten_no_more_than_it_may(tried: Tried) -> None:
    """As the release says, or as it is asked; nothing is kept where five steps forget too much."""
    x = _carry_a_guard(tried, 1.0)
    forgotten = 1 - _adapt(tried, 15, steps=20).last["guard"]["score_after"]
    knew = _answers(tried, x, None)
    done = _adapt(tried, 15, steps=20, max_forgetting=forgotten - 0.01).last
    assert (done["accepted"], done["steps"] % 5) == (True, 0)
    assert done["steps"] < 20
    kept = float((_answers(tried, x, str(tried.folder / "adapted")) == knew).mean())
    assert done["guard"]["score_after"] == pytest.approx(kept)
    assert kept > 1 - forgotten
    (tried.folder / "adapted").unlink()
    _carry_a_guard(tried, 0.0)
    refused = _adapt(tried, 15, steps=20, lr=0.1).last
    assert not refused["accepted"]
    share = f"{refused['guard']['score_after']:.1%}"
    assert refused["reason"] == (
        f"what it knew before is forgotten: score on 40 examples of that fell from 100.0% to {share}"
    )
    assert not (tried.folder / "adapted").exists()


@pytest.mark.parametrize(
    ("verb", "spec", "kind", "message"),
    [
        ("dance", {}, "ValueError", "unknown verb: dance"),
        ("infer", {"threads": 1}, "KeyError", "release"),
        ("bench", {"runtime": "abacus", "programs": []}, "ValueError", "unknown runtime: abacus"),
    ],
)
def test_what_it_cannot_do_it_says(tried: Tried, verb: str, spec: dict[str, Any], kind: str, message: str) -> None:
    said = tried.say(verb, spec)
    assert said.status == 1
    assert (said.last["event"], said.last["kind"]) == ("error", kind)
    assert message in said.last["message"]
