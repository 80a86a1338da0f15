#pragma once

#include "tensors.hpp"

namespace runner {

struct Head {
  Tensor weight;
  Tensor bias;
};

// One prototype a class, as a linear layer (Snell et al. 2017, section 2.4): its argmax is the nearest class mean of
// the features (N, d) of the examples in `rows`; as agent/prototype.py.
Head prototype_head(const Tensor& features, const std::vector<std::int64_t>& y, const std::vector<bool>& rows,
                    std::int64_t classes);

}  // namespace runner
