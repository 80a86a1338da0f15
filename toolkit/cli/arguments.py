"""Options of `run`, `plan` and `profile` become a request and its budgets."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from toolkit import examples
from toolkit.cli.configuration import read_settings
from toolkit.errors import BadInput
from toolkit.model_name import NamedModel, require_model_options
from toolkit.reading import AS_IT_IS, Reading, parse_image_size, parse_sample_rate
from toolkit.request import AskedPrecision, Overrides, Request, require_conflicts, require_precision
from toolkit.settings import Settings
from toolkit.units import parse_bytes, parse_milliseconds, parse_share

T = TypeVar("T")
_OF_THE_EXAMPLE = Path(examples.__file__).with_name("digits_policy.safetensors")


def request_of(
    model: NamedModel,
    task: str,
    runtime: str | None,
    precision: AskedPrecision,
    shots: int,
    seed: int,
    config: Path | None,
    sets: Sequence[str] | None,
    files: Reading = AS_IT_IS,
    *,
    adapt: bool = True,
) -> Request:
    """The request, checked as far as it can be before anything is loaded. Raises BadInput."""
    require_model_options(model)
    settings = read_settings(config, sets or ())
    require_precision(settings.allocation.allocator, precision)
    if settings.compression.channels:
        require_conflicts(settings.allocation.allocator, "channels")
    if settings.compression.depth:
        require_conflicts(settings.allocation.allocator, "depth")
    return Request(
        model=model.name,
        weights=model.weights,
        hf_task=model.hf_task,
        trust_remote_code=model.trust_remote_code,
        task=task,
        runtime=runtime,
        precision=precision,
        allocator=settings.allocation.allocator,
        shots=shots,
        seed=seed,
        recovery_steps=settings.recovery.steps,
        distill=settings.recovery.distill,
        adapt_steps=settings.adaptation.steps,
        max_forgetting=settings.adaptation.max_forgetting,
        spare_classes=settings.adaptation.spare_classes,
        sign=settings.release.sign,
        profile_budget_s=settings.profiling.budget,
        policy=_policy(settings, model.name),
        curve=settings.compression.curve,
        channels=settings.compression.channels,
        depth=settings.compression.depth,
        augment=settings.recovery.augment,
        recovery_rate=settings.recovery.rate,
        reading=replace(files, **dict(settings.task)),
        adapt=adapt,
    )


def reading_of(image_size: str | None, sample_rate: str | None, tokenizer: Path | None) -> Reading:
    """What options say of the task's files; settings say the rest. Raises BadInput."""
    return Reading(
        image_size=quantity("--image-size", image_size, parse_image_size),
        sample_rate_hz=quantity("--sample-rate", sample_rate, parse_sample_rate),
        tokenizer=tokenizer and tokenizer.expanduser(),
    )


def overrides_of(
    latency: str | None,
    memory: str | None,
    size: str | None,
    keep_accuracy: float | None,
    speedup: float | None,
    min_accuracy: str | None = None,
) -> Overrides:
    """Raises BadInput unless each has a sense, and they have one together."""
    if keep_accuracy is not None and not 0 <= keep_accuracy <= 1:  # not: NaN, too
        raise BadInput("is no share", where=f"--keep-accuracy {keep_accuracy:g}", next="Give 0 to 1, e.g. 0.98.")
    if speedup is not None:
        if not 1 <= speedup < math.inf:
            raise BadInput(
                "is no speedup", where=f"--speedup {speedup:g}", next="Give how many times as fast, 1 or more: 1.5."
            )
        for option, other in (("--latency", latency), ("--keep-accuracy", keep_accuracy)):
            if other is not None:
                raise BadInput(
                    "exclude each other: each says how fast", where=f"--speedup and {option}", next="Choose one."
                )
    return Overrides(
        quantity("--latency", latency, parse_milliseconds),
        quantity("--memory", memory, parse_bytes),
        quantity("--size", size, parse_bytes),
        keep_accuracy,
        speedup,
        quantity("--min-accuracy", min_accuracy, parse_share),
    )


def quantity(option: str, text: str | None, parse: Callable[[str], T]) -> T | None:
    """What was given with an option, if anything. Raises BadInput that names it."""
    try:
        return None if text is None else parse(text)
    except BadInput as error:
        raise BadInput(error.what, where=option, next=error.next) from None


def _policy(settings: Settings, model: str) -> Path | None:
    """The policy's file, if there is one to follow; the bundled example's comes with it."""
    allocator, policy = settings.allocation.allocator, settings.allocation.policy
    if policy is not None and allocator != "policy":
        raise BadInput(
            f"a policy has no effect with allocator {allocator}",
            where="allocation.policy",
            next="Give --set allocation.allocator=policy, too, or leave the policy out.",
        )
    if policy is not None and not policy.is_file():
        raise BadInput("there is no such file", where=f"allocation.policy={policy}", next="Name a saved policy's file.")
    return _OF_THE_EXAMPLE if policy is None and allocator == "policy" and model == Request.model else policy
