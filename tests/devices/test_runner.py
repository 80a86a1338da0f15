"""The native runner on this machine: what it computes is what torch and ExecuTorch's Python runtime compute."""

import hashlib
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from native import Made, make_release, run_verb, timing
from networks import NETWORKS
from safetensors.numpy import load_file, save_file

from toolkit.compression import compact_layers
from toolkit.devices.facts import DeviceFacts
from toolkit.inputs import inputs_of
from toolkit.runtimes import executorch, export_with_holes
from toolkit.runtimes.bundle import Served

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("runner") / "release", "resnet", executorch)


def _infer(folder: Path, made: Made, x: np.ndarray, adapted: Path | None = None) -> np.ndarray:
    save_file({"inputs.x": x}, folder / "in")
    spec = {"release": str(made.bundle.folder), "inputs": str(folder / "in"), "outputs": str(folder / "out")}
    said = run_verb(folder, "infer", {**spec, "adapted": str(adapted) if adapted else None, "threads": 1})
    assert said.status == 0, said
    assert said.last["examples"] == len(x)
    assert said.last["sha256"] == {"infer.pte": made.bundle.manifest["files"]["infer.pte"]["sha256"]}
    assert said.last["runtime_version"] == executorch_version()
    logits: np.ndarray = load_file(folder / "out")["outputs.logits"]
    return logits


def executorch_version() -> str:
    from importlib import metadata

    return metadata.version("executorch")


@pytest.mark.parametrize("network", sorted(NETWORKS))
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_outputs_are_those_of_the_python_runtime(network: str, tmp_path: Path) -> None:
    from executorch.runtime import Runtime as PythonRuntime

    made = make_release(tmp_path / "release", network, executorch)
    # The same model with all weights built in, as ExecuTorch's own Python runtime runs it.
    whole = Served(made.backbone, made.head).eval()
    program = executorch.export(export_with_holes(whole, inputs_of(made.x[:1]), ()), ())
    method = PythonRuntime.get().load_program(program.data).load_method("forward")
    expected = np.stack([method.execute([each[None]])[0][0].numpy() for each in made.x])
    got = _infer(tmp_path, made, made.x.numpy())
    np.testing.assert_allclose(got, expected, atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(got, made.expected().numpy(), atol=1e-5)


def test_adapted_tensors_take_the_place_of_those_installed(made: Made, tmp_path: Path) -> None:
    core = made.bundle.manifest["folds"][0]["core"]
    layer = compact_layers(made.backbone)[core.removeprefix("backbone.").removesuffix(".core.weight")]
    with torch.no_grad():
        before = layer.core.weight.clone()
        layer.core.weight.normal_()
        other = made.expected().numpy()
        save_file({core: layer.core.weight.numpy()}, tmp_path / "adapted")
        layer.core.weight.copy_(before)
    got = _infer(tmp_path, made, made.x.numpy(), tmp_path / "adapted")
    np.testing.assert_allclose(got, other, atol=1e-5)
    assert np.abs(got - made.expected().numpy()).max() > 1e-3
    np.testing.assert_allclose(_infer(tmp_path, made, made.x.numpy(), tmp_path / "none"), made.expected(), atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_an_installed_release_is_verified(made: Made, tmp_path: Path, threads: int) -> None:
    spec = {"release": str(made.bundle.folder), "digest": made.bundle.digest, "threads": threads, **timing()}
    said = run_verb(tmp_path, "verify", {**spec, "cpu_affinity": [0]})
    assert said.status == 0, said
    done = said.last
    assert done["corrupt"] == []
    assert 0 <= done["max_abs_difference"] < 1e-5
    assert done["max_relative_difference"] <= made.bundle.tolerance
    assert 0 < done["min_ms"] <= done["median_ms"] <= done["p95_ms"]
    assert (done["runs"], done["warmups"]) == (12, 1)
    assert 1e6 < done["peak_bytes"] < 1e8
    assert set(done["conditions"]) == {"before", "after"}


def test_it_says_what_the_board_is(tmp_path: Path) -> None:
    from toolkit.devices.agent.facts import facts as python_facts

    said = run_verb(tmp_path, "facts", None).last
    said.pop("event")
    expected = python_facts()
    assert said.keys() == expected.keys()
    for key in ("machine", "cpu", "cores", "ram_bytes", "os", "kernel", "libc", "board"):
        assert said[key] == expected[key], key
    assert said["python"] is None
    assert said["runtimes"] == {"executorch": executorch_version()}
    assert DeviceFacts(**said).machine == platform.machine()
    assert said["conditions"].keys() == expected["conditions"].keys()  # type: ignore[attr-defined]


def test_a_bench_names_what_it_ran(made: Made, tmp_path: Path) -> None:
    path = made.bundle.folder / "infer.pte"
    tensors = load_file(made.bundle.folder / "tensors.safetensors")
    holes = {name: list(tensors[name].shape) for name in made.bundle.manifest["infer"]["holes"]}
    entry = {"path": str(path), "inputs": [[1, 3, 12, 12]], "holes": holes}
    programs = [{"id": "one", **entry}, {"id": "two", **entry}]
    said = run_verb(tmp_path, "bench", {"runtime": "executorch", "threads": 1, **timing(), "programs": programs})
    assert said.status == 0, said
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert [row["id"] for row in said.of("measured")] == ["one", "two"]
    assert {row["sha256"] for row in said.of("measured")} == {digest}
    assert all(row["overhead_us"] < 20 for row in said.of("measured"))
    one, two = (row["peak_bytes"] for row in said.of("measured"))
    assert one == pytest.approx(two, rel=0.02)  # what the first left behind is not counted for the second
