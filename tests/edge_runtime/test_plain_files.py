"""Stock ONNX Runtime loads what a board serves from a path that stays, with what was learned."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from serving import accepted, blobs, unlearn
from workplace import Workplace, copy_workplace, local_agent, local_home, one_object

import edge_runtime
from edge_runtime.plain import write_plain
from edge_runtime.served import look
from toolkit.devices.releases import release as releases
from toolkit.devices.releases.plain import follow


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    """A board that serves a release and has learned nothing."""
    place = copy_workplace(deployed_place, tmp_path / "copy")
    unlearn(place)
    follow(local_agent(place), place.releases()["current"], pytest.fail)
    return place


def stock(place: Workplace, x: np.ndarray) -> np.ndarray:
    """Three lines of an application that knows nothing of us."""
    session = onnxruntime.InferenceSession(
        str((place.root / "model" / "infer.onnx").resolve()), disabled_optimizers=["WeightBiasQuantization"]
    )
    return np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])


def test_deploy_leads_it_to_what_the_board_has_learned(deployed_place: Workplace, tmp_path: Path) -> None:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    x, _ = accepted(place)
    model = edge_runtime.load(str(place.root))
    np.testing.assert_allclose(stock(place, x), model(x), rtol=1e-6, atol=1e-6)
    assert (place.root / "model" / "manifest.json").is_file()


def test_it_follows_what_an_application_and_what_the_host_lets_it_learn(served: Workplace) -> None:
    x, expected = accepted(served)
    np.testing.assert_allclose(stock(served, x), expected, rtol=1e-4, atol=1e-5)
    model = edge_runtime.load(str(served.root))
    given, y = blobs()
    assert model.learn(given, y, steps=30).accepted
    first = stock(served, x)
    np.testing.assert_allclose(first, model(x), rtol=1e-6, atol=1e-6)
    assert np.abs(first - expected).max() > 1e-3
    np.savez(served.folder / "more.npz", x=given, y=y)
    asked = "adapt", "--target", "desk", "--support", "more.npz", "--steps", "10", "--json"
    assert one_object(served.deploy(*asked).stdout)["accepted"]
    second = stock(served, x)
    np.testing.assert_allclose(second, model(x), rtol=1e-6, atol=1e-6)
    assert np.abs(second - first).max() > 1e-5
    served.deploy("adapt", "--target", "desk", "--undo")
    np.testing.assert_array_equal(stock(served, x), first)
    assert served.left_behind() == []


def test_an_undoing_application_leads_it_back(served: Workplace) -> None:
    x, _ = accepted(served)
    before = stock(served, x)
    model = edge_runtime.load(str(served.root))
    assert model.learn(*blobs(), steps=30).accepted
    assert not model.undo()
    np.testing.assert_array_equal(stock(served, x), before)
    digest = served.releases()["current"]
    assert {path.name for path in (served.root / "adapted" / digest).iterdir()} == {"installed", "generations"}


def test_it_follows_activation_and_rollback_and_goes_with_its_release(served: Workplace) -> None:
    x, expected = accepted(served)
    old, home = served.releases()["current"], local_home(served)
    bundle = served.folder / "another"
    bundle.mkdir()
    for file in (served.root / "releases" / old).iterdir():
        (bundle / file.name).write_bytes(file.read_bytes())
    (bundle / "manifest.json").write_text((bundle / "manifest.json").read_text().replace('"a"', '"first"'))
    new = releases.install(home, bundle).digest
    releases.activate(home, new)  # by a deployer that lets the board write none: better none than another's
    assert not (served.root / "model").is_symlink()
    follow(local_agent(served), new, pytest.fail)
    assert new in str((served.root / "model").readlink())
    releases.rollback(home)
    assert old in str((served.root / "model").readlink())
    np.testing.assert_allclose(stock(served, x), expected, rtol=1e-4, atol=1e-5)
    releases.rollback(home)
    releases.rollback(home)
    (served.root / "previous").unlink()
    releases.remove(home, new)
    assert not (served.root / "adapted" / new).exists()


def test_one_that_is_damaged_is_mended(served: Workplace) -> None:
    x, expected = accepted(served)
    now = look(str(served.root))
    holes = Path(str(write_plain(now, None)), "holes.bin")
    holes.write_bytes(b"\0" * holes.stat().st_size)
    assert np.abs(stock(served, x) - expected).max() > 1e-3
    follow(local_agent(served), now.digest, pytest.fail)
    np.testing.assert_allclose(stock(served, x), expected, rtol=1e-4, atol=1e-5)
    program = holes.parent / "infer.onnx"
    program.unlink()
    follow(local_agent(served), now.digest, pytest.fail)
    np.testing.assert_allclose(stock(served, x), expected, rtol=1e-4, atol=1e-5)
    assert sorted(path.name for path in holes.parent.iterdir()) == ["holes.bin", "infer.onnx", "manifest.json"]


def test_of_a_release_of_before_there_is_none(served: Workplace) -> None:
    """Its program does not say where its holes lie."""
    digest = served.releases()["current"]
    program = served.root / "releases" / digest / "infer.onnx"
    graph = onnx.load(str(program), load_external_data=False)
    for tensor in graph.graph.initializer:
        del tensor.external_data[:]
    program.write_bytes(graph.SerializeToString())
    unlearn(served)
    follow(local_agent(served), digest, pytest.fail)
    assert not (served.root / "model").is_symlink()


def test_states_do_not_pile_up(served: Workplace) -> None:
    x, y = blobs()
    np.savez(served.folder / "more.npz", x=x, y=y)
    for steps in ("10", "15", "20"):
        asked = "adapt", "--target", "desk", "--support", "more.npz", "--steps", steps, "--seed", steps, "--json"
        assert one_object(served.deploy(*asked).stdout)["accepted"]
    states = [path.name for path in (served.root / "adapted" / served.releases()["current"]).iterdir()]
    assert len(states) == 4  # as installed, now, and before; and what was learned by number


def test_it_takes_no_more_room_than_what_fills_the_holes(served: Workplace) -> None:
    now = look(str(served.root))
    unlearn(served)
    folder = Path(str(write_plain(now, None)))
    assert (folder / "infer.onnx").stat().st_ino == Path(now.folder, "infer.onnx").stat().st_ino
    graph = onnx.load(str(folder / "infer.onnx"), load_external_data=False).graph
    external = [each for each in graph.initializer if each.data_location == onnx.TensorProto.EXTERNAL]
    lengths = [int({entry.key: entry.value for entry in each.external_data}["length"]) for each in external]
    assert len(external) > 2
    assert sum(lengths) <= (folder / "holes.bin").stat().st_size < sum(lengths) + 64 * len(lengths)
