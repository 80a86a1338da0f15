"""Tolerance: how far a board's outputs may be from the host's, by the precision they are computed in."""

from toolkit.choice import Precision

# As a share of the largest value that the host gives for the same output. Two machines that run one program differ in
# the order of their sums and in the last bit of their functions: of a dot product of n terms by about u sqrt(n) of its
# size, u being half a unit in the last place, and after l such layers by u sqrt(n l).
TOLERANCES: dict[Precision, float] = {
    # u = 2^-24. With 512 channels of 3 x 3 (n = 4608) and 100 layers 4e-5; 5 times that for the worst of many outputs,
    # and 5 times for terms that cancel. Seen between PyTorch and ONNX Runtime, MobileNetV2 included: up to 6e-7.
    "fp32": 1e-3,
    # u = 2^-11, once a layer: sums are kept in more bits, or in blocks. 100 layers give 5e-3, the worst output 2e-2.
    # Seen between fp16 and fp32 of ResNet-56: 9e-4.
    "fp16": 2e-2,
    # Sums of integers are exact, so only values on the edge between two steps differ, and by one step; what a step
    # changes in the layers behind it may add up to a few. An output has 127 steps from zero to its largest. Seen of
    # ResNet-20 between x86-64 and a Cortex-A72: 9e-3, one step.
    "int8": 4 / 127,
}
