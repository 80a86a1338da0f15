"""What a task's files became, the same files become later."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from toolkit.errors import BadInput
from toolkit.inputs import Port
from toolkit.preprocessing import Preprocessing, read_told
from toolkit.reading import Reading
from toolkit.tasks import Task, load_task
from toolkit.tasks.again import inputs_from

_RANDOM = np.random.default_rng(0)


def made_again(task: Task, file: Path, release: Path) -> torch.Tensor:
    """By what the release says, as it comes out of its manifest."""
    assert task.preprocessing
    said = json.loads(json.dumps(task.preprocessing.told()))
    if task.preprocessing.tokenizer:
        (release / "tokenizer.json").write_bytes(task.preprocessing.tokenizer.read_bytes())
    [tensor] = inputs_from(file, read_told(said, release), task.support.x.ports)
    return tensor


def is_in(task: Task, example: torch.Tensor) -> bool:
    there = torch.cat([*task.support.x, *task.query.x])
    return any(torch.equal(each, example) for each in there)


def test_images(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "task" / name).mkdir(parents=True)
        for index in range(3):
            pixels = _RANDOM.integers(0, 255, (20 + index, 30, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "task" / name / f"{index}.png")
    reading = Reading(image_size=(16, 16), mean=(0.5, 0.4, 0.3), std=(0.2,))
    task = load_task(str(tmp_path / "task"), shots=2, seed=0, reading=reading)
    [again] = made_again(task, tmp_path / "task" / "a" / "1.png", tmp_path)
    assert is_in(task, again)
    Image.fromarray(np.full((16, 16), 255, np.uint8)).save(tmp_path / "grey.png")
    [grey] = made_again(task, tmp_path / "grey.png", tmp_path)
    assert grey.shape == (3, 16, 16)
    pixels = np.asarray(Image.open(tmp_path / "grey.png"))
    np.save(tmp_path / "grey.npy", np.repeat(pixels[None], 3, 0))  # bytes stand for pixels
    assert torch.allclose(made_again(task, tmp_path / "grey.npy", tmp_path)[0], grey)
    with pytest.raises(BadInput, match=r"not what the network was made for: an image \(\.png"):
        made_again(task, tmp_path / "task.wav", tmp_path)


def test_recordings(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        for index in range(3):
            sound = _RANDOM.integers(-9000, 9000, 800 + 100 * index, np.int16)
            wavfile.write(tmp_path / name / f"{index}.wav", 8000, sound)
    task = load_task(str(tmp_path), shots=2, seed=0, reading=Reading(sample_rate_hz=4000))
    for index in range(3):  # the longest, and shorter ones with silence after them
        [again] = made_again(task, tmp_path / "b" / f"{index}.wav", tmp_path)
        assert is_in(task, again)


def test_numbers(tmp_path: Path) -> None:
    rows = ["label,height,width", *(f"{'ab'[index % 2]},{index},{index * 2}" for index in range(8))]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    task = load_task(str(tmp_path / "rows.csv"), shots=2, seed=0, reading=Reading(mean=(1.0,), std=(2.0,)))
    (tmp_path / "new.csv").write_text("width,height\n6,3\n2,1\n")  # in another order, without labels
    again = made_again(task, tmp_path / "new.csv", tmp_path)
    assert again.tolist() == [[1.0, 2.5], [0.0, 0.5]]
    (tmp_path / "new.csv").write_text("height,width\n1,2\n3,many\n")
    with pytest.raises(BadInput, match="line 3: could not convert"):
        made_again(task, tmp_path / "new.csv", tmp_path)


def test_texts(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers comes with the extra text")
    words = {"rain": 0, "sun": 1, "[PAD]": 2, "?": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "mine.json"))
    rows = [{"text": text, "label": label} for text, label in (("rain sun rain", "a"), ("sun", "b"))] * 3
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    task = load_task(
        str(tmp_path / "rows.jsonl"), shots=1, seed=0, reading=Reading(tokenizer=tmp_path / "mine.json", tokens=8)
    )
    (tmp_path / "release").mkdir()
    for file, text in (
        ("new.txt", "sun snow\n\nrain rain rain rain\n"),
        ("new.csv", "text\nsun snow\nrain rain rain\n"),
    ):
        (tmp_path / file).write_text(text)
        assert made_again(task, tmp_path / file, tmp_path / "release").tolist() == [[1, 3, 2], [0, 0, 0]]
    (tmp_path / "new.csv").write_text("words\nsun\n")
    with pytest.raises(BadInput, match="has no column text"):
        made_again(task, tmp_path / "new.csv", tmp_path / "release")


@pytest.mark.parametrize("several", [False, True])
def test_arrays_fit_any_release(tmp_path: Path, several: bool) -> None:
    port = Port("x", (2, 3))
    values = _RANDOM.integers(0, 255, (4, 2, 3) if several else (2, 3), np.uint8)
    np.save(tmp_path / "x.npy", values)
    for made in (None, Preprocessing("recordings", mean=(0.5,))):
        [tensor] = inputs_from(tmp_path / "x.npy", made, [port])
        np.testing.assert_allclose(tensor, values.reshape(-1, 2, 3) / np.float32(255), rtol=1e-6)
    [tensor] = inputs_from(tmp_path / "x.npy", Preprocessing("arrays", mean=(0.5,), std=(0.25,)), [port])
    np.testing.assert_allclose(tensor, (values.reshape(-1, 2, 3) / 255 - 0.5) / 0.25, rtol=1e-4, atol=1e-6)


def test_images_of_another_size_than_the_task_had_are_refused_where_it_scaled_none(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((10, 40), np.uint8)).save(tmp_path / "wide.png")
    for size in (None, (10, 10)):
        made = Preprocessing("images", image_size=size)
        if size:
            assert len(inputs_from(tmp_path / "wide.png", made, [Port("x", (1, 10, 10))])) == 1
            continue
        with pytest.raises(BadInput, match=r"holds float32 \(1, 1, 10, 40\)|holds float32 \(1, 10, 40\)"):
            inputs_from(tmp_path / "wide.png", made, [Port("x", (1, 10, 10))])


@pytest.mark.parametrize("values", [[np.nan, 0.0], [np.inf, 0.0], [1e300, 0.0]])
def test_what_is_no_number_is_refused(tmp_path: Path, values: list[float]) -> None:
    np.save(tmp_path / "x.npy", np.array([values]))
    (tmp_path / "x.csv").write_text(f"a,b\n{values[0]},{values[1]}\n")
    for name in ("x.npy", "x.csv"):
        with pytest.raises(BadInput, match="no number of float32"):
            inputs_from(tmp_path / name, Preprocessing("numbers", columns=("a", "b")), [Port("x", (2,))])
    (tmp_path / "x.jsonl").write_text(f'{{"a": {"9" * 400}, "b": 1}}')
    with pytest.raises(BadInput, match="line 1"):
        inputs_from(tmp_path / "x.jsonl", Preprocessing("numbers", columns=("a", "b")), [Port("x", (2,))])


def test_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "both.npz", a=np.zeros((3, 2), np.float32), b=np.zeros((2, 4), np.float32))
    with pytest.raises(BadInput, match="not as many rows"):
        inputs_from(tmp_path / "both.npz", None, [Port("a", (2,)), Port("b", (4,))])


def test_several_inputs_come_by_name(tmp_path: Path) -> None:
    ports = [Port("ids", (5,), "int64"), Port("mask", (5,), "bool")]
    np.savez(tmp_path / "both.npz", mask=np.ones(5, bool), ids=np.arange(5, dtype=np.int32))
    given = inputs_from(tmp_path / "both.npz", None, ports)
    assert given.ports == tuple(ports)
    np.savez(tmp_path / "one.npz", ids=np.arange(5))
    with pytest.raises(BadInput, match="has no array mask") as caught:
        inputs_from(tmp_path / "one.npz", None, ports)
    assert caught.value.next == "Give a .npz with ids: int64 (5), mask: bool (5)."


@pytest.mark.parametrize(
    "values",
    [np.zeros((2, 4), np.float32), np.zeros((0, 2, 3), np.float32), np.array("text"), np.zeros((2, 3), complex)],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(BadInput, match="holds") as caught:
        inputs_from(tmp_path / "x.npy", None, [Port("x", (2, 3))])
    assert caught.value.next == "Give x: float32 (2, 3), one or several."


@pytest.mark.parametrize("name", ["absent.npy", "broken.npy", "broken.npz", "picture.png"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    if "broken" in name:
        (tmp_path / name).write_bytes(b"\x93NUMPY broken")
    with pytest.raises(BadInput) as caught:
        inputs_from(tmp_path / name, None, [Port("x", (2, 3))])
    assert caught.value.where == str(tmp_path / name)
