#include "percentile.hpp"

#include <algorithm>
#include <cmath>

#include "failure.hpp"

namespace edge {

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) throw Failure("ValueError", "no values to take a percentile of");
  std::sort(values.begin(), values.end());
  const double position = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (position - static_cast<double>(below));
}

}  // namespace edge
