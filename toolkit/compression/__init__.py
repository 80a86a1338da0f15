"""Compact layers, what their components are worth, and how many of them a budget buys. Knows nothing of devices."""

from toolkit.compression.allocation import Allocation, Allocator, Limits
from toolkit.compression.allocators import ALLOCATORS, allocator_named
from toolkit.compression.baselines import allocate_magnitude, allocate_random, allocate_uniform
from toolkit.compression.calibration import LayerStatistics, calibrate
from toolkit.compression.calibration_set import CalibrationSet, Labelled
from toolkit.compression.channels import (
    ChannelGroup,
    RankedChannels,
    channel_groups,
    rank_channels,
    remove_channels,
)
from toolkit.compression.compress import Spectra, compact_layers, compress, fold_all
from toolkit.compression.compressible import compressible_layers, fixed_layers
from toolkit.compression.costs import Cost, CostTable, Pair
from toolkit.compression.curves import CURVES, Curve
from toolkit.compression.depth import ResidualBlock, Untraceable, residual_blocks
from toolkit.compression.exact import allocate_exact
from toolkit.compression.feasibility import Shortfall, find_shortfall
from toolkit.compression.gains import GainCurve, gain_curve
from toolkit.compression.greedy import allocate_greedy
from toolkit.compression.jactus import jactus_spectrum
from toolkit.compression.layers import (
    CompactConv2d,
    CompactLinear,
    break_even_rank,
    build_compact,
    matrix,
)
from toolkit.compression.neighbours import neighbours
from toolkit.compression.orthonormal import make_bases_orthonormal
from toolkit.compression.prefixes import draw_prefixes, prefixes, random_prefixes
from toolkit.compression.replaceable import replaceable
from toolkit.compression.search import allocate_search
from toolkit.compression.sparsity import sparse_mask
from toolkit.compression.spectrum import Spectrum, best_approximations, components_at, components_of, factors_at
from toolkit.compression.true_loss import choices_to_measure, corrected_gains, measure_losses

__all__ = [
    "ALLOCATORS",
    "CURVES",
    "Allocation",
    "Allocator",
    "CalibrationSet",
    "ChannelGroup",
    "CompactConv2d",
    "CompactLinear",
    "Cost",
    "CostTable",
    "Curve",
    "GainCurve",
    "Labelled",
    "LayerStatistics",
    "Limits",
    "Pair",
    "RankedChannels",
    "ResidualBlock",
    "Shortfall",
    "Spectra",
    "Spectrum",
    "Untraceable",
    "allocate_exact",
    "allocate_greedy",
    "allocate_magnitude",
    "allocate_random",
    "allocate_search",
    "allocate_uniform",
    "allocator_named",
    "best_approximations",
    "break_even_rank",
    "build_compact",
    "calibrate",
    "channel_groups",
    "choices_to_measure",
    "compact_layers",
    "components_at",
    "components_of",
    "compress",
    "compressible_layers",
    "corrected_gains",
    "draw_prefixes",
    "factors_at",
    "find_shortfall",
    "fixed_layers",
    "fold_all",
    "gain_curve",
    "jactus_spectrum",
    "make_bases_orthonormal",
    "matrix",
    "measure_losses",
    "neighbours",
    "prefixes",
    "random_prefixes",
    "rank_channels",
    "remove_channels",
    "replaceable",
    "residual_blocks",
    "sparse_mask",
]
