#include "score.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace runner {

namespace {

constexpr int kTemperatures = 61;
constexpr double kColdest = 0.05, kHottest = 50;

double cross_entropy(const std::vector<double>& logits, const std::vector<std::int64_t>& y, std::int64_t classes,
                     double temperature) {
  double total = 0;
  for (std::size_t n = 0; n < y.size(); ++n) {
    const double* row = logits.data() + n * classes;
    const double most = *std::max_element(row, row + classes);
    double sum = 0;
    for (std::int64_t c = 0; c < classes; ++c) sum += std::exp((row[c] - most) / temperature);
    total += std::log(sum) - (row[y[n]] - most) / temperature;
  }
  return total / static_cast<double>(y.size());
}

}  // namespace

double best_cross_entropy(const std::vector<double>& logits, const std::vector<std::int64_t>& y, std::int64_t classes) {
  for (double logit : logits)
    if (!std::isfinite(logit)) return std::numeric_limits<double>::quiet_NaN();
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kTemperatures; ++i) {
    const double temperature = kColdest * std::pow(kHottest / kColdest, i / double{kTemperatures - 1});
    best = std::min(best, cross_entropy(logits, y, classes, temperature));
  }
  return best;
}

double accuracy(const std::vector<double>& logits, const std::vector<std::int64_t>& y, std::int64_t classes) {
  std::int64_t right = 0;
  for (std::size_t n = 0; n < y.size(); ++n) {
    const double* row = logits.data() + n * classes;
    right += std::max_element(row, row + classes) - row == y[n];
  }
  return static_cast<double>(right) / static_cast<double>(y.size());
}

}  // namespace runner
