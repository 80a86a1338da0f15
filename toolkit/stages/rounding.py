"""Stage 4, where layers may leave fp32: what each choice is worth in another precision."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from toolkit.cache import digest
from toolkit.choice import Choice, Precision
from toolkit.compression import GainCurve
from toolkit.distillation.fake_quantise import fake_quantised
from toolkit.distillation.ranges import read_ranges
from toolkit.kept import keep, open_kept
from toolkit.profiling import Arithmetics, Part
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.sources import code_digest
from toolkit.stages.effort import is_large
from toolkit.stages.load import Job
from toolkit.stages.quantise import NEGLIGIBLE, best_ranges, calibration_examples, least_loss
from toolkit.stages.watch import Watch
from toolkit.stages.worth import Worth, true_loss

# Nats an example, of a layer whose numbers are beyond what fp16 has: the network then says nothing.
_ALL = 100.0


def with_rounding(
    job: Job, worth: Worth, parts: Mapping[str, Part], arithmetics: Arithmetics, seed: int, watch: Watch
) -> Worth:
    """`worth` with the gains of choices in the precision besides fp32, if there is one.

    A layer gains in it what it gains in fp32, less the true loss of rounding that layer alone: losses of rounding and
    of removing components are small, and add up. What channels of a group gain, they gain in any precision: the layers
    that the group narrows pay for theirs. Losses are kept one by one.
    """
    others: list[Precision] = [each for each in arithmetics if each != "fp32"]
    if not others:
        return worth
    [precision] = others
    losses = _losses(job, arithmetics, precision, seed, watch)
    gains = dict(worth.gains)
    for name in parts:
        curve = gains.get(name, GainCurve(name, {}, losses.get(name, 0.0)))
        lost = losses.get(name, 0.0)
        rounded = {replace(each, precision=precision): gain - lost for each, gain in curve.by_choice.items()}
        if name in losses:
            rounded[Choice(precision=precision)] = curve.dense - lost
        gains[name] = replace(curve, by_choice={**curve.by_choice, **rounded})
    return replace(worth, gains=gains)


def _losses(job: Job, arithmetics: Arithmetics, precision: Precision, seed: int, watch: Watch) -> dict[str, float]:
    """True loss of the dense network with that layer alone rounded, nats an example.

    Of a large network that loses nothing in that precision no layer is asked alone: each loses an equal share.
    """
    layers = [*job.layers, *job.fixed]
    arithmetic = arithmetics[precision]
    if is_large(job) and (lost := least_loss(job, arithmetic)) <= NEGLIGIBLE:
        return dict.fromkeys(layers, max(0.0, lost) / len(layers))
    whole = Quantisation(arithmetic, calibration_examples(job), best_ranges(job, arithmetic))
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.effort", "toolkit.stages.quantise", "toolkit.stages.worth", __name__)
    kept = open_kept("rounding", digest(job.key, str(arithmetic), whole.ranges, seed, code))
    missing = [name for name in layers if name not in kept.known]
    if missing:
        watch.was_cached = False
        watch.progress.note(f"measuring the true loss of rounding single layers: {len(missing)} to go")
    measure = _measuring(job, whole, seed) if missing else _not_asked
    found = {}
    for done, name in enumerate(layers, start=1):
        others = frozenset(each for each in layers if each != name)
        lost = keep(kept, name, partial(measure, others))
        found[name] = max(0.0, lost) if math.isfinite(lost) else _ALL
        watch.progress.advance(done, len(layers))
    return found


def _measuring(job: Job, whole: Quantisation, seed: int) -> Callable[[frozenset[str]], float]:
    """Layers that stay fp32 -> true loss of the dense network with all others rounded; ranges are read once.

    What shortcuts add up is not rounded: that loss is no single layer's.
    """
    backbone, loss = job.network.backbone, true_loss(job, seed, cut=False)
    layers = {*job.layers, *job.fixed}
    ranges = {name: limits for name, limits in read_ranges(backbone, whole).items() if name in layers}

    def measure(fp32: frozenset[str]) -> float:
        with fake_quantised(backbone, replace(whole, fp32_layers=fp32), ranges):
            return loss(backbone)

    return measure


def _not_asked(fp32: frozenset[str]) -> float:
    raise AssertionError("all losses are known")
