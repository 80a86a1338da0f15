"""A network that has learned the three blobs, and tasks of them with general data."""

# The module `my_package.learned` of a workplace.
LEARNED = """
from dataclasses import replace

import torch
from torch import nn

from my_package.small import model as untrained, task as blobs
from toolkit.tasks import Examples

def model():
    network, seen = untrained(), blobs(40, 1).support
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(*seen.x), seen.y).backward()
        optimiser.step()
    return network.eval()

def of_three():
    *layers, head = model()
    own = nn.Linear(32, 3)
    with torch.no_grad():
        own.weight.copy_(head.weight[:3])
        own.bias.copy_(head.bias[:3])
    return nn.Sequential(*layers, own).eval()

def task(shots, seed):
    general = blobs(200, 2).support
    return replace(blobs(shots, seed), general=general, general_query=blobs(60, 3).support)

def wild(shots, seed):
    found = task(shots, seed)
    x = found.general.x.tensors["x"].clone()
    x[::25] = 1e6
    x[1::50] = -1e6
    return replace(found, general=Examples(x, found.general.y))

def constant(shots, seed):
    found = task(shots, seed)
    grey = [Examples(torch.full_like(each.x.tensors["x"], 0.5), each.y) for each in (found.support, found.general)]
    return replace(found, support=grey[0], general=grey[1])

def broken(shots, seed):
    found = task(shots, seed)
    x = found.general.x.tensors["x"].clone()
    x[7] = float("nan")
    return replace(found, general=Examples(x, found.general.y))
"""
