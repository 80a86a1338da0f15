"""Networks with skip connections, as people write them. Each says which of its branches can go."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.models.resnet import ResNet
from toolkit.examples.digits import DigitsViT


@dataclass(frozen=True)
class Residual:
    """A network in eval mode, two inputs, and the first layers of what can go and of what only seems so."""

    model: nn.Module
    x: torch.Tensor
    offered: tuple[str, ...]
    failed: tuple[str, ...] = ()


class Bottleneck(nn.Module):
    """ResNet's as torchvision writes it: added in place, one activation at three places."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv3, self.bn3 = nn.Conv2d(4, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        identity = x
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.relu(out)


class Inverted(nn.Module):
    """MobileNetV2's: expand, filter, project; no skip where the stride is 2."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Sequential(
            nn.Conv2d(channels, 24, 1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(inplace=True),
            nn.Conv2d(24, 24, 3, stride, 1, groups=24, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU6(inplace=True),
            nn.Conv2d(24, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.stride == 1 else self.conv(x)


class DropPath(nn.Module):
    """Stochastic depth: a skipped branch an example, in training only."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand(x.shape[0], *[1] * (x.dim() - 1)) > 0.1) if self.training else x


class ConvNeXt(nn.Module):
    """Channels last inside, a scale a channel, permuted back before it is added."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.LayerNorm(8)
        self.expand, self.project = nn.Linear(8, 16), nn.Linear(16, 8)
        self.gamma, self.drop = nn.Parameter(torch.zeros(8)), DropPath()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.project(F.gelu(self.expand(y)))
        return x + self.drop(y.permute(0, 3, 1, 2))


class Attending(nn.Module):
    """nn.MultiheadAttention, whose answer is a tuple; then a gated perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm2, self.gate, self.up, self.down = nn.LayerNorm(8), *(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        attended, _ = self.attention(y, y, y, need_weights=False)
        x = x + attended
        y = self.norm2(x)
        return x + 0.5 * self.down(F.silu(self.gate(y)) * self.up(y))


class PostNorm(nn.Module):
    """BERT's output: the norm of the sum stays."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.dense, self.dropout, self.norm = (
            nn.Linear(8, 16),
            nn.Linear(16, 8),
            nn.Dropout(),
            nn.LayerNorm(8),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.dropout(self.dense(F.gelu(self.wide(x)))) + x)


class Parallel(nn.Module):
    """Two branches from one norm."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.left, self.right = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        return x + self.left(y) + self.right(y)


class Excited(nn.Module):
    """Squeeze and excitation in the branch; a shared convolution weight in a second one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.squeeze, self.excite = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return x + y * self.excite(F.relu(self.squeeze(y.mean((2, 3), keepdim=True)))).sigmoid()


class Adds(nn.Module):
    """`x + tail(layer(x))`, and what else a function makes of it."""

    def __init__(self, forward: Callable[["Adds", torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.other, self.how = nn.Linear(8, 8), nn.Linear(8, 8), forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.how(self, x)


class _Pooled(nn.Module):
    """A stem, blocks, and a mean over places or tokens."""

    def __init__(self, stem: nn.Module, *blocks: nn.Module) -> None:
        super().__init__()
        self.stem, self.blocks = stem, nn.Sequential(*blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.stem(x))
        return x.mean((2, 3)) if x.dim() == 4 else x.mean(1)


def _images(*blocks: nn.Module) -> tuple[nn.Module, torch.Tensor]:
    return _Pooled(nn.Conv2d(3, 8, 3, padding=1), *blocks), torch.randn(2, 3, 8, 8)


def _tokens(*blocks: nn.Module) -> tuple[nn.Module, torch.Tensor]:
    return _Pooled(nn.Linear(6, 8), *blocks), torch.randn(2, 5, 6)


def resnet() -> Residual:
    names = ("layer1.0", "layer1.1", "layer2.1", "layer3.1")  # the first of later stages pads its shortcut
    return Residual(ResNet(2), torch.randn(2, 3, 32, 32), tuple(f"{name}.conv1" for name in names))


def bottleneck() -> Residual:
    blocks = Bottleneck(8, 12), Bottleneck(12, 12), Bottleneck(12, 12)
    return Residual(*_images(*blocks), ("blocks.1.conv1", "blocks.2.conv1"))


def mobilenet() -> Residual:
    return Residual(*_images(Inverted(8, 1), Inverted(8, 2), Inverted(8, 1)), ("blocks.0.conv.0", "blocks.2.conv.0"))


def convnext() -> Residual:
    return Residual(*_images(ConvNeXt(), ConvNeXt()), ("blocks.0.depthwise", "blocks.1.depthwise"))


def excited() -> Residual:
    return Residual(*_images(Excited()), ("blocks.0.conv",))


def digits() -> Residual:
    names = [f"blocks.{block}.{layer}" for block in (0, 1) for layer in ("qkv", "fc1")]
    return Residual(DigitsViT(width=8, depth=2, heads=2), torch.randn(2, 1, 8, 8), tuple(names))


def attending() -> Residual:
    return Residual(*_tokens(Attending()), ("blocks.0.norm1", "blocks.0.gate"))  # attention calls no layer


def encoder() -> Residual:
    """torch's own, the norm before in one and after in another."""
    layers = [
        nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=before, activation="gelu")
        for before in (True, False)
    ]
    names = ("blocks.0.norm1", "blocks.0.linear1", "blocks.1.self_attn", "blocks.1.linear1")
    return Residual(*_tokens(*layers), names)


def torch_encoder() -> Residual:
    """Its first layer's attention is asked how it was made."""
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    names = [f"blocks.0.layers.{index}.{branch}" for index in (0, 1) for branch in ("self_attn", "linear1")]
    return Residual(*_tokens(nn.TransformerEncoder(layer, 2)), tuple(names))


def post_norm() -> Residual:
    return Residual(*_tokens(PostNorm(), PostNorm()), ("blocks.0.wide", "blocks.1.wide"))


def parallel() -> Residual:
    return Residual(*_tokens(Parallel()), ("blocks.0.left", "blocks.0.right"))


def nested() -> Residual:
    """The inner branches go; the outer holds them."""

    def forward(self: Adds, x: torch.Tensor) -> torch.Tensor:
        y = x + self.layer(x)
        return x + torch.tanh(y + self.other(y))

    return Residual(*_tokens(Adds(forward)), ("blocks.0.layer", "blocks.0.other"))


def sliced() -> Residual:
    """Layers that are called as parts of their containers."""

    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.listed = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
            self.chain = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.listed[1:]:
                x = x + layer(x)
            return x + self.chain[2:](self.chain[:2](x))

    return Residual(*_tokens(Sliced()), ("blocks.0.listed.1", "blocks.0.listed.2", "blocks.0.chain.0"))


def scaled_sum() -> Residual:
    return Residual(*_tokens(Adds(lambda self, x: torch.add(x, self.layer(x), alpha=2))), ())


def concatenated() -> Residual:
    return Residual(*_tokens(Adds(lambda self, x: torch.cat([x, self.layer(x)], -1))), ())


def twice() -> Residual:
    """One block at two places."""

    def forward(self: Adds, x: torch.Tensor) -> torch.Tensor:
        x = x + self.layer(x)
        return x + self.layer(x)

    return Residual(*_tokens(Adds(forward)), ())


def tied() -> Residual:
    """Two blocks with one weight: it stays while one of them does."""
    model, x = _tokens(Adds(lambda self, x: x + self.layer(x)), Adds(lambda self, x: x + self.layer(x)))
    model.get_submodule("blocks.1.layer").weight = model.get_submodule("blocks.0.layer").weight
    return Residual(model, x, ())


def read_elsewhere() -> Residual:
    def forward(self: Adds, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return (x + y) * self.other(y)

    return Residual(*_tokens(Adds(forward)), ())


def read_midway() -> Residual:
    """What follows the place where it is read can go, and what comes before stays."""

    def forward(self: Adds, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        return (x + self.other(y)) * y

    return Residual(*_tokens(Adds(forward)), ("blocks.0.other",))


def gated() -> Residual:
    """Zero for the branch is not zero for its layer."""
    return Residual(*_tokens(Adds(lambda self, x: x + self.layer(x).sigmoid())), ("blocks.0.layer",))


def half_of_modules() -> Residual:
    """A part of the branch is no module's."""
    adds = Adds(lambda self, x: x + (self.layer(x) + x.mean(1, keepdim=True)))
    return Residual(*_tokens(adds), (), ("blocks.0.layer",))


def reads_a_weight() -> Residual:
    model, x = _tokens(Adds(lambda self, x: x + self.layer(x.to(self.layer.weight.dtype))))
    return Residual(model, x, (), ("blocks.0.layer",))


def always_random() -> Residual:
    model, x = _tokens(Adds(lambda self, x: F.dropout(x, 0.5) + self.layer(x)), Adds(lambda self, x: x + self.layer(x)))
    return Residual(model, x, (), ("blocks.1.layer",))


NETWORKS = {
    each.__name__: each
    for each in (
        resnet,
        bottleneck,
        mobilenet,
        convnext,
        excited,
        digits,
        attending,
        encoder,
        torch_encoder,
        post_norm,
        parallel,
        nested,
        sliced,
        scaled_sum,
        concatenated,
        twice,
        tied,
        read_elsewhere,
        read_midway,
        gated,
        half_of_modules,
        reads_a_weight,
        always_random,
    )
}


def build(name: str) -> Residual:
    """The network in eval mode, with BatchNorm statistics that do something."""
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for module in network.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    network.model.eval()
    return network
