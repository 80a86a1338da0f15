#include "quantise.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "failure.hpp"

namespace edge {

namespace {

constexpr float kMostSteps = 127;

}  // namespace

Quantised quantised(const Tensor& weight) {
  const auto channels = static_cast<std::size_t>(weight.shape.at(0));
  const std::size_t width = channels > 0 ? weight.values.size() / channels : 0;
  Quantised result{std::vector<std::int8_t>(weight.values.size()), std::vector<float>(channels)};
  for (std::size_t channel = 0; channel < channels; ++channel) {
    const float* values = weight.values.data() + channel * width;
    float largest = 0;
    for (std::size_t i = 0; i < width; ++i) {
      if (!std::isfinite(values[i])) throw Failure("ValueError", "an int8 hole is to be filled with what is no number");
      largest = std::max(largest, std::fabs(values[i]));
    }
    const float scale = std::max(largest / kMostSteps, std::numeric_limits<float>::min());
    result.scales[channel] = scale;
    for (std::size_t i = 0; i < width; ++i)  // nearbyint: a half goes to the even number
      result.steps[channel * width + i] =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(values[i] / scale), -kMostSteps, kMostSteps));
  }
  return result;
}

}  // namespace edge
