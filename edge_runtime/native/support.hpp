// Examples to learn from, as the programs of a release take them.
#pragma once

#include <span>

#include "state.hpp"
#include "tensors.hpp"

namespace edge {

// `inputs.*`, `targets.*` and `strata`, of which as many are held out in turn. Throws Failure for what does not fit.
Tensors support_of(const State& state, std::span<const edge_tensor> inputs, const edge_tensor& targets);

}  // namespace edge
