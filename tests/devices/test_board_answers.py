"""Whatever a board answers, nobody's files are touched, and all that is raised is a DeployError."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from random import Random

import pytest
from board_verbs import LAYERS, ROOTS, VERBS, make_material, tell
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_material(tmp_path_factory.mktemp("material"))


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_board_that_tells_the_truth_serves_each_verb_in_a_folder_of_ours_alone(
    material: Path, verb: str, root: str
) -> None:
    told = tell(verb, "transport", root, True, 0.0, Random(0), material)
    assert told.touched == []
    assert (told.refused is None) == ("ours" in root), told.refused


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["busybox", "mksh"])
def test_the_shells_of_small_boards_and_of_phones_serve_each_verb(
    material: Path, monkeypatch: pytest.MonkeyPatch, kind: str, verb: str
) -> None:
    program = shutil.which(kind)
    if program is None:
        pytest.skip(f"NO {kind}: it is NOT tested as a board's shell; apt-get install {kind}")
    with tempfile.TemporaryDirectory() as tools:
        Path(tools).chmod(0o755)
        for name in _applets(program) if kind == "busybox" else ["sh"]:
            Path(tools, name).symlink_to(program)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        told = tell(verb, "transport", "~/it's ours", True, 0.0, Random(0), material)
    assert (told.touched, told.refused) == ([], None)


def _applets(busybox: str) -> list[str]:
    """All tools of a small board; it is this machine that the verbs run on as another user."""
    names = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if name not in ("setpriv", "busybox")]


@given(
    verb=st.sampled_from(list(VERBS)),
    layer=st.sampled_from(LAYERS),
    root=st.sampled_from(ROOTS),
    used=st.booleans(),
    share=st.sampled_from([0.2, 0.5, 1.0]),
    chance=st.randoms(use_true_random=False),
)
def test_a_board_that_lies_costs_nobody_a_file(
    material: Path, verb: str, layer: str, root: str, used: bool, share: float, chance: Random
) -> None:
    told = tell(verb, layer, root, used, share, chance, material)
    assert told.touched == []
