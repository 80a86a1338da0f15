"""A recipe is what its text says, and a text that is none is refused with every part that is wrong."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.recipe import Recipe, parse_recipe


@given(
    losses=st.permutations(["kd", "features", "gradient"]).flatmap(
        lambda names: st.sampled_from([names, names[:2], names[:1]])
    ),
    weighing=st.sampled_from([None, "beta", "beta-terms", "beta-instances"]),
    trained=st.sampled_from([None, "cores", "factors", "network"]),
    task=st.booleans(),
)
def test_the_order_of_its_parts_does_not_matter(
    losses: list[str], weighing: str | None, trained: str | None, task: bool
) -> None:
    said = [each for each in ("task" if task else None, weighing, trained) if each]
    recipe = parse_recipe("+".join([*said, *losses]))
    assert set(recipe.losses) == set(losses)
    assert recipe.weighing == (weighing or "fixed")
    assert recipe.trained == (trained or "cores")
    assert parse_recipe(str(recipe)) == recipe


def test_labels_alone_are_a_recipe_without_a_teacher() -> None:
    assert parse_recipe("task") == Recipe(losses=())
    assert str(Recipe(losses=())) == "task"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "'' is not known"),
        ("kd+", "'' is not known"),
        ("kd+hint+gan", "'hint' is not known; 'gan' is not known"),
        ("fixed+kd", "'fixed' is not known"),
        ("kd+kd", "'kd' is there twice"),
        ("kd+beta+beta-terms", "beta and beta-terms exclude each other"),
        ("kd+cores+factors", "cores and factors exclude each other"),
        ("kd+factors+network", "factors and network exclude each other"),
        ("factors", "names no loss"),
        ("beta", "beta has no loss of a teacher to weigh"),
    ],
)
def test_what_is_no_recipe_is_refused(text: str, what: str) -> None:
    with pytest.raises(
        BadInput, match=f"recovery.distill:? {re.escape(what)}\nJoin kd, features, gradient, at most one of beta"
    ):
        parse_recipe(text)
