"""A user's model as the other stages see it: tried, rewritten, its head apart, with the layers that may be compact."""

from dataclasses import dataclass

from torch import nn

from toolkit.calls import fit_to_inputs
from toolkit.compression import compressible_layers, replaceable
from toolkit.inputs import Inputs
from toolkit.models import Network, require_answers, spare_input, split_head
from toolkit.rewrites import rewrite
from toolkit.surroundings import call_by_position

# Examples that a model is tried with before anything is made of it.
TRIED = 4


@dataclass(frozen=True)
class Apart:
    """`model` is the whole; `layers`, by name, are those of the network's backbone that may become compact.

    `notes` say what was made of a model that is called or answers otherwise than most.
    """

    model: nn.Module
    network: Network
    layers: dict[str, nn.Linear | nn.Conv2d]
    notes: tuple[str, ...] = ()


def take_apart(model: nn.Module, x: Inputs, *, vectors: bool = True) -> Apart:
    """Of a plain model and inputs; the first few are enough.

    Raises BadInput if it takes none, or gives no tensor: where `vectors`, one vector an example.
    """
    example, tried = x[:1], x[:TRIED]
    fitted = fit_to_inputs(model, example)
    model = rewrite(spare_input(fitted.model, example), tried)
    require_answers(model, tried)
    network = split_head(model, example, vectors=vectors)
    call_by_position(network.backbone, example)
    layers = compressible_layers(network.backbone, example)
    return Apart(model, network, replaceable(network.backbone, layers, tried), fitted.notes)
