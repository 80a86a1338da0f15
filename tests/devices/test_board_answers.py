"""Whatever a board answers, nobody's files are touched, and all that is raised is a DeployError."""

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
