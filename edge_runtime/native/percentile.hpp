#pragma once

#include <vector>

namespace edge {

// The value below which `percent` of them lie, between two neighbours in proportion. Throws Failure without any.
double percentile(std::vector<double> values, double percent);

}  // namespace edge
