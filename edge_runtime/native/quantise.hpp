// What fills an int8 hole: the same bits as edge_runtime/quantise.py.
#pragma once

#include <cstdint>
#include <vector>

#include "tensors.hpp"

namespace edge {

// Whole numbers of -127..127 in the order of the weight, and a step for each of its output channels, its first axis.
struct Quantised {
  std::vector<std::int8_t> steps;
  std::vector<float> scales;
};

// Throws Failure if a value is not finite.
Quantised quantised(const Tensor& weight);

}  // namespace edge
