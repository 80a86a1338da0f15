#include "timing.hpp"

#include <algorithm>
#include <cmath>

#include "clock.hpp"
#include "failure.hpp"

namespace runner {

namespace {

constexpr std::int64_t kCallsAtLeast = 10;

}  // namespace

double percentile(std::vector<double> values, double percent) {
  if (values.empty()) throw Failure("ValueError", "no values to take a percentile of");
  std::sort(values.begin(), values.end());
  const double position = percent / 100 * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (position - static_cast<double>(below));
}

Json timed(Program& program, std::span<const View> inputs, const Json& spec) {
  const auto warmups = spec.at("warmups").get<std::int64_t>();
  for (std::int64_t i = 0; i < warmups; ++i) program.call(inputs);
  std::int64_t started = now_ns();
  program.call(inputs);
  const double one_ms = static_cast<double>(now_ns() - started) / 1e6;
  const auto affordable = static_cast<std::int64_t>(spec.at("budget_ms").get<double>() / std::max(one_ms, 1e-3));
  const std::int64_t runs = std::max(kCallsAtLeast, std::min(spec.at("runs").get<std::int64_t>(), affordable));
  std::vector<double> times(runs), overheads(runs);
  for (std::int64_t i = 0; i < runs; ++i) {
    started = now_ns();
    program.call(inputs);
    const std::int64_t taken = now_ns() - started;
    times[i] = static_cast<double>(taken) / 1e6;
    overheads[i] = static_cast<double>(taken - program.execute_ns()) / 1e3;
  }
  return {{"median_ms", percentile(times, 50)},
          {"p95_ms", percentile(times, 95)},
          {"min_ms", *std::min_element(times.begin(), times.end())},
          {"runs", runs},
          {"warmups", warmups},
          {"overhead_us", percentile(overheads, 50)}};
}

}  // namespace runner
