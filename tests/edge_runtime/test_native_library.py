"""Applications in other languages call what a board serves for ExecuTorch: the C functions, here called from Python."""

import json
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from native import Made, by_stock_executorch, make_release
from native_library import LEARNS, Model, Refused, application, compile_c, serve
from safetensors.numpy import save_file

from edge_runtime.digests import sha256
from edge_runtime.generations import file_of, generations
from edge_runtime.learned import undo as undo_of_python
from edge_runtime.profiles import active, folder_of
from edge_runtime.served import look
from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.devices.counters import parse_load
from toolkit.devices.journal import parse_entry
from toolkit.objectives import MultiLabel
from toolkit.runtimes import executorch, onnxruntime

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("made") / "release", "mlp", executorch, "fitted")


@pytest.fixture
def root(made: Made, tmp_path: Path) -> Path:
    serve(tmp_path / "board", made.bundle.folder)
    return tmp_path / "board"


@pytest.fixture
def model(root: Path) -> Iterator[Model]:
    loaded = Model(root)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def unlearned(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """It starts with the head that it has, so that a little learning gains."""
    return make_release(tmp_path_factory.mktemp("made") / "release", "mlp", executorch, "pretrained")


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Of any number of labels an example."""
    folder = tmp_path_factory.mktemp("made") / "release"
    return make_release(folder, "mlp", executorch, objective=MultiLabel())


@pytest.fixture
def learner(unlearned: Made, root: Path) -> Iterator[Model]:
    serve(root, unlearned.bundle.folder)
    loaded = Model(root)
    yield loaded
    loaded.close()


def apart(made: Made, each: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Examples of three classes that a little learning tells apart."""
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(3), each)
    middles = random.normal(size=(3, *made.x.shape[1:]))
    return (middles[y] + 0.8 * random.normal(size=(len(y), *made.x.shape[1:]))).astype(np.float32), y


def shifted(root: Path, by: float) -> None:
    """The board learns that the logits are all larger."""
    served = look(str(root))
    tensors = read_arrays(f"{served.folder}/tensors.safetensors")
    write_arrays(served.adapted, {"head.bias": tensors["head.bias"] + np.float32(by)})


def test_calls_give_what_the_network_gives(made: Made, model: Model, root: Path) -> None:
    expected = made.expected().numpy()
    said = model(made.x.numpy())
    np.testing.assert_allclose(said.values, expected, rtol=1e-4, atol=1e-5)
    assert (said.classes, said.release) == (["a", "b", "c"], look(str(root)).digest)
    one = model(x=made.x.numpy()[0])
    np.testing.assert_allclose(one.values, expected[:1], rtol=1e-4, atol=1e-5)
    assert model.input(0) == ("x", "float32", tuple(made.x.shape[1:]))
    assert model.input(1) is None


def test_it_tells_what_it_serves(made: Made, model: Model, root: Path) -> None:
    told = model.info()
    assert told["release"] == look(str(root)).digest
    assert (told["runtime"], told["adapted"], told["learns"], told["warning"]) == ("executorch", False, True, None)
    assert told["inputs"] == made.bundle.manifest["inputs"]


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8"])
def test_whole_numbers_are_values(made: Made, model: Model, dtype: str) -> None:
    whole = np.round(made.x.numpy()[:2] * 5)
    np.testing.assert_array_equal(model(whole.astype(dtype)).values, model(whole.astype(np.float32)).values)


def test_bytes_are_shares_of_255(made: Made, model: Model) -> None:
    given = np.random.default_rng(0).integers(0, 256, made.x.shape[1:], np.uint8)
    np.testing.assert_allclose(model(given).values, model((given / 255).astype(np.float32)).values, rtol=1e-5)


def test_what_was_normalised_for_the_task_is_for_a_call(made: Made, tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(made.bundle.folder, release)
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["preprocessing"] = {"kind": "arrays", "mean": [0.5], "std": [2.0]}
    (release / "manifest.json").write_text(json.dumps(manifest))
    serve(tmp_path / "board", release)
    given, expected = made.x.numpy()[0] * 2 + 0.5, made.expected().numpy()[0]
    with closing(Model(tmp_path / "board")) as model:
        np.testing.assert_allclose(model(given).values[0], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 3), np.float32), "was given float32 (2 x 3)"),
        (np.zeros(5, np.bool_), "was given bool (5)"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(model: Model, given: np.ndarray, said: str) -> None:
    with pytest.raises(Refused) as raised:
        model(given)
    first, following = str(raised.value).splitlines()
    assert first == f"x: {said}"
    assert following.startswith("Give x: float32 (")


def test_names_and_numbers_of_inputs_have_to_fit(made: Made, model: Model) -> None:
    x = made.x.numpy()[0]
    for wrong in (lambda: model(), lambda: model(x, x), lambda: model(y=x), lambda: model(x, x=x)):
        with pytest.raises(Refused, match=r"Give each of these once: x: float32"):
            wrong()


def test_what_is_learned_and_undone_elsewhere_is_taken_over(made: Made, model: Model, root: Path) -> None:
    before = model(made.x.numpy()).values
    shifted(root, 1.0)
    np.testing.assert_allclose(model(made.x.numpy()).values, before + 1, rtol=1e-4, atol=1e-5)
    assert model.info()["adapted"]
    Path(look(str(root)).adapted).unlink()
    np.testing.assert_array_equal(model(made.x.numpy()).values, before)


def test_another_release_is_taken_over(made: Made, model: Model, root: Path, tmp_path: Path) -> None:
    other = make_release(tmp_path / "other", "mlp", executorch, "pretrained")
    assert model(made.x.numpy()).classes == ["a", "b", "c"]
    manifest = other.bundle.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"a"', '"first"'))
    [counted] = (root / "counters").iterdir()
    digest = serve(root, other.bundle.folder)
    said = model(made.x.numpy())
    assert (said.release, said.classes) == (digest, ["first", "b", "c"])
    assert not model.reload()
    assert not counted.exists()


def test_what_is_damaged_is_told_and_the_model_goes_on(made: Made, model: Model, root: Path) -> None:
    before = model(made.x.numpy()).values
    shifted(root, 1.0)
    file = Path(look(str(root)).adapted)
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    np.testing.assert_array_equal(model(made.x.numpy()).values, before)
    assert "its values are not those that were written" in model.info()["warning"]
    with pytest.raises(Refused, match="what was learned cannot be read"):
        model.reload()
    file.write_bytes(whole)
    assert model.reload()
    assert model.info()["warning"] is None


def test_a_warning_goes_with_what_it_was_of(made: Made, model: Model, root: Path) -> None:
    file = Path(look(str(root)).adapted)
    file.write_bytes(b"damaged")
    model(made.x.numpy())
    assert "cannot be read" in model.info()["warning"]
    file.unlink()
    model(made.x.numpy())
    assert model.info()["warning"] is None


@pytest.mark.parametrize("name", ["manifest.json", "infer.pte", "tensors.safetensors"])
def test_a_damaged_release_is_not_loaded(root: Path, name: str) -> None:
    file = Path(look(str(root)).folder) / name
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(Refused, match=rf"{name} of release \w{{12}} is missing or damaged"):
        Model(root)


def test_a_board_that_serves_nothing_for_it(made: Made, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="serves no release"):
        Model(tmp_path / "nowhere")
    serve(tmp_path / "board", make_release(tmp_path / "made", "mlp", onnxruntime).bundle.folder)
    with pytest.raises(Refused, match="is for onnxruntime, this library runs those for ExecuTorch"):
        Model(tmp_path / "board")


def test_threads_are_those_of_all_models_that_are_loaded(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="serves no release"):
        Model(tmp_path / "nowhere", 2)
    first = Model(root, 1)
    with pytest.raises(Refused, match="another model of this process runs with threads=1"):
        Model(root, 2)
    first.close()
    second = Model(root, 2)
    assert second.info()["release"] == look(str(root)).digest
    second.close()
    with pytest.raises(Refused, match="threads is 0\nGive 1 or more"):
        Model(root, 0)


def test_it_learns_and_goes_back(unlearned: Made, learner: Model, root: Path) -> None:
    x, y = apart(unlearned)
    before = learner(x).values
    found = learner.learn(x, y, steps=40, seed=3)
    assert (found["accepted"], found["reason"]) == (1, b"held-out examples are predicted better")
    assert (found["examples"], found["judged"]) == (24, 1)
    assert found["loss_after"] < found["loss_before"]
    after = learner(x).values
    assert (after.argmax(1) == y).sum() > (before.argmax(1) == y).sum()
    np.testing.assert_array_equal(by_stock_executorch(root / "model", x), after)
    assert [each.number for each in generations(look(str(root)))] == [0, 1]
    assert learner.learn(x, y, steps=20, seed=4)["accepted"]
    assert [each.number for each in generations(look(str(root)))] == [0, 1, 2]
    assert learner.undo()
    np.testing.assert_array_equal(learner(x).values, after)
    np.testing.assert_array_equal(by_stock_executorch(root / "model", x), after)
    with pytest.raises(Refused, match="there is nothing to undo"):
        learner.undo()
    written = [entry for line in (root / "journal").read_text().splitlines() if (entry := parse_entry(line))]
    assert [each.event for each in written] == ["learned", "learned", "undid what it learned"]
    assert written[0].details["examples"] == 24


def test_a_switch_between_profiles_that_was_cut_is_over_before_it_learns(
    unlearned: Made, learner: Model, root: Path
) -> None:
    """Done but for its name, and then not done at all: what it learns is of the one that is served."""
    x, y = apart(unlearned)
    assert learner.learn(x, y, steps=20, seed=3)["accepted"]
    served = look(str(root))
    folder = Path(folder_of(served))
    folder.mkdir()
    (folder / "bob.safetensors").write_bytes(Path(served.adapted).read_bytes())
    (folder / "next").write_text("bob\n")
    hers = learner(x).values
    assert learner.learn(x, y, steps=20, seed=4)["accepted"]
    assert (active(served), (folder / "active").read_text()) == ("bob", "bob\n")
    assert learner.undo()
    np.testing.assert_array_equal(learner(x).values, hers)
    (folder / "anna.safetensors").write_text("installed\n")
    (folder / "next").write_text("anna\n")
    assert learner.learn(x, y, steps=20, seed=5)["accepted"]
    assert active(served) == "bob"
    assert not (folder / "next").exists()


def test_a_model_that_begins_mends_what_stock_runtimes_are_led_to(unlearned: Made, learner: Model, root: Path) -> None:
    """As a power cut may leave it: `model` leads to another state, or to nothing. One that was never there is left."""
    x, y = apart(unlearned)
    learner.learn(x, y, steps=20, seed=3)
    whole = (root / "model").readlink()
    for left in (whole.parent / "installed", whole.parent / "0123456789abcdef"):
        (root / "model").unlink()
        (root / "model").symlink_to(left)
        with closing(Model(root)) as again:
            assert (root / "model").readlink() == whole
            np.testing.assert_array_equal(by_stock_executorch(root / "model", x), again(x).values)
    shutil.rmtree(root / whole)
    with closing(Model(root)):
        assert (root / "model" / "holes.ptd").exists()
    (root / "model").unlink()
    with closing(Model(root)):
        assert not (root / "model").exists()


def test_where_stock_runtimes_cannot_be_led_to_what_it_learned_the_journal_says_so(
    unlearned: Made, learner: Model, root: Path
) -> None:
    """It serves what it learned all the same."""
    (root / "model").mkdir()
    (root / "model" / "somebody's").touch()
    x, y = apart(unlearned)
    assert learner.learn(x, y, steps=20, seed=3)["accepted"]
    assert learner.info()["adapted"]
    written = [entry for line in (root / "journal").read_text().splitlines() if (entry := parse_entry(line))]
    assert [each.event for each in written] == ["cannot lead model to what is served", "learned"]
    assert "cannot write" in str(written[0].details["why"])


def test_what_it_learned_the_python_package_undoes(unlearned: Made, learner: Model, root: Path) -> None:
    x, y = apart(unlearned)
    before = learner(x).values
    assert learner.learn(x, y, steps=20)["accepted"]
    served = look(str(root))
    assert sorted(read_arrays(served.adapted)) == sorted(unlearned.bundle.manifest["learn"]["trainables"])
    assert not undo_of_python(served)
    np.testing.assert_array_equal(learner(x).values, before)


def test_killed_at_any_instant_it_leaves_what_was_served_or_what_was_learned(
    unlearned: Made, learner: Model, root: Path, tmp_path: Path
) -> None:
    """Another process learns, and undoes, until it is killed: whatever is left is whole, and is taken over."""
    program, random = compile_c(platform.machine(), tmp_path, LEARNS), np.random.default_rng(0)
    environment = {"LD_LIBRARY_PATH": str(application(platform.machine()))}
    x, states = unlearned.x.numpy(), set()
    for kill in range(12):
        process = subprocess.Popen([program, root, str(100 * kill)], env=environment, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "learned\n"
        time.sleep(0.3 * random.random())
        process.kill()
        assert {line.strip() for line in process.stdout.read().splitlines()} <= {"learned", "refused"}
        assert process.wait() == -signal.SIGKILL
        states.add(learner(x).values.tobytes())
        assert learner.info()["warning"] is None
        served = look(str(root))
        for each in generations(served)[1:]:
            assert sha256(file_of(served, each.number)).startswith(each.state)
    assert len(states) > 3


def test_calls_go_on_while_it_learns(made: Made, model: Model) -> None:
    x, y = apart(made)
    with ThreadPoolExecutor(1) as other:
        learning, calls = other.submit(model.learn, x, y, steps=40), 0
        while not learning.done():
            model(x[0])
            calls += 1
    assert learning.result()["examples"] == len(x)
    assert calls > 3


def test_threads_share_a_model_while_states_change(made: Made, model: Model, root: Path) -> None:
    x = made.x.numpy()
    expected = model(x).values

    def right(index: int) -> bool:
        by = model(x[index % len(x)]).values[0] - expected[index % len(x)]
        return bool(np.allclose(by, np.round(by.mean()), atol=1e-4))

    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(right, range(400))
        for state in range(1, 9):
            shifted(root, float(state))
            time.sleep(0.02)
        assert all(answers)
    np.testing.assert_allclose(model(x).values, expected + 8, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (np.array([0, 1, 2, 3]), "3 is the place of none of its classes"),
        (np.array([0, 1, -1, 2]), "-1 is the place of none of its classes"),
        (np.array([0, 0, 1, 1]), "has no example of c"),
        (np.array([0, 1, 2]), "was given 4 inputs and 3 targets"),
    ],
)
def test_examples_that_do_not_fit_are_refused(made: Made, model: Model, root: Path, y: np.ndarray, said: str) -> None:
    with pytest.raises(Refused, match=said):
        model.learn(made.x.numpy()[:4], y)
    assert not Path(look(str(root)).adapted).exists()


@pytest.mark.parametrize("how", [{"steps": -1}, {"seconds": -1.0}, {"seconds": float("nan")}, {"seconds": 1e6}])
def test_what_cannot_be_asked_for(made: Made, model: Model, how: dict[str, float]) -> None:
    with pytest.raises(Refused, match="edge_learn"):
        model.learn(*apart(made), **how)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "float32", "int64"])
def test_targets_are_values_whatever_their_type(dtype: str, tmp_path: Path, several: Made) -> None:
    """Zeros and ones: nothing is a share of anything."""
    serve(tmp_path / "board", several.bundle.folder)
    y = (np.random.default_rng(0).random((6, 3)) > 0.5).astype(dtype)
    with closing(Model(tmp_path / "board")) as model:
        found = model.learn(several.x.numpy(), y, steps=2)
        of_floats = model.learn(several.x.numpy(), y.astype(np.float32), steps=2)
        assert found["loss_before"] == pytest.approx(of_floats["loss_before"])
        with pytest.raises(Refused, match="no number"):
            model.learn(several.x.numpy(), np.full((6, 3), np.nan, np.float32))


def test_a_deadline_leaves_what_was_served(made: Made, model: Model, root: Path) -> None:
    found = model.learn(*apart(made), steps=100_000, seconds=1e-6)
    assert (found["accepted"], found["reason"]) == (0, b"time was up before it had learned")
    assert not Path(look(str(root)).adapted).exists()


def test_calls_are_counted(made: Made, model: Model, root: Path) -> None:
    for _ in range(20):
        model(made.x.numpy()[0])
    with pytest.raises(Refused):
        model(np.zeros(1, np.float32))
    [file] = (root / "counters").iterdir()
    [caller] = parse_load(f"{int(time.time())}\nalive\n{file.read_text()}").callers
    assert (caller.calls, caller.refused, caller.release) == (20, 1, look(str(root)).digest)
    assert caller.p50_ms is not None
    model.close()  # what it was is still to be seen
    assert parse_load(f"{int(time.time())}\nended\n{file.read_text()}").callers[0].calls == 20


def test_models_that_come_and_go_are_counted_as_one(made: Made, root: Path) -> None:
    for _ in range(3):
        model = Model(root)
        model(made.x.numpy()[0])
        model.close()
    [file] = (root / "counters").iterdir()
    [caller] = parse_load(f"{int(time.time())}\nalive\n{file.read_text()}").callers
    assert caller.calls == 3


def test_a_learned_file_of_either_side_is_read_by_the_other(made: Made, model: Model, root: Path) -> None:
    """A file without a digest, as agents of before wrote it, is taken too."""
    served = look(str(root))
    tensors = read_arrays(f"{served.folder}/tensors.safetensors")
    before = model(made.x.numpy()).values
    save_file({"head.bias": tensors["head.bias"] + np.float32(2)}, served.adapted)
    np.testing.assert_allclose(model(made.x.numpy()).values, before + 2, rtol=1e-4, atol=1e-5)


def test_a_program_in_c_links_with_it(root: Path, tmp_path: Path, model: Model, made: Made) -> None:
    program = compile_c(platform.machine(), tmp_path)
    environment = {"LD_LIBRARY_PATH": str(application(platform.machine()))}
    done = subprocess.run([program, root], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    [logits] = model(np.zeros(made.x.shape[1:], np.float32)).values
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["a", "b", "c"]
    np.testing.assert_allclose([float(row[1]) for row in rows], logits, atol=1e-5)
