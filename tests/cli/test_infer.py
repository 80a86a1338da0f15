"""A first look at what a board serves."""

from pathlib import Path

import numpy as np
import pytest
from workplace import Workplace, copy_workplace, one_object, refusal

from edge_runtime.tensors import read_arrays, write_arrays


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    """A board that serves a release, with its acceptance examples as `x.npy`, and nothing learned."""
    place = copy_workplace(deployed_place, tmp_path / "copy")
    serving = place.releases()["current"]
    (place.root / "adapted" / f"{serving}.safetensors").unlink(missing_ok=True)
    accepted = read_arrays(str(place.root / "releases" / serving / "acceptance.safetensors"))
    np.save(place.folder / "x.npy", accepted["inputs.x"])
    np.save(place.folder / "expected.npy", accepted["outputs.logits"])
    return place


def test_a_board_answers_for_the_examples_of_a_file(served: Workplace) -> None:
    expected = np.load(served.folder / "expected.npy")
    done = served.deploy("infer", "--target", "desk", "--input", "x.npy", "--json", "--to", "out.npy")
    assert done.returncode == 0, done.stderr
    told = one_object(done.stdout)
    assert told["answers"] == ["abc"[best] for best in expected.argmax(1)]
    assert not told["adapted"]
    np.testing.assert_allclose(told["outputs"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.load(served.folder / "out.npy"), expected, rtol=1e-4, atol=1e-5)
    shown = served.deploy("infer", "--target", "desk", "--input", "x.npy").stdout
    first = np.exp(expected[0]) / np.exp(expected[0]).sum()
    assert f"{first.max():.1%}" in shown
    assert "as installed" in shown
    assert served.left_behind() == []


def test_what_it_has_learned_counts_unless_it_shall_not(served: Workplace) -> None:
    serving = served.releases()["current"]
    tensors = read_arrays(str(served.root / "releases" / serving / "tensors.safetensors"))
    write_arrays(
        str(served.root / "adapted" / f"{serving}.safetensors"), {"head.bias": tensors["head.bias"] + np.float32(2)}
    )
    asked = "infer", "--target", "desk", "--input", "x.npy", "--json"
    learned, installed = (one_object(served.deploy(*asked, *more).stdout) for more in ((), ("--as-installed",)))
    assert (learned["adapted"], installed["adapted"]) == (True, False)
    np.testing.assert_allclose(np.array(learned["outputs"]) - installed["outputs"], 2, rtol=1e-4)


def test_what_does_not_fit_is_said_in_two_lines(served: Workplace) -> None:
    np.save(served.folder / "wrong.npy", np.zeros((3, 3), np.float32))
    (served.folder / "picture.png").write_bytes(b"no picture")
    wrong = {
        ("--input", "wrong.npy"): "Give x: float32 (1, 8, 8), one or several.",
        ("--input", "picture.png"): "does not say how inputs are made of others",  # its task came from a factory
        ("--input", "absent.npy"): "No such file",
        ("--input", "x.npy", "--to", "out.csv"): "ends with .npy",
    }
    for arguments, said in wrong.items():
        done = served.deploy("infer", "--target", "desk", *arguments)
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr


def test_a_board_that_was_never_deployed_to(place: Workplace) -> None:
    done = place.deploy("infer", "--target", "desk", "--input", "x.npy")
    assert done.returncode == 3
    assert "nothing was ever deployed" in refusal(done)
    assert not place.root.exists()
