#include "timing.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>
#include <thread>

#include "clock.hpp"
#include "failure.hpp"
#include "percentile.hpp"

namespace edge {

namespace {

constexpr std::int64_t kCallsAtLeast = 10;
constexpr std::int64_t kPacedCalls = 20;
constexpr std::int64_t kPacedCallsAtLeast = 5;
constexpr double kPacedSeconds = 5;

// What all threads of this process have had of the processors so far.
std::int64_t processor_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// Calls at the application's rate: what it sees when clocks and caches go cold in between.
Json paced(Program& program, std::span<const View> inputs, double rate_hz, std::int64_t runs) {
  const auto period = std::chrono::nanoseconds(static_cast<std::int64_t>(1e9 / rate_hz));
  const auto affordable = static_cast<std::int64_t>(kPacedSeconds * rate_hz);
  std::vector<double> times(std::min({runs, kPacedCalls, std::max(kPacedCallsAtLeast, affordable)}));
  auto due = std::chrono::steady_clock::now();
  for (double& time : times) {
    due += period;
    std::this_thread::sleep_until(due);
    const std::int64_t started = now_ns();
    program.call(inputs);
    time = static_cast<double>(now_ns() - started) / 1e6;
  }
  return {{"paced_rate_hz", rate_hz}, {"paced_median_ms", percentile(times, 50)}, {"paced_p95_ms", percentile(times, 95)}};
}

}  // namespace

Json timed(Program& program, std::span<const View> inputs, const Json& spec) {
  const auto warmups = spec.at("warmups").get<std::int64_t>();
  for (std::int64_t i = 0; i < warmups; ++i) program.call(inputs);
  std::int64_t runs = spec.at("runs").get<std::int64_t>();
  if (runs < 1) throw Failure("ValueError", "runs must be one at least");
  if (runs > kCallsAtLeast) {
    const std::int64_t started = now_ns();
    program.call(inputs);
    const double one_ms = static_cast<double>(now_ns() - started) / 1e6;
    const auto affordable = static_cast<std::int64_t>(spec.at("budget_ms").get<double>() / std::max(one_ms, 1e-3));
    runs = std::min(runs, std::max(kCallsAtLeast, affordable));
  }
  std::vector<double> times(runs), busy(runs), overheads(runs);
  for (std::int64_t i = 0; i < runs; ++i) {
    const std::int64_t busy_before = processor_ns();
    const std::int64_t started = now_ns();
    program.call(inputs);
    const std::int64_t taken = now_ns() - started;
    busy[i] = static_cast<double>(processor_ns() - busy_before) / 1e6;
    times[i] = static_cast<double>(taken) / 1e6;
    overheads[i] = static_cast<double>(taken - program.execute_ns()) / 1e3;
  }
  // Of both, the one that a coarse processor clock or a single long pause hurts less.
  const double busy_share =
      std::max(std::accumulate(busy.begin(), busy.end(), 0.0) / std::accumulate(times.begin(), times.end(), 0.0),
               percentile(busy, 50) / percentile(times, 50));
  Json row = {{"median_ms", percentile(times, 50)},
              {"p95_ms", percentile(times, 95)},
              {"min_ms", *std::min_element(times.begin(), times.end())},
              {"runs", runs},
              {"warmups", warmups},
              {"busy_share", busy_share},
              {"overhead_us", percentile(overheads, 50)}};
  if (spec.contains("rate_hz") && !spec["rate_hz"].is_null()) row.update(paced(program, inputs, spec["rate_hz"], runs));
  return row;
}

}  // namespace edge
