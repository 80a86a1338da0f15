"""An application on a board calls what it serves, lets it learn, and follows what is deployed meanwhile."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from serving import accepted, blobs, learned, left_of_learning, power_cut
from workplace import Workplace, local_agent, local_home, one_object

import edge_runtime
from edge_runtime import learned as learned_files
from edge_runtime.methods import what_hinders
from edge_runtime.plain import lead_to
from edge_runtime.served import look
from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.devices.applications import offer
from toolkit.devices.python_agent import pack_agent
from toolkit.devices.releases import release as releases


def shifted(place: Workplace, by: float) -> None:
    """The board learns that the logits are all larger."""
    digest = place.releases()["current"]
    tensors = read_arrays(str(place.root / "releases" / digest / "tensors.safetensors"))
    file = place.root / "adapted" / f"{digest}.safetensors"
    write_arrays(str(file), {"head.bias": tensors["head.bias"] + np.float32(by)})


def test_a_child_process_takes_over_what_its_parent_does(served: Workplace, model: edge_runtime.Model) -> None:
    asked, answer = os.pipe()
    if (child := os.fork()) == 0:
        os.read(asked, 1)
        os._exit(0 if model.info()["adapted"] else 1)
    shifted(served, 1.0)
    assert model.info()["adapted"]
    os.write(answer, b"!")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.close(asked)
    os.close(answer)


def test_a_folder_that_takes_the_place_of_the_boards_is_noticed(served: Workplace, model: edge_runtime.Model) -> None:
    """Nothing is heard of it: the folder that was watched is whole, elsewhere."""
    other = served.folder.with_name("other")
    shutil.copytree(served.folder, other, symlinks=True)
    served.folder.rename(served.folder.with_name("before"))
    other.rename(served.folder)
    shifted(served, 1.0)
    deadline = time.monotonic() + 60
    while not model.info()["adapted"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_idle_board_is_watched_once(model: edge_runtime.Model) -> None:
    """To end a watch takes longer than a call may."""
    model.info()  # to count calls, a folder was made
    watch, until = model._watch, time.monotonic() + 2.5
    while time.monotonic() < until:
        model.info()
        time.sleep(0.1)
    assert model._watch is watch


def another_release(place: Workplace) -> str:
    """Of the same network with another description, installed and not active; its digest."""
    bundle = place.folder / "another"
    current = place.root / "releases" / place.releases()["current"]
    bundle.mkdir()
    for file in current.iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"a"', '"first"'))
    return releases.install(local_home(place), bundle).digest


def test_calls_give_what_the_release_was_accepted_by(served: Workplace, model: edge_runtime.Model) -> None:
    x, expected = accepted(served)
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(x=x[:2]), expected[:2], rtol=1e-4, atol=1e-5)
    one = model(x[0].astype(np.float64))
    assert one.shape == expected.shape[1:]
    np.testing.assert_allclose(one, expected[0], rtol=1e-4, atol=1e-5)
    assert model.classes == ["a", "b", "c"]
    told = model.info()
    assert (told["release"], told["adapted"], told["learns"]) == (served.releases()["current"], False, True)
    assert [port["name"] for port in told["outputs"]] == ["logits"]


def test_nothing_but_numpy_and_the_runtime_is_imported(served: Workplace, tmp_path: Path) -> None:
    (tmp_path / "edge_runtime.pyz").write_bytes(pack_agent())
    x, expected = accepted(served)
    np.save(tmp_path / "x.npy", x)
    script = (
        "import sys; sys.path.insert(0, 'edge_runtime.pyz')\nimport edge_runtime, numpy\n"
        "logits = edge_runtime.load()(numpy.load('x.npy'))\n"
        "import os; os.remove('edge_runtime.pyz')\n"  # it is replaced under a running application
        "model = edge_runtime.load(); model.learn(numpy.load('x.npy')[:3], ['a', 'b', 'c'], steps=1)\n"
        "print(logits.shape, {'torch', 'toolkit', 'onnx'} & set(sys.modules), edge_runtime.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"EDGE_DEPLOY_ROOT": str(served.root), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{expected.shape} set() ")
    assert "edge_runtime.pyz" in done.stdout


def test_deploy_puts_it_beside_the_release_at_a_path_that_stays(served: Workplace) -> None:
    archive = served.root / "edge_runtime.pyz"
    assert archive.readlink().parent.name == "agent"
    done = subprocess.run(
        [sys.executable, "-c", "import edge_runtime; print(edge_runtime.load().classes)"],
        env={"PYTHONPATH": str(archive), "EDGE_DEPLOY_ROOT": str(served.root), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "['a', 'b', 'c']\n", done.stderr
    archive.unlink()
    archive.symlink_to("agent/of-before.pyz")
    agent = local_agent(served)
    offer(agent)
    offer(agent)
    assert served.root / archive.readlink() == Path(str(agent.archive))
    assert served.left_behind() == []


def test_packages_beside_the_archive_come_last(tmp_path: Path) -> None:
    (tmp_path / "edge_runtime.pyz").write_bytes(pack_agent())
    (tmp_path / "site").mkdir()
    script = "import sys; sys.path.insert(0, 'edge_runtime.pyz'); import edge_runtime; print(sys.path[-1])"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "site")


def test_what_does_not_fit_is_refused_by_name(model: edge_runtime.Model, served: Workplace) -> None:
    x, _ = accepted(served)
    wrong: list[tuple[Any, dict[str, Any], str]] = [
        ((np.zeros((3, 3), np.float32),), {}, "Give x: float32 (1, 8, 8), one or several."),
        ((x.astype(complex),), {}, "Give x"),
        ((x[:0],), {}, "Give x"),
        ((x, x), {}, "2 inputs in order"),
        ((), {"image": x}, "Give each of these once: x"),
        ((x,), {"x": x}, "x by name"),
        ((), {"self": x}, "self by name"),
        (([[1.0, 2.0], [3.0]],), {}, "was given"),
    ]
    for given, named, said in wrong:
        with pytest.raises(edge_runtime.EdgeRuntimeError) as caught:
            model(*given, **named)
        assert said in str(caught.value)


def test_a_model_learns_and_unlearns_where_it_is_called(model: edge_runtime.Model, served: Workplace) -> None:
    x, y = blobs()
    before, events, curve = model(x), [], {}

    def on_event(event: str, **said: float) -> None:
        events.append(event)
        if event == "curve" and said["step"]:
            curve[said["loss"]] = said["step"]

    first = model.learn(x, y, steps=30, on_event=on_event)
    assert (first.accepted, first.examples) == (True, 24), first
    assert first.steps == curve[min(curve)]  # as many as suited the held-out examples best
    assert events.count("step") == first.steps
    assert first.held_out is not None
    assert first.held_out["loss_after"] < first.held_out["loss_before"]
    assert {"folds", "curve", "step"} <= set(events)
    assert np.abs(model(x) - before).max() > 1e-3
    assert model.info()["adapted"]
    state = learned(served)
    assert model.learn({"x": x}, np.repeat([0, 1, 2], 8), steps=10).accepted  # places of classes, by the port's name
    assert learned(served) not in (None, state)
    assert model.undo()
    assert learned(served) == state
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
        model.undo()


def test_it_goes_to_the_very_bytes_that_somebody_else_wrote(model: edge_runtime.Model, served: Workplace) -> None:
    x, y = blobs()
    assert model.learn(x, y, steps=30).accepted
    file = served.root / "adapted" / f"{served.releases()['current']}.safetensors"
    other = save(load(file.read_bytes()))  # as another library has them
    assert other != file.read_bytes()
    file.unlink()
    file.write_bytes(other)
    assert model.learn(x, y, steps=10).accepted  # which numbers what was served
    [number] = [each.number for each in model.generations() if each.bytes == len(other)]
    for _ in range(2):
        model.go_to(number)
        assert file.read_bytes() == other
    assert [each.number for each in model.generations() if each.serves] == [number]
    assert model.undo()
    assert [each.number for each in model.generations() if each.serves] == [number + 1]


def test_it_learns_by_the_method_that_is_asked_for(model: edge_runtime.Model, served: Workplace) -> None:
    """Of blobs whose names are turned round: a head made anew suits these."""
    x, y = blobs()
    release = served.root / "releases" / served.releases()["current"]
    installed = load((release / "tensors.safetensors").read_bytes())
    done = model.learn(x, np.roll(y, 8), method="prototype")
    assert (done.method, done.steps, done.accepted) == ("prototype", 0, True), done
    state = learned(served)
    assert state is not None
    moved = {name for name, values in load(state).items() if not np.array_equal(values, installed[name])}
    assert moved == {"head.weight", "head.bias"}
    assert model.learn(x, y, steps=5, method="head").method == "head"


def test_a_method_that_is_none_or_that_the_release_has_not(model: edge_runtime.Model, served: Workplace) -> None:
    for wrong in ("fastest", None, ["head"]):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="Give one of auto, prototype, head, cores"):
            model.learn(*blobs(), method=wrong)  # type: ignore[arg-type]
    learn = {"trainables": ["head.weight", "head.bias"], "starts": []}
    assert what_hinders("prototype", learn, None) is not None
    assert what_hinders("cores", learn, "no gradient of erf") == "the release trains no cores: no gradient of erf"
    assert what_hinders("head", {**learn, "trainables": ["backbone.0.core"]}, None) is not None
    assert [what_hinders(method, learn, None) for method in ("auto", "head")] == [None, None]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), "1%", True])
def test_what_may_be_forgotten_is_a_share(model: edge_runtime.Model, share: Any) -> None:
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="max_forgetting is"):
        model.learn(*blobs(), max_forgetting=share)


def test_after_its_seconds_it_keeps_nothing(model: edge_runtime.Model, served: Workplace) -> None:
    done = model.learn(*blobs(), seconds=1e-6)
    assert (done.accepted, done.reason) == (False, "time was up before it had learned")
    assert learned(served) is None


def test_an_application_goes_back_to_any_of_what_it_learned(model: edge_runtime.Model, served: Workplace) -> None:
    x, y = blobs()
    installed = model(x)
    assert model.learn(x, y, steps=30).accepted
    first, state = model(x), learned(served)
    assert model.learn(x, y, steps=10).accepted
    assert [(each.number, each.serves) for each in model.generations()] == [(0, False), (1, False), (2, True)]
    model.go_to(1)
    assert np.array_equal(model(x), first)
    assert learned(served) == state
    model.go_to(0)
    assert np.array_equal(model(x), installed)
    model.go_to(0)  # it is there: `undo` still leads back to what was before
    assert model.undo()
    assert np.array_equal(model(x), first)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match=r"no generation 3 .* there is 0, 1, 2"):
        model.go_to(3)
    for number in (-1, None, "1", True):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="number is"):
            model.go_to(number)  # type: ignore[arg-type]
    [second] = (served.root / "adapted").glob("*/generations/2-*")
    second.write_bytes(b"damaged")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="generation 2 is damaged"):
        model.go_to(2)
    assert np.array_equal(model(x), first)


def test_host_and_application_undo_each_other(model: edge_runtime.Model, served: Workplace) -> None:
    x, y = blobs()
    np.savez(served.folder / "more.npz", x=x, y=y)
    assert model.learn(x, y, steps=30).accepted
    undone = one_object(served.deploy("adapt", "--target", "desk", "--undo", "--json").stdout)
    assert not undone["adapted"]
    assert not model.info()["adapted"]
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--steps", "30", "--json"
    assert one_object(served.deploy(*asked).stdout)["accepted"]
    assert model.info()["adapted"]
    assert not model.undo()
    assert left_of_learning(served) == []


def test_examples_that_cannot_be_learned_from(model: edge_runtime.Model) -> None:
    x, y = blobs()
    for inputs, targets, said in [
        (x, ["a"] * 24, "has no example of b"),
        (x, [*y[:-1], "d"], "'d' is none of its classes"),
        (x, y[:-1], "24 inputs and 23 targets"),
        ({"image": x}, y, "Give a dict of arrays: x"),
        (np.repeat(x, 30, 0), y * 30, "at most"),
        (x, {"a": 1}, "targets are no array"),
        ([[1.0], [2.0, 3.0]], y, "was given"),
    ]:
        with pytest.raises(edge_runtime.EdgeRuntimeError, match=said):
            model.learn(inputs, targets, steps=1)
    for steps in (0, -1, 2.5):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="steps is"):
            model.learn(x, y, steps=steps)  # type: ignore[arg-type]
    for seconds in (0, -1.0, float("nan"), float("inf"), "3"):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="seconds is"):
            model.learn(x, y, seconds=seconds)  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", range(5))
def test_whatever_a_power_cut_leaves_is_served_and_undone(served: Workplace, cut: int) -> None:
    """The power goes before each rename in turn: something whole is served, and one step back is what was before."""
    shifted(served, 2.0)
    before, now = learned(served), look(str(served.root))
    tensors = read_arrays(now.adapted)
    lead_to(now)
    with power_cut(cut), pytest.raises(KeyboardInterrupt):
        learned_files.keep(now, {"head.bias": tensors["head.bias"] + np.float32(1)})
    took = learned(served) != before
    # The file, what was served before, what is served now, the state before, where `model` leads.
    assert took == (cut >= 3)
    model = edge_runtime.load(str(served.root))
    state = (served.root / "model").readlink().name  # mended, where the power went before it was led there
    assert state == hashlib.sha256(learned(served) or b"").hexdigest()[:16]
    if took:
        assert model.undo()
        assert learned(served) == before
    else:
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
            model.undo()


def test_what_is_deployed_or_learned_is_taken_over_between_two_calls(
    model: edge_runtime.Model, served: Workplace
) -> None:
    x, expected = accepted(served)
    shifted(served, 2.0)
    np.testing.assert_allclose(model(x), expected + 2, rtol=1e-4, atol=1e-4)
    new = another_release(served)
    releases.activate(local_home(served), new)
    assert model.classes == ["first", "b", "c"]
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)  # of that release nothing was learned
    releases.rollback(local_home(served))
    np.testing.assert_allclose(model(x), expected + 2, rtol=1e-4, atol=1e-4)
    assert not model.reload()


def test_no_call_is_dropped_while_releases_change(model: edge_runtime.Model, served: Workplace) -> None:
    x, expected = accepted(served)
    releases.activate(local_home(served), another_release(served))
    wrong: list[object] = []
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            try:
                np.testing.assert_allclose(model(x[0]), expected[0], rtol=1e-4, atol=1e-5)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        releases.rollback(local_home(served))
    done.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_of_a_damaged_release_the_one_before_goes_on_and_a_warning_says_so(
    model: edge_runtime.Model, served: Workplace
) -> None:
    x, expected = accepted(served)
    new = another_release(served)
    releases.activate(local_home(served), new)
    program = served.root / "releases" / new / "infer.onnx"
    program.write_bytes(program.read_bytes()[:-1] + b"x")
    with pytest.warns(UserWarning, match=r"infer.onnx of release .* is missing or damaged"):
        np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough
        model(x)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="missing or damaged"):
        edge_runtime.load(str(served.root))
    releases.rollback(local_home(served))
    model(x)


def test_a_bit_of_what_was_learned_that_flips_is_found_out(model: edge_runtime.Model, served: Workplace) -> None:
    x, _ = accepted(served)
    shifted(served, 2.0)
    before = model(x)
    file = Path(look(str(served.root)).adapted)
    data = file.read_bytes()
    for place in range(8, len(data), 97):
        file.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="cannot be read"):
            edge_runtime.load(str(served.root))
    with pytest.warns(UserWarning, match="still serving"):
        np.testing.assert_array_equal(model(x), before)


def test_a_full_disk_leaves_what_was_served(
    model: edge_runtime.Model, served: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = blobs()
    before, there = model(x), left_of_learning(served)

    def full(path: str, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_runtime.plain._write", full)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="No space left"):
        model.learn(x, y, steps=30)
    np.testing.assert_array_equal(model(x), before)
    assert learned(served) is None
    assert left_of_learning(served) == there


def test_a_release_that_is_activated_while_one_learns_is_not_learned_on(
    model: edge_runtime.Model, served: Workplace
) -> None:
    x, y = blobs()
    new = another_release(served)

    def activate(event: str, **_: object) -> None:
        if event == "folds":
            releases.activate(local_home(served), new)

    with pytest.raises(edge_runtime.EdgeRuntimeError, match="another release was activated"):
        model.learn(x, y, steps=30, on_event=activate)
    assert not model.info()["adapted"]
    assert left_of_learning(served) == []


def test_a_board_that_serves_nothing(tmp_path: Path) -> None:
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="serves no release") as caught:
        edge_runtime.load(str(tmp_path))
    assert "deploy --target" in caught.value.next
