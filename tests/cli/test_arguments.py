"""What a command line's options say together becomes a request."""

from pathlib import Path

import pytest

from toolkit.cli.arguments import overrides_of, reading_of, request_of
from toolkit.errors import BadInput
from toolkit.model_name import NamedModel
from toolkit.reading import Reading
from toolkit.request import Request

BY_POLICY = ("allocation.allocator=policy",)


def request(model: str, *sets: str) -> Request:
    return request_of(NamedModel(model), Request.task, None, "fp32", 5, 0, None, sets)


def test_the_bundled_example_comes_with_its_policy_and_no_other_model_does() -> None:
    policy = request(Request.model, *BY_POLICY).policy
    assert policy is not None
    assert policy.is_file()
    assert request("my_package:model", *BY_POLICY).policy is None
    assert request(Request.model).policy is None


def test_a_policy_of_ones_own_comes_first(tmp_path: Path) -> None:
    named = f"allocation.policy={tmp_path / 'mine'}"
    with pytest.raises(BadInput, match="no such file"):
        request(Request.model, *BY_POLICY, named)
    (tmp_path / "mine").touch()
    assert request(Request.model, *BY_POLICY, named).policy == tmp_path / "mine"
    with pytest.raises(BadInput, match="no effect with allocator exact"):
        request(Request.model, named)


def test_an_allocator_of_ranks_alone_takes_no_other_precision() -> None:
    with pytest.raises(BadInput) as caught:
        request_of(NamedModel(Request.model), Request.task, None, "int8", 5, 0, None, ("allocation.allocator=uniform",))
    assert caught.value.where == "--precision int8"


def test_what_is_said_beside_a_model_reaches_it_or_is_refused() -> None:
    named = NamedModel("hf:a", hf_task="text-classification", trust_remote_code=True)
    asked = request_of(named, Request.task, None, "fp32", 5, 0, None, None)
    assert asked.model == "hf:a"
    assert asked.named_model == named
    with pytest.raises(BadInput, match="no effect"):
        request_of(
            NamedModel("mine:model", hf_task="text-classification"), Request.task, None, "fp32", 5, 0, None, None
        )


def test_options_and_settings_say_together_how_files_are_read() -> None:
    files = reading_of("120x160", None, None)
    made = request_of(
        NamedModel(Request.model), "pictures", None, "auto", 5, 0, None, ("task.mean=0.5",), files, adapt=False
    )
    assert made.reading == Reading(image_size=(120, 160), mean=(0.5,))
    assert not made.adapt
    assert request(Request.model).reading == Request.reading
    assert request(Request.model).adapt


def test_an_option_that_makes_no_sense_is_named() -> None:
    for option, make in (
        ("--image-size", lambda: reading_of("big", None, None)),
        ("--sample-rate", lambda: reading_of(None, "16kHz", None)),
        ("--min-accuracy", lambda: overrides_of(None, None, None, None, None, "85")),
    ):
        with pytest.raises(BadInput) as caught:
            make()
        assert caught.value.where == option
