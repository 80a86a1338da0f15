"""A board that has no Pillow: an application there gives files and arrays of pixels, which come with no package."""

import json

import numpy as np
import pytest
from own_root import own_root
from PIL import Image
from workplace import FEW_STEPS, MODEL, ONLY_RANKS, make_workplace, one_object

from toolkit.targets import Target

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.timeout(1800)]

_APPLICATION = """
import json, sys
import edge_runtime
import numpy as np

file, pixels = bytes.fromhex(sys.argv[1].split()[0]), json.loads(sys.argv[1].partition(" ")[2])
model = edge_runtime.load()
print(json.dumps([model(file).tolist(), model(np.array(pixels, np.uint8)).tolist()]))
"""


def test_a_board_reads_pictures_as_the_host_does(emulated_pi: Target, tmp_path_factory: pytest.TempPathFactory) -> None:
    place, random = make_workplace(tmp_path_factory.mktemp("place")), np.random.default_rng(0)
    for label, darkest in (("a", 0), ("b", 60), ("c", 120)):
        (place.folder / "task" / label).mkdir(parents=True)
        for number in range(10):
            values = random.integers(darkest, darkest + 90, (11 + number, 14), np.uint8)
            Image.fromarray(values).save(place.folder / "task" / label / f"{number}.png")
    file = place.folder / "task" / "a" / "3.png"
    handed = f"{file.read_bytes().hex()} {np.asarray(Image.open(file)).tolist()}"
    what = ("--model", MODEL, "--task", "task", "--image-size", "8", "--shots", "5")
    with own_root(emulated_pi, place, "picture-pi") as board:
        board.deploy(*what, *ONLY_RANKS, *FEW_STEPS, "--set", "profiling.budget=1s", "--latency", "10s", "--no-adapt")
        [by_host] = one_object(board.deploy("infer", "--input", str(file), "--json"))["outputs"]
        for outputs in json.loads(board.apply(_APPLICATION, handed, timeout_s=300)):
            np.testing.assert_allclose(outputs, by_host, rtol=1e-4, atol=1e-5)
