"""What layers take inside a network: less than alone, where a runtime turns layouts at both ends of a program."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from toolkit.choice import Precision
from toolkit.profiling.layer_times import LayerTime

# A network cannot be made of layers that take nothing: so much is left of each, whatever the sums say.
_LEAST = 0.1


def shares_inside(
    alone: Iterable[Mapping[Precision, float]], whole_ms: Mapping[Precision, float], call_ms: float
) -> dict[Precision, float]:
    """Of the time that a layer takes alone beyond a call, the share that it takes inside the network, by precision.

    `alone` has the dense layers, each with its milliseconds in every precision that it is offered in; `whole_ms` has
    the dense network, in other precisions as far as its layers go. What such a network takes besides its layers is not
    known: only layers that take longer together than all of it are charged less, all alike. ONNX Runtime takes a
    MobileNetV2 for 224 x 224 apart into layers of 11.9 ms together, where the whole takes 6.2: each of them turns its
    input into blocks of channels, and its output back.
    """
    layers = list(alone)
    shares: dict[Precision, float] = {
        "fp32": _share(whole_ms["fp32"] - call_ms, [layer["fp32"] - call_ms for layer in layers])
    }
    for precision in whole_ms.keys() - {"fp32"}:
        others_ms = sum(layer["fp32"] - call_ms for layer in layers if precision not in layer)
        left_ms = whole_ms[precision] - call_ms - shares["fp32"] * others_ms
        shares[precision] = _share(left_ms, [layer[precision] - call_ms for layer in layers if precision in layer])
    return shares


def inside(time: LayerTime, share: float, call_ms: float) -> LayerTime:
    """That time less what it has of the layer alone; the call stays, for whoever counts calls."""
    if share == 1:
        return time
    return replace(time, ms=call_ms + share * (time.ms - call_ms), std_ms=share * time.std_ms)


def _share(whole_ms: float, layers_ms: list[float]) -> float:
    together_ms = sum(layers_ms)
    return 1.0 if together_ms <= whole_ms else max(_LEAST, whole_ms / together_ms)
