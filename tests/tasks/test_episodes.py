"""Episodes are what was asked for, the same for the same seed, and refused where the data cannot give them."""

from itertools import islice

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.tasks import Examples, draw_episodes, episode_task, validate_task

SIZES = (1, 3, 6, 6, 7, 9)  # examples of each class; the labels are 10, 11, ...
Y = torch.cat([torch.full((size,), 10 + label) for label, size in enumerate(SIZES)])
EXAMPLES = Examples(torch.arange(len(Y), dtype=torch.float32)[:, None].clone(), Y)


@settings(max_examples=50, deadline=None)
@given(ways=st.integers(2, 4), shots=st.integers(1, 4), queries=st.integers(1, 2), seed=st.integers(0, 99))
def test_an_episode_has_its_ways_and_shots_and_judges_on_what_it_did_not_learn(
    ways: int, shots: int, queries: int, seed: int
) -> None:
    episode = next(draw_episodes(Y, ways=ways, shots=shots, queries=queries, seed=seed))
    assert episode.support.shape == (ways, shots)
    assert episode.query.shape == (ways, queries)
    assert len(set(episode.classes.tolist())) == ways
    for row, label in enumerate(episode.classes):
        drawn = episode.support[row].tolist() + episode.query[row].tolist()
        assert len(set(drawn)) == shots + queries
        assert (Y[drawn] == label).all()
    task = validate_task(episode_task(EXAMPLES, episode, "letters"))
    assert task.classes == tuple(str(int(label)) for label in episode.classes)
    assert torch.equal(Y[task.query.x.tensors["x"][:, 0].long()], episode.classes[task.query.y])


def test_a_seed_draws_the_same_episodes_again_and_another_seed_others() -> None:
    def drawn(seed: int) -> list[list[int]]:
        episodes = islice(draw_episodes(Y, ways=3, shots=2, queries=1, seed=seed), 5)
        return [episode.support.flatten().tolist() for episode in episodes]

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("ways", "shots", "queries", "said"),
    [
        (5, 4, 2, "needs 5 classes of 6 examples; 4 of its 6 classes are that large, the largest holds 9"),
        (2, 9, 1, "0 of its 6 classes"),
        (1, 1, 1, "1-way 1-shot with 1 queries is no task"),
        (3, 0, 1, "is no task"),
    ],
)
def test_what_the_data_cannot_give_is_refused_at_once(ways: int, shots: int, queries: int, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        draw_episodes(Y, ways=ways, shots=shots, queries=queries, seed=0)
