"""Stage 0: the dense model and the task, checked against each other before anything is touched."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn

from toolkit.adaptation import features_of, head_start, task_head
from toolkit.adaptation.heads import HeadStart
from toolkit.cache import digest
from toolkit.compression import (
    Allocator,
    ChannelGroup,
    ResidualBlock,
    fixed_layers,
)
from toolkit.compression.dual import without_general_data
from toolkit.devices.install_agent import require_tools
from toolkit.errors import BadInput
from toolkit.inputs import Inputs
from toolkit.models import Network, Reader
from toolkit.objectives import Objective
from toolkit.origins import identity, load_model
from toolkit.origins.usual_reading import usual_reading
from toolkit.profiling.anatomy import code_of
from toolkit.request import AskedPrecision, Request, require_conflicts
from toolkit.runtimes import RUNTIMES, Runtime
from toolkit.stages.allocator import choose_allocator
from toolkit.stages.choose_runtime import asked_runtimes
from toolkit.stages.removable import find_blocks, find_groups, removable
from toolkit.stages.take_apart import TRIED, take_apart
from toolkit.stages.watch import Watch
from toolkit.targets import Target
from toolkit.tasks import Task, load_task
from toolkit.tasks.doubts import doubts

# Examples that the dense model is scored on at once, and a score of what it was not trained for.
_SCORED, _KNOWS_NOTHING = 64, 0.01


@dataclass(frozen=True)
class Job:
    """A dense network and the task for it, and what chooses ranks. `dense_head` reads the task's classes.

    `groups` are the channels that may be removed and `blocks` the residual blocks, by the name of the choice; none
    unless they were asked for. `fixed` are the layers that are never compact, of which precision alone is chosen;
    `precision` is what the user asked for.
    """

    network: Network
    task: Task
    layers: dict[str, nn.Linear | nn.Conv2d]
    start: HeadStart
    dense_head: Reader
    allocator: Allocator | None
    runtime: Runtime
    key: str
    groups: dict[str, ChannelGroup] = field(default_factory=dict)
    blocks: dict[str, ResidualBlock] = field(default_factory=dict)
    fixed: dict[str, nn.Linear | nn.Conv2d] = field(default_factory=dict)
    precision: AskedPrecision = "fp32"

    @cached_property
    def example(self) -> Inputs:
        """The inputs of one example; always the same object, by which graphs are known again."""
        return self.task.support.x[:1]

    @property
    def objective(self) -> Objective:
        """What the task wants of outputs."""
        return self.task.objective

    def general_logits(self, features: torch.Tensor) -> torch.Tensor:
        """Outputs of the network's own head, of a classifier logits over the general classes."""
        return self.network.head(features) if self.network.head is not None else features


def load(request: Request, target: Target, watch: Watch, *, offline: bool = False) -> Job:
    """Build and check model and task. Raises BadInput, unless `offline` also for a compiler that is missing."""
    runtime = RUNTIMES[asked_runtimes(request, target)[0]]
    offered = request.offered
    if offered.channels:
        require_conflicts(request.allocator, "channels")
    if offered.depth:
        require_conflicts(request.allocator, "depth")
    with watch.stage("load"):
        torch.manual_seed(request.seed)
        runtime.check()
        if not offline:
            require_tools(target, runtime.agent)
        task = load_task(
            request.task,
            shots=request.shots,
            seed=request.seed,
            reading=request.reading,
            usual=usual_reading(request.model),
            on_note=watch.note,
        )
        _check_images(request, task)
        if request.curve == "dual" and task.general is None:  # said before anything is measured
            raise without_general_data()
        model = load_model(request.named_model, watch.progress.advance, watch.note)
        apart = take_apart(model, task.support.x, vectors=task.classifies)
        model, network, layers = apart.model, apart.network, apart.layers
        for note in apart.notes:
            watch.note(note)
        _tell_what_is_odd(task, network, watch)
        _tell_dense(network.backbone, layers, watch)
        _check_targets(task, network, watch)
        start = head_start(network, task)
        dense_head = task_head(start, network, network.backbone, task)
        state = [value.numpy().tobytes() for value in model.state_dict().values()]
        parts = [part for part in (task.support, task.general, task.general_query) if part is not None]
        data = [value for part in parts for value in part.content]
        return Job(
            network=network,
            task=task,
            layers=layers,
            start=start,
            dense_head=dense_head,
            allocator=choose_allocator(request, network, layers, task, dense_head),
            runtime=runtime,
            key=digest(
                *state,
                *data,
                task.classes,
                str(task.objective),
                start,
                repr(model),
                code_of(model),
                identity(request.model),
            ),
            groups=removable(find_groups, request.channels, network.backbone, task.support.x[:1], watch)
            if offered.channels
            else {},
            blocks=removable(find_blocks, request.depth, network.backbone, task.support.x[:1], watch)
            if offered.depth
            else {},
            fixed=fixed_layers(network.backbone, task.support.x[:1])
            if offered.depth or offered.precision != "fp32"
            else {},
            precision=offered.precision,
        )


@torch.no_grad()
def _tell_what_is_odd(task: Task, network: Network, watch: Watch) -> None:
    """What nobody means, and nothing refuses."""
    for doubt in doubts(task.support, task.classes if task.classifies else (), "support examples"):
        watch.note(doubt)
    x = task.support.x
    if network.head is None and task.classifies:
        outputs = network.backbone(*x[:TRIED])
        are_probabilities = bool((outputs >= 0).all()) and torch.allclose(outputs.sum(1), torch.ones(len(outputs)))
        ends = "ends in a softmax (leave it out: logits are wanted)" if are_probabilities else "ends in no nn.Linear"
        watch.note(f"the model {ends}: its {network.feature_size} outputs are features, which a new head reads")


def _check_images(request: Request, task: Task) -> None:
    moved = [name for name in request.augment or () if name != "noise"]
    if moved and not task.support.x.images():
        raise BadInput(
            f"{' and '.join(moved)} {'needs' if len(moved) == 1 else 'need'} images (N, C, H, W); "
            f"inputs of {task.name} are {_shapes(task)}",
            where="recovery.augment",
            next="Leave it out, or give noise.",
        )


def _shapes(task: Task) -> str:
    return " and ".join(f"(N, {', '.join(map(str, port.shape))})" for port in task.support.x.ports)


def _tell_dense(backbone: nn.Module, layers: dict[str, nn.Linear | nn.Conv2d], watch: Watch) -> None:
    """Whoever wonders why a layer is not in the allocation finds it here."""
    kinds: Counter[str] = Counter()
    for name, module in backbone.named_modules():
        own = dict(module.named_parameters(recurse=False))
        if name not in layers and any("weight" in key and value.dim() > 1 for key, value in own.items()):
            kinds[type(module).__name__] += 1
    if kinds:
        watch.note(
            f"dense in any case: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}. Linear layers, "
            "convolutions (groups=1) and attention can become compact, if each runs as a module, without hooks, and "
            "has a weight of its own"
        )


@torch.no_grad()
def _check_targets(task: Task, network: Network, watch: Watch) -> None:
    """Of general data they are of the network's own outputs; of a task only where no new head is made for it.

    Where the dense model knows nothing of what it is asked, its outputs may mean something else: the user hears of it.
    """
    outputs = features_of(network.backbone, task.support.x[:_SCORED])
    outputs = outputs if network.head is None else network.head(outputs)
    parts = {"general": task.general, "general_query": task.general_query}
    if not task.classifies:
        parts |= {"support": task.support, "query": task.query}
    for name, part in parts.items():
        if part is not None and (wrong := task.objective.wrong_with(outputs.shape, part.y)):
            raise BadInput(
                f"{name} does not go with the model: {wrong}", where=f"task {task.name}", next=_NEXT[task.classifies]
            )
    if not task.classifies:
        score = float(task.objective.score(outputs, task.support.y[:_SCORED]).mean())
        if score < _KNOWS_NOTHING:
            watch.note(
                f"{task.objective.measure} of the dense model is {score:.1%} on what is to be learned from: if it was "
                "trained for such tasks, look at the order of its classes, and at what its outputs are measured in"
            )


_NEXT = {
    True: "General labels must index the model's own outputs.",
    False: "Give the targets the shape of the model's outputs, or the task another objective.",
}
