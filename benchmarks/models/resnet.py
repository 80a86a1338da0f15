"""The CIFAR ResNets (He et al. 2016, section 4.2: option-A shortcuts) with given weights, on CIFAR-10 JPEGs."""

import copy
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

from benchmarks.models.data import data_file, load_arrays
from toolkit.tasks import Examples, Task, split_support

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_GENERAL, _GENERAL_QUERY, _QUERY, _HELD_OUT = 2000, 2000, 2000, 1000
_JUDGED = 2000


class Block(nn.Module):
    """Two 3 x 3 convolutions around a shortcut that subsamples and pads channels with zeros: no weights in it."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.pad = stride, (outputs - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, inputs, H, W) -> (N, outputs, H / stride, W / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class ResNet(nn.Module):
    """(N, 3, 32, 32) -> (N, 10)."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = self._stage(16, 16, blocks, 1)
        self.layer2 = self._stage(16, 32, blocks, 2)
        self.layer3 = self._stage(32, 64, blocks, 2)
        self.linear = nn.Linear(64, 10)

    @staticmethod
    def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
        first = Block(inputs, outputs, stride)
        return nn.Sequential(first, *[Block(outputs, outputs, 1) for _ in range(blocks - 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


def resnet20() -> ResNet:
    """ResNet-20, 87.76 % on the 10,000 JPEG test images."""
    return _load(3, "resnet20_cifar10.safetensors")


def resnet56() -> ResNet:
    """ResNet-56, 89.05 % on the 10,000 JPEG test images."""
    return _load(9, "resnet56_cifar10.safetensors")


def task(shots: int = 5, seed: int = 0) -> Task:
    """The ten classes from `shots` examples each; the general data have the same classes: the head is kept."""
    arrays = _arrays()
    train, test = arrays["train_labels"].astype(np.int64), arrays["test_labels"].astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(test))
    ours, theirs = order[:_GENERAL_QUERY], order[_GENERAL_QUERY : _GENERAL_QUERY + _QUERY]
    shuffled = np.random.default_rng(0).permutation(len(train))  # the file is sorted by class
    general, held_out = shuffled[:_GENERAL], shuffled[-_HELD_OUT:]
    support, _ = split_support(
        normalise(arrays["train_images"][held_out]), train[held_out], shots=shots, seed=seed, where="CIFAR-10"
    )
    return Task(
        "CIFAR-10",
        CLASSES,
        support,
        _examples(arrays["test_images"][theirs], test[theirs]),
        _examples(arrays["train_images"][general], train[general]),
        _examples(arrays["test_images"][ours], test[ours]),
    )


def task_of_all(shots: int = 5, seed: int = 0) -> Task:
    """The same ten classes with all training images: 17,000 to learn from, 2,000 to judge by, shots of the rest.

    No choice sees a test image; the queries are some.
    """
    arrays = _arrays()
    images, labels, test = arrays["train_images"], arrays["train_labels"].astype(np.int64), arrays["test_labels"]
    shuffled = np.random.default_rng(0).permutation(len(labels))
    general, judged, held_out = np.split(shuffled, [-_JUDGED - _HELD_OUT, -_HELD_OUT])
    queries = np.random.default_rng(seed).permutation(len(test))[:_QUERY]
    support, _ = split_support(normalise(images[held_out]), labels[held_out], shots=shots, seed=seed, where="CIFAR-10")
    return Task(
        "CIFAR-10, all training images",
        CLASSES,
        support,
        _examples(arrays["test_images"][queries], test[queries].astype(np.int64)),
        _examples(images[general], labels[general]),
        _examples(images[judged], labels[judged]),
    )


def normalise(images: np.ndarray) -> np.ndarray:
    """(N, 32, 32, 3) bytes -> (N, 3, 32, 32) float32 as the weights expect them."""
    scaled = (images / np.float32(255) - np.float32(_MEAN)) / np.float32(_STD)
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))


def _examples(images: np.ndarray, labels: np.ndarray) -> Examples:
    return Examples(torch.from_numpy(normalise(images)), torch.from_numpy(labels))


def _load(blocks: int, name: str) -> ResNet:
    network = ResNet(blocks)
    network.load_state_dict(load_file(data_file(name)), strict=False)
    return network.eval()


@cache
def _arrays() -> dict[str, np.ndarray]:
    return load_arrays("cifar10_jpeg.npz")


class Convolved(nn.Module):
    """The same block with its shortcut as a 1 x 1 convolution, which a graph of coupled channels can follow."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv1, self.bn1, self.conv2, self.bn2 = block.conv1, block.bn1, block.conv2, block.bn2
        inputs, outputs = block.conv1.in_channels, block.conv2.out_channels
        self.shortcut = nn.Conv2d(inputs, outputs, 1, block.stride, bias=False)
        with torch.no_grad():
            self.shortcut.weight.zero_()
            self.shortcut.weight[block.pad : block.pad + inputs, :, 0, 0] = torch.eye(inputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `Block.forward`."""
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


def with_convolved_shortcuts(network: ResNet) -> ResNet:
    """A copy that computes the same: where a shortcut pads channels, it is a convolution that selects them."""
    convolved = copy.deepcopy(network)
    for stage in (convolved.layer1, convolved.layer2, convolved.layer3):
        for index, block in enumerate(stage):
            if block.pad:
                stage[index] = Convolved(block)
    return convolved
