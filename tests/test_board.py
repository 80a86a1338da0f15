"""The whole loop over SSH on the emulated board: a small model, few steps, its own root folder on the board."""

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import nn
from workplace import CHECKOUT, FEW_STEPS, MODEL, ONLY_RANKS, TASK, Workplace, bundle, make_workplace, one_object

from toolkit.cache import cache_folder
from toolkit.deployment import Deployment
from toolkit.devices import Agent, connect, open_home, probe
from toolkit.devices.python_agent import install_python_agent, with_site
from toolkit.devices.releases import release
from toolkit.profiling import layer_part, profile_layers, variants_of
from toolkit.profiling.profile import DeviceIdentity, Profile
from toolkit.report.words import INSTRUCTION_CLOCK
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target

pytestmark = pytest.mark.board

ROOT = "/root/tests of the loop"
WHAT = ("--target", "small-pi", "--model", MODEL, "--task", TASK, *ONLY_RANKS, *FEW_STEPS)


@dataclass(frozen=True)
class Deployed:
    """A working folder, the board's target in it, and what the first run printed."""

    place: Workplace
    target: Target
    result: Deployment
    stderr: str

    def deploy(self, *arguments: str) -> str:
        """Stdout of a command line that succeeds, with the cache of the user who owns the lab."""
        done = self.place.deploy(*arguments, EDGE_DEPLOY_CACHE=str(cache_folder()))
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def board(emulated_pi: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    place = make_workplace(tmp_path_factory.mktemp("place"))
    target = emulated_pi.model_copy(update={"name": "small-pi", "root": ROOT})
    text = (CHECKOUT / "targets" / "emulated-pi.toml").read_text().replace('name = "emulated-pi"', 'name = "small-pi"')
    (place.folder / "targets" / "small-pi.toml").write_text(text.replace("clock =", f'root = "{ROOT}"\nclock =', 1))
    device = connect(target)
    # The packages are the board's own: sending them is another test's business.
    device.run(f"rm -rf '{ROOT}'")
    open_home(device, target)
    device.run(f"for each in ~/.edge-deploy/packages/*; do [ -d $each ] && ln -s $each '{ROOT}/packages/'; done")
    done = place.deploy(*WHAT, "--size", "30KB", "--json", EDGE_DEPLOY_CACHE=str(cache_folder()))
    assert done.returncode == 0, done.stderr
    yield Deployed(place, target, Deployment.model_validate(one_object(done.stdout)), done.stderr)
    device.run(f"rm -rf '{ROOT}'")
    device.close()
    for path in (cache_folder() / "profiles").glob("small-pi-*.json"):
        path.unlink()


def test_what_is_measured_keeps_its_budget(board: Deployed) -> None:
    result = board.result
    assert result.active
    assert result.device_facts["machine"] == "aarch64"
    assert result.latency_ms.p95 is not None
    assert result.latency_ms.budget == pytest.approx(1000 / 30 * 0.5)
    assert 0 < result.latency_ms.p95 <= result.latency_ms.budget
    assert result.peak_memory_bytes.measured is not None
    assert result.peak_memory_bytes.budget is not None
    assert 1e7 < result.peak_memory_bytes.measured <= result.peak_memory_bytes.budget
    assert result.size_bytes.measured is not None
    assert result.size_bytes.measured <= 30_000
    assert result.host_device_max_abs_difference is not None
    assert result.host_device_max_abs_difference <= 1e-4
    assert result.accuracy is not None
    assert result.accuracy.task_adapted is not None
    assert result.accuracy.task_adapted.ran_on == "device"


def test_predictions_are_near(board: Deployed) -> None:
    result = board.result
    assert result.latency_ms.predicted == pytest.approx(result.latency_ms.median, rel=0.25)
    assert result.size_bytes.predicted == pytest.approx(result.size_bytes.measured, rel=0.02)
    assert result.peak_memory_bytes.predicted == pytest.approx(result.peak_memory_bytes.measured, rel=0.2)


def test_instruction_counts_are_labelled_wherever_they_are_shown(board: Deployed) -> None:
    assert board.result.latency_ms.clock == "instructions"
    [folder] = (board.place.folder / "runs").iterdir()
    assert json.loads((folder / "result.json").read_text())["latency_ms"]["clock"] == "instructions"
    assert INSTRUCTION_CLOCK in (folder / "report.html").read_text()
    shown = board.deploy("plan", *WHAT, "--size", "30KB")
    assert "instruction counts" in " ".join(shown.split())


def test_the_board_holds_one_release_and_nothing_of_the_examples(board: Deployed) -> None:
    device = connect(board.target)
    found = device.run(f"cd '{ROOT}' && ls work && ls releases && readlink current").stdout.decode().split()
    device.close()
    assert found == [board.result.release, f"releases/{board.result.release}"]


# Without the board's own packages: NumPy and ONNX Runtime are those that `deploy` put beside.
_APPLICATION = """
import edge_runtime
import json, os
import numpy as np
import onnxruntime

model, root = edge_runtime.load(), os.environ["EDGE_DEPLOY_ROOT"]
before = model.info()["adapted"]
random = np.random.default_rng(0)
centres = random.normal(size=(3, 1, 8, 8))
x = (np.repeat(centres, 8, 0) + 1.5 * random.normal(size=(24, 1, 8, 8))).astype(np.float32)
def stock():
    path = os.path.realpath(root + "/model/infer.onnx")
    session = onnxruntime.InferenceSession(path, disabled_optimizers=["WeightBiasQuantization"])
    return session.run(None, {"x": x[:1]})[0]
def apart():
    return float(np.abs(stock()[0] - model(x[0])).max())
first = apart()
learned = model.learn(x, ["a"] * 8 + ["b"] * 8 + ["c"] * 8, steps=30)
second, adapted = apart(), model.info()["adapted"]
if learned.accepted:
    model.undo()
print(json.dumps([before, adapted, model.info()["adapted"], learned.accepted, first, second, apart()]))
"""


def test_an_application_there_calls_what_it_serves_lets_it_learn_and_undoes_it(board: Deployed) -> None:
    device = connect(board.target)
    run = f"PYTHONPATH='{ROOT}/edge_runtime.pyz' EDGE_DEPLOY_ROOT='{ROOT}' python3 -c {shlex.quote(_APPLICATION)}"
    done = device.run(run, timeout_s=300)
    device.close()
    assert done.status == 0, done.stderr
    before, adapted, after, accepted, *apart = json.loads(done.stdout)
    assert before == after
    assert adapted == (accepted or before)  # held-out examples decide whether it is accepted
    assert max(apart) <= 1e-5  # a stock session of model/infer.onnx, as deployed, as learned and as undone
    asked = "adapt", "--target", "small-pi", "--json"
    listed = one_object(board.deploy(*asked, "--list"))["generations"]
    assert [each["number"] for each in listed] == [*range(len(listed))]
    [served] = [each["number"] for each in listed if each["serves"]]
    for number in (0, served):
        assert one_object(board.deploy(*asked, "--to", str(number)))["adapted"] == (number > 0)
    now = one_object(board.deploy(*asked, "--list"))["generations"]
    assert [each["number"] for each in now if each["serves"]] == [served]


def test_latency_repeats_to_a_hundredth(board: Deployed, tmp_path: Path) -> None:
    device = connect(board.target)
    agent = _with_packages(install_python_agent(open_home(device, board.target), board.target))
    # Of a layer that takes milliseconds: what else the guest does shows on one of 0.1 ms where the host is busy.
    layers = {"layer": nn.Linear(2048, 2048)}
    variants = dict(list(variants_of([layer_part("layer", layers["layer"], (1, 2048), 2048)]).items())[:1])
    empty = Profile(
        family="t",
        device=DeviceIdentity(**probe(agent).identity()),
        runtime="onnxruntime",
        runtime_version="",
        threads=1,
        clock="instructions",
    )
    medians = []
    for name in ("one", "two"):
        rows = profile_layers(agent, RUNTIMES["onnxruntime"], variants, empty, tmp_path / name, lambda *_: None).rows
        medians += [row.median_ms for row in rows.values()]
    device.close()
    assert len(medians) == 2
    assert medians[0] == pytest.approx(medians[1], rel=0.01)


def _with_packages(agent: Agent) -> Agent:
    [site] = agent.home.device.run(f"ls -d '{ROOT}'/packages/*").stdout.decode().splitlines()[-1:]
    found = with_site(agent, site)
    assert probe(found).runtimes.keys() >= {"onnxruntime"}
    return found


def test_a_second_release_can_be_rolled_back(board: Deployed, tmp_path: Path) -> None:
    """Last, because it changes what is served."""
    device = connect(board.target)
    home = open_home(device, board.target)
    made, second = bundle(tmp_path / "second")
    release.install(home, made)
    release.activate(home, second)
    device.close()
    status = one_object(board.deploy("status", "--target", "small-pi", "--json"))
    assert (status["current"], status["previous"]) == (second, board.result.release)
    back = one_object(board.deploy("rollback", "--target", "small-pi", "--json"))
    assert (back["from"], back["to"]) == (second, board.result.release)
    shown = board.deploy("status", "--target", "small-pi")
    assert str(board.result.release)[:12] in shown
    assert "active" in shown
