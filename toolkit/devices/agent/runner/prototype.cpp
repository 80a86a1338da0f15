#include "prototype.hpp"

#include <cmath>

#include "failure.hpp"

namespace runner {

namespace {

// Standard deviation of the logits over the support: sharp enough to learn from, soft enough to keep a gradient.
constexpr double kLogitSpread = 2.0;

using Matrix = std::vector<std::vector<double>>;

Matrix class_means(const Tensor& features, const std::vector<std::int64_t>& y, const std::vector<bool>& rows,
                   std::int64_t classes) {
  const std::int64_t width = features.shape.at(1);
  Matrix means(classes, std::vector<double>(width, 0.0));
  std::vector<std::int64_t> counts(classes, 0);
  for (std::size_t n = 0; n < y.size(); ++n) {
    if (!rows[n]) continue;
    ++counts[y[n]];
    for (std::int64_t j = 0; j < width; ++j) means[y[n]][j] += features.values[n * width + j];
  }
  for (std::int64_t c = 0; c < classes; ++c) {
    if (counts[c] == 0) throw Failure("ValueError", "class " + std::to_string(c) + " has no support example");
    for (double& value : means[c]) value /= static_cast<double>(counts[c]);
  }
  return means;
}

double deviation(const std::vector<double>& values) {
  double sum = 0, squares = 0;
  for (double value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

}  // namespace

Head prototype_head(const Tensor& features, const std::vector<std::int64_t>& y, const std::vector<bool>& rows,
                    std::int64_t classes) {
  const std::int64_t width = features.shape.at(1);
  Matrix weight = class_means(features, y, rows, classes);
  // Distances do not change when both sides move by the centre; numbers stay small.
  std::vector<double> centre(width, 0.0), bias(classes, 0.0), logits;
  for (const auto& mean : weight)
    for (std::int64_t j = 0; j < width; ++j) centre[j] += mean[j] / static_cast<double>(classes);
  for (std::int64_t c = 0; c < classes; ++c)
    for (std::int64_t j = 0; j < width; ++j) {
      const double apart = weight[c][j] - centre[j];
      bias[c] -= apart * apart + 2 * apart * centre[j];
      weight[c][j] = 2 * apart;
    }
  for (std::size_t n = 0; n < y.size(); ++n) {
    if (!rows[n]) continue;
    for (std::int64_t c = 0; c < classes; ++c) {
      double logit = bias[c];
      for (std::int64_t j = 0; j < width; ++j) logit += weight[c][j] * features.values[n * width + j];
      logits.push_back(logit);
    }
  }
  const double spread = deviation(logits), scale = spread > 0 ? kLogitSpread / spread : 1.0;
  Head head{{{classes, width}, {}}, {{classes}, {}}};
  for (std::int64_t c = 0; c < classes; ++c) {
    for (double value : weight[c]) head.weight.values.push_back(static_cast<float>(scale * value));
    head.bias.values.push_back(static_cast<float>(scale * bias[c]));
  }
  return head;
}

}  // namespace runner
