"""Gradients in plain operators: the raw backward operators have no export, or a wrong one (nll_loss_backward).

Convolutions are written as convolutions. Poolings by mean, resizing and padding by copies are linear and act on each
axis alone, so their gradient is `A_h^T g A_w` with two small constant matrices. The largest of a window is a scatter.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

_aten = torch.ops.aten

# Whatever is above zero in float32, times this, is above one, but for what is as small as 1e-30.
_STEEP = 2.0**100
# One axis of a linear resampling: a signal (N, 1, length) -> (N, 1, new length).
_AlongAxis = Callable[[torch.Tensor], torch.Tensor]


def decompositions() -> dict[Any, Callable[..., Any]]:
    """What the trace of a gradient replaces, by operator."""
    return {
        **core_aten_decompositions(),
        _aten.convolution_backward.default: _convolution_backward,
        _aten.max_pool2d_with_indices_backward.default: _max_pool2d_backward,
        _aten.adaptive_max_pool2d_backward.default: _adaptive_max_pool2d_backward,
        _aten.avg_pool2d_backward.default: _avg_pool2d_backward,
        _aten._adaptive_avg_pool2d_backward.default: _adaptive_avg_pool2d_backward,
        _aten.upsample_nearest2d_backward.default: _upsample_nearest2d_backward,
        _aten.upsample_bilinear2d_backward.default: _upsample_bilinear2d_backward,
        _aten.replication_pad1d_backward.default: _replication_pad_backward,
        _aten.replication_pad2d_backward.default: _replication_pad_backward,
        _aten.constant_pad_nd.default: _constant_pad,
        _aten.threshold_backward.default: _threshold_backward,
        _aten.hardtanh_backward.default: _hardtanh_backward,
        # What is about to be overwritten (in the gradients of SiLU and Mish) has no export; zeros have.
        _aten.empty_permuted.default: lambda size, order, **_: torch.zeros(size),
    }


def _convolution_backward(  # type: ignore[no-untyped-def]
    gradient, x, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask
):
    """Gradients of a 1-D or 2-D convolution; the weight's only for 1 x 1 kernels, which is what a core is."""
    axes = range(x.dim() - 2)
    grad_x = grad_weight = grad_bias = None
    if mask[0] and transposed:
        grad_x = _aten.convolution(gradient, weight, None, stride, padding, dilation, False, [0 for _ in axes], groups)
        for i in axes:  # output padding can make room for one position more than there was
            grad_x = grad_x.narrow(2 + i, 0, x.shape[2 + i])
    elif mask[0]:
        covered = [
            (gradient.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (weight.shape[2 + i] - 1) + 1
            for i in axes
        ]
        extra = [x.shape[2 + i] - covered[i] for i in axes]
        grad_x = _aten.convolution(gradient, weight, None, stride, padding, dilation, True, extra, groups)
    if mask[1]:
        plain = not transposed and groups == 1 and not any(padding)
        if x.dim() != 4 or tuple(weight.shape[2:]) != (1, 1) or not plain:
            raise NotImplementedError("the weight gradient of a convolution other than 1 x 1")
        seen = x[:, :, :: stride[0], :: stride[1]]
        grad_weight = torch.einsum("nohw,nihw->oi", gradient, seen)[:, :, None, None]
    if mask[2]:
        grad_bias = gradient.sum((0, *(2 + i for i in axes)))
    return grad_x, grad_weight, grad_bias


def _max_pool2d_backward(gradient, x, kernel_size, stride, padding, dilation, ceil_mode, indices):  # type: ignore[no-untyped-def]
    return _adaptive_max_pool2d_backward(gradient, x, indices)


def _adaptive_max_pool2d_backward(gradient: torch.Tensor, x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    flat = torch.zeros_like(x).flatten(-2)
    return flat.scatter_add(-1, indices.flatten(-2), gradient.flatten(-2)).reshape(x.shape)


def _avg_pool2d_backward(  # type: ignore[no-untyped-def]
    gradient, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
):
    def along(i: int) -> _AlongAxis:
        def pool(signal: torch.Tensor) -> torch.Tensor:
            # In two dimensions, as only there the window's sum can be asked for.
            return F.avg_pool2d(
                signal[..., None],
                (_of(kernel_size, i), 1),
                (_of(stride or kernel_size, i), 1),
                (_of(padding, i), 0),
                ceil_mode,
                count_include_pad,
                1 if divisor_override else None,
            )[..., 0]

        return pool

    return _through(gradient, x.shape, along(0), along(1)) / (divisor_override or 1)


def _adaptive_avg_pool2d_backward(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    height, width = gradient.shape[-2:]
    return _through(
        gradient,
        x.shape,
        lambda signal: F.adaptive_avg_pool1d(signal, height),
        lambda signal: F.adaptive_avg_pool1d(signal, width),
    )


def _upsample_nearest2d_backward(gradient, output_size, input_size, scales_h=None, scales_w=None):  # type: ignore[no-untyped-def]
    return _through(
        gradient,
        input_size,
        lambda signal: _aten.upsample_nearest2d(signal[..., None], [output_size[0], 1], scales_h, None)[..., 0],
        lambda signal: _aten.upsample_nearest2d(signal[..., None], [output_size[1], 1], scales_w, None)[..., 0],
    )


def _upsample_bilinear2d_backward(  # type: ignore[no-untyped-def]
    gradient, output_size, input_size, align_corners, scales_h=None, scales_w=None
):
    def along(size: int, scale: float | None) -> _AlongAxis:
        return lambda signal: _aten.upsample_linear1d(signal, [size], align_corners, scale)

    return _through(gradient, input_size, along(output_size[0], scales_h), along(output_size[1], scales_w))


def _replication_pad_backward(gradient: torch.Tensor, x: torch.Tensor, padding: list[int]) -> torch.Tensor:
    axes = [
        lambda signal, first=first, last=last: F.pad(signal, (first, last), mode="replicate")
        for first, last in zip(padding[::2], padding[1::2], strict=True)
    ]
    return _through(gradient, x.shape, axes[1] if len(axes) > 1 else None, axes[0])


def _constant_pad(x: torch.Tensor, padding: list[int], value: float = 0.0) -> torch.Tensor:
    """The gradient of a padding is a padding by less than nothing, which ExecuTorch does not run: cut instead."""
    if min(padding) >= 0:
        return NotImplemented
    for i, (first, last) in enumerate(zip(padding[::2], padding[1::2], strict=True)):
        axis, cut = x.dim() - 1 - i, max(0, -first)
        x = x.narrow(axis, cut, x.shape[axis] - cut - max(0, -last))
    rest = [max(0, each) for each in padding]
    return _aten.constant_pad_nd(x, rest, value) if any(rest) else x


def _threshold_backward(gradient: torch.Tensor, x: torch.Tensor, threshold: float) -> torch.Tensor:
    return gradient * _above(x, threshold)


def _hardtanh_backward(gradient: torch.Tensor, x: torch.Tensor, low: float, high: float) -> torch.Tensor:
    return gradient * _above(x, low) * _above(-x, -high)


def _above(x: torch.Tensor, threshold: float) -> torch.Tensor:
    """1 where it is, 0 where not, by what XNNPACK has: comparisons are plain loops there. `x` is float."""
    return torch.clamp((x - threshold if threshold else x) * _STEEP, 0.0, 1.0)


def _through(
    gradient: torch.Tensor, shape: torch.Size | list[int], height: _AlongAxis | None, width: _AlongAxis
) -> torch.Tensor:
    """The gradient at the input, of `shape`, of what resamples rows by `width` and columns by `height`."""
    gradient = gradient @ _matrix(width, shape[-1])
    if height is not None:
        gradient = _matrix(height, shape[-2]).T @ gradient
    return gradient


def _matrix(resample: _AlongAxis, length: int) -> torch.Tensor:
    """What one axis is multiplied by, (new length, length): a constant of the trace."""
    with disable_proxy_modes_tracing(), torch.no_grad():
        return resample(torch.eye(length)[:, None])[:, 0].T.contiguous()


def _of(pair: list[int] | int, axis: int) -> int:
    """An argument that may be given once for both axes."""
    if isinstance(pair, int):
        return pair
    return pair[axis] if len(pair) > 1 else pair[0]
