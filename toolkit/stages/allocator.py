"""The allocator that the user asked for; one that reads a policy looks at the task and the backbone first."""

from functools import partial

from torch import nn

from toolkit.compression import Allocator, allocator_named
from toolkit.compression.policy import allocate_policy, embed_task, fingerprint, load_policy
from toolkit.errors import BadInput
from toolkit.models import Network, Reader
from toolkit.request import Request
from toolkit.tasks import Task


def choose_allocator(
    request: Request,
    network: Network,
    layers: dict[str, nn.Linear | nn.Conv2d],
    task: Task,
    head: Reader,
) -> Allocator | None:
    """By name; None for `search`, which needs what is learned later. For `policy`: one forward and backward pass of the
    dense backbone over the task's support.

    Raises BadInput if the policy is missing, damaged, or trained for another backbone.
    """
    if request.allocator == "search":
        return None
    if request.allocator != "policy":
        return allocator_named(request.allocator, request.seed)
    if not task.classifies or not isinstance(head, nn.Linear):
        raise BadInput(
            "reads a task's classes, and this one has none",
            where="allocation.allocator=policy",
            next="Choose allocator exact or greedy.",
        )
    if request.policy is None:
        raise BadInput(
            "needs a policy that was trained for this model",
            where="allocation.allocator=policy",
            next="Name its file with --set allocation.policy=FILE, or choose allocator exact.",
        )
    policy, backbone = load_policy(request.policy), fingerprint(layers)
    policy.require_backbone(backbone)
    support, classes = task.support, len(task.classes)
    embedding = embed_task(network.backbone, layers, support, head, classes, seed=request.seed, seen=backbone)
    return partial(allocate_policy, policy=policy, embedding=embedding)
