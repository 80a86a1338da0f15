"""A Hugging Face directory says how the files of a task are read, where the user does not."""

import json
from pathlib import Path

import pytest
from PIL import Image

from toolkit.origins.usual_reading import usual_reading
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks import load_task

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"size": 224}, (224, 224)),
        ({"size": {"height": 30, "width": 40}}, (30, 40)),
        ({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, (224, 224)),
        ({"size": {"shortest_edge": 256}}, (256, 256)),
        ({"size": {"longest_edge": 800}}, None),
        ({"size": "large"}, None),
    ],
)
def test_the_size_that_a_processor_makes_images(
    tmp_path: Path, said: dict[str, object], expected: tuple[int, int] | None
) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    assert usual_reading(f"hf:{tmp_path}") == Reading(image_size=expected)


def test_nothing_is_known_of_other_models_and_of_damaged_files(tmp_path: Path) -> None:
    assert usual_reading("package.module:model") == AS_IT_IS
    (tmp_path / "preprocessor_config.json").write_text("{")
    assert usual_reading(f"hf:{tmp_path}") == AS_IT_IS


def test_images_are_brought_to_that_size_unless_another_is_asked_for(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "task" / label).mkdir(parents=True)
        for index, size in enumerate([(20, 30), (40, 16)]):
            Image.new("RGB", size).save(tmp_path / "task" / label / f"{index}.png")
    (tmp_path / "preprocessor_config.json").write_text('{"size": 12}')
    usual = usual_reading(f"hf:{tmp_path}")
    for reading, side in ((AS_IT_IS, 12), (Reading(image_size=(8, 8)), 8)):
        notes: list[str] = []
        task = load_task(str(tmp_path / "task"), shots=1, seed=0, reading=reading, usual=usual, on_note=notes.append)
        assert task.support.x.ports[0].shape == (3, side, side)
        assert ["12 x 12 pixels" in each for each in notes] == ([True] if side == 12 else [])


def test_texts_are_read_by_its_tokenizer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(_WORDS))
    transformers.BertTokenizerFast(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "model")
    (tmp_path / "task.csv").write_text("text,label\ngood film,yes\ngood,yes\nbad film,no\nbad,no\n")
    task = load_task(str(tmp_path / "task.csv"), shots=1, seed=0, usual=usual_reading(f"hf:{tmp_path / 'model'}"))
    [port] = task.support.x.ports
    assert (port.dtype, port.shape) == ("int64", (4,))
