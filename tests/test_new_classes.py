"""A board learns classes that its release did not know, and forgets others, without the model that it came from."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from native_library import Model
from serving import blobs, learned
from workplace import RUN, Workplace, copy_workplace, make_workplace, one_object, refusal

import edge_runtime
from edge_runtime.tensors import read_arrays
from toolkit.devices.agent.difference import difference

_ROOM = ("--set", "adaptation.spare_classes=2")
_ADAPT = ("adapt", "--target", "desk", "--json", "--steps", "10", "--support")


@pytest.fixture(scope="module", params=["onnxruntime", pytest.param("executorch", marks=pytest.mark.native)])
def roomy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A board whose release tells a, b and c apart and has room for two classes more."""
    if request.param == "executorch":
        request.getfixturevalue("compiler")
    place = make_workplace(tmp_path_factory.mktemp("roomy"))
    done = place.deploy(*RUN, *_ROOM, "--no-adapt", "--runtime", request.param)
    assert done.returncode == 0, done.stderr
    x, y = more_blobs()
    for name, classes in (("four", "abcd"), ("three", "bcd"), ("other", "bce")):
        rows = np.isin(y, list(classes.replace("e", "d")))
        np.savez(place.folder / f"{name}.npz", x=x[rows], y=np.where(y[rows] == "d", classes[-1], y[rows]))
    return place


@pytest.fixture
def served(roomy: Workplace, tmp_path: Path) -> Workplace:
    return copy_workplace(roomy, tmp_path / "copy")


def more_blobs() -> tuple[np.ndarray, np.ndarray]:
    """The three blobs and a fourth, d: (32, 1, 8, 8)."""
    x, y = blobs()
    generator = torch.Generator().manual_seed(8)
    mean, noise = torch.randn(1, 1, 8, 8, generator=generator), torch.randn(8, 1, 8, 8, generator=generator)
    return np.concatenate([x, (2 * mean + 0.5 * noise).numpy()]), np.array([*y, *"d" * 8])


def _answers(place: Workplace, file: str) -> tuple[list[str], list[str]]:
    """Classes that are told apart, and the board's answer for each example."""
    np.savez(place.folder / "asked.npz", x=np.load(place.folder / file)["x"])
    told = one_object(place.deploy("infer", "--target", "desk", "--input", "asked.npz", "--json").stdout)
    assert np.shape(told["outputs"])[1] == len(told["classes"])
    return told["classes"], told["answers"]


def test_a_class_is_added_and_another_removed_and_both_undone(served: Workplace) -> None:
    assert _answers(served, "four.npz")[0] == ["a", "b", "c"]
    unknown = refusal(served.deploy(*_ADAPT, "four.npz"))
    assert "d is none of the release's classes: a, b, c" in unknown
    assert "--add-class d takes it as a new one; there is room for 2 more" in unknown
    assert one_object(served.deploy(*_ADAPT, "four.npz", "--add-class", "d").stdout)["accepted"]
    right = np.load(served.folder / "four.npz")["y"].tolist()
    classes, answers = _answers(served, "four.npz")
    assert classes == ["a", "b", "c", "d"]
    assert answers[-8:] == ["d"] * 8
    assert np.mean([answer == label for answer, label in zip(answers, right, strict=True)]) > 0.7
    assert json.loads((served.root / "model" / "classes.json").read_text()) == ["a", "b", "c", "d", None]
    # From now on it is one of its classes, of each of which there has to be an example.
    assert "has no example of a" in refusal(served.deploy(*_ADAPT, "three.npz"))
    assert one_object(served.deploy(*_ADAPT, "three.npz", "--remove-class", "a").stdout)["accepted"]
    classes, answers = _answers(served, "four.npz")
    assert classes == ["b", "c", "d"]
    assert "a" not in answers
    given = ("--add-class", "e", "--remove-class", "d")
    assert one_object(served.deploy(*_ADAPT, "other.npz", *given).stdout)["accepted"]
    assert _answers(served, "other.npz")[0] == ["e", "b", "c"]  # in the row that was a's
    served.deploy("adapt", "--target", "desk", "--undo")
    assert _answers(served, "four.npz") == (classes, answers)
    assert one_object(served.deploy("adapt", "--target", "desk", "--to", "0", "--json").stdout)["generation"] == 0
    assert _answers(served, "four.npz")[0] == ["a", "b", "c"]
    assert not (served.root / "model" / "classes.json").exists()


def test_classes_travel_with_what_was_learned(served: Workplace) -> None:
    assert one_object(served.deploy(*_ADAPT, "four.npz", "--add-class", "d").stdout)["accepted"]
    known = _answers(served, "four.npz")
    assert served.deploy("pull", "--target", "desk", "--to", "learned.safetensors").returncode == 0
    served.deploy("adapt", "--target", "desk", "--undo")
    done = served.deploy("adapt", "--target", "desk", "--learned", "learned.safetensors")
    assert done.returncode == 0, done.stderr
    assert _answers(served, "four.npz") == known


def test_room_does_not_loosen_what_a_release_is_accepted_by(served: Workplace) -> None:
    """Outputs differ by rounding, as a share of what the classes have and not of -10000."""
    outputs = read_arrays(str(served.root / "releases" / served.releases()["current"] / "acceptance.safetensors"))
    logits = outputs["outputs.logits"]
    assert (logits[:, 3:] == -1e4).all()
    wrong = logits.copy()
    wrong[0, 0] += 0.1
    most, share = difference(wrong, logits)
    assert share == pytest.approx(most / np.abs(logits[:, :3]).max())
    assert share > 1e-3


def test_classes_that_cannot_be(served: Workplace) -> None:
    for given, said in (
        (("four.npz", "--add-class", "d", "--add-class", "e", "--add-class", "f"), "room for 2 more classes, and 3"),
        (("four.npz", "--add-class", "a"), "a is one of its classes"),
        (("four.npz", "--remove-class", "z"), "z is none of its classes: a, b, c"),
        (("three.npz", "--add-class", "d"), "has no example of a"),
        (("four.npz", "--remove-class", "a", "--remove-class", "b"), "Give two names or more"),
    ):
        done = served.deploy(*_ADAPT, *given)
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr
    assert "classes change as the board learns" in refusal(
        served.deploy("adapt", "--target", "desk", "--undo", "--add-class", "d")
    )
    assert learned(served) is None


def _needs(place: Workplace, runtime: str) -> None:
    manifest = place.root / "releases" / place.releases()["current"] / "manifest.json"
    if json.loads(manifest.read_text())["runtime"] != runtime:
        pytest.skip(f"of a release for {runtime}")


def test_an_application_in_python_says_which_classes_there_are_to_be(served: Workplace) -> None:
    _needs(served, "onnxruntime")
    model, (x, y) = edge_runtime.load(str(served.root)), more_blobs()
    installed = model(x)
    assert (model.classes, installed.shape) == (["a", "b", "c"], (32, 3))
    assert model.info()["outputs"] == [{"name": "logits", "shape": [3], "dtype": "float32"}]
    with pytest.raises(
        edge_runtime.EdgeRuntimeError, match=r"(?s)'d' is none of its classes.* classes=\[\.\.\.\] says"
    ):
        model.learn(x, y)
    assert model.learn(x, y, classes=["a", "b", "c", "d"], steps=10).accepted
    assert (model.classes, model(x).shape, model(x[0]).shape) == (["a", "b", "c", "d"], (32, 4), (4,))
    assert (model(x[-8:]).argmax(1) == 3).all()
    file = read_arrays(str(served.root / "adapted" / f"{served.releases()['current']}.safetensors"))
    assert file["head.bias"][4] == -1e4  # nothing moves a row that is of no class
    assert not file["head.weight"][4].any()
    # The host goes on from there, and the application from what the host let it learn.
    assert one_object(served.deploy(*_ADAPT, "three.npz", "--remove-class", "a").stdout)["accepted"]
    assert (model.classes, model(x).shape) == (["b", "c", "d"], (32, 3))
    assert model.learn(x[8:], np.repeat([0, 1, 2], 8), steps=10).accepted  # places in `classes`, not of rows
    assert (model(x[-8:]).argmax(1) == 2).all()
    model.go_to(0)
    assert np.array_equal(model(x), installed)
    assert model.learn(x[:24], y[:24], classes=["a", "b", "c"], steps=5).examples == 24  # as they are: no change
    assert model.classes == ["a", "b", "c"]
    for classes in (["a"], ["a", "b", "c", "d", "e", "f"], "abc", 5, iter("ab")):
        with pytest.raises(edge_runtime.EdgeRuntimeError):
            model.learn(x, y, classes=classes)  # type: ignore[arg-type]


def test_a_class_of_noise_is_not_taken(served: Workplace) -> None:
    """What is installed never answers it, so that anything would be better: guessing is what has to be beaten."""
    _needs(served, "onnxruntime")
    model, y = edge_runtime.load(str(served.root)), more_blobs()[1]
    noise = np.random.default_rng(0).normal(size=(32, 1, 8, 8)).astype(np.float32)
    done = model.learn(noise, y, classes=["a", "b", "c", "d"], method="prototype")
    assert done.held_out is not None
    assert done.held_out["loss_before"] == pytest.approx(np.log(4))
    assert (done.accepted, model.classes) == (False, ["a", "b", "c"])


def test_examples_on_the_board_name_new_classes(served: Workplace) -> None:
    _needs(served, "onnxruntime")
    support = f"board:{served.folder / 'four.npz'}"
    assert one_object(served.deploy(*_ADAPT, support, "--add-class", "d").stdout)["accepted"]
    assert _answers(served, "four.npz")[0] == ["a", "b", "c", "d"]


def test_a_plain_file_says_which_value_is_of_which_class(served: Workplace) -> None:
    _needs(served, "onnxruntime")
    assert one_object(served.deploy(*_ADAPT, "four.npz", "--add-class", "d").stdout)["accepted"]
    told = one_object(served.deploy("export", "--target", "desk", "--adapted", "--to", "plain.onnx", "--json").stdout)
    names = ["a", "b", "c", "d", None]
    assert told["classes"] == names
    metadata = {each.key: each.value for each in onnx.load(served.folder / "plain.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == names


def test_an_application_in_c_goes_on_with_the_classes_that_the_host_added(served: Workplace) -> None:
    _needs(served, "executorch")
    assert one_object(served.deploy(*_ADAPT, "four.npz", "--add-class", "d").stdout)["accepted"]
    model, (x, y) = Model(served.root), more_blobs()
    said = model(x)
    assert said.classes == ["a", "b", "c", "d", ""]
    assert (said.values[-8:].argmax(1) == 3).all()
    assert (said.values[:, 4] < -9e3).all()
    assert model.learn(x, np.array(["abcd".index(label) for label in y]), steps=10)["accepted"]
    assert model(x).classes == ["a", "b", "c", "d", ""]
    assert _answers(served, "four.npz")[0] == ["a", "b", "c", "d"]
    model.close()


def test_a_network_with_a_head_of_its_own_has_no_room(tmp_path: Path) -> None:
    """Of the objective's kind that classifies nothing there is no head to make."""
    place = make_workplace(tmp_path)
    (place.folder / "my_package" / "values.py").write_text(
        "import torch\nfrom toolkit.objectives import Regression\nfrom toolkit.tasks import Examples, Task\n"
        "from my_package.small import model\n"
        "def task(shots, seed):\n"
        "    x = torch.randn(24, 1, 8, 8, generator=torch.Generator().manual_seed(seed))\n"
        "    y = model()(x).detach()\n"
        "    task = Examples(x[:12], y[:12]), Examples(x[12:], y[12:])\n"
        "    return Task('values', (), *task, objective=Regression.of(y))\n"
    )
    run = [argument.replace("my_package.small:task", "my_package.values:task") for argument in RUN]
    done = place.deploy(*run, *_ROOM, "--no-adapt")
    assert done.returncode == 0, done.stderr
    assert "there is no room for new classes" in " ".join(done.stderr.split())
    manifest = place.root / "releases" / place.releases()["current"] / "manifest.json"
    assert json.loads(manifest.read_text())["spare_classes"] == 0
