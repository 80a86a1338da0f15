#pragma once

#include <cstdint>
#include <vector>

namespace runner {

// Mean cross-entropy of `logits` (N, classes) at the best of 61 temperatures from 0.05 to 50 (Guo et al. 2017).
double best_cross_entropy(const std::vector<double>& logits, const std::vector<std::int64_t>& y, std::int64_t classes);

// Share of the rows whose largest logit is their class's.
double accuracy(const std::vector<double>& logits, const std::vector<std::int64_t>& y, std::int64_t classes);

}  // namespace runner
