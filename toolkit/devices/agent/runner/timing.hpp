// Median, p95 and minimum of single calls.
#pragma once

#include <span>

#include "lines.hpp"
#include "program.hpp"

namespace edge {

// Warm up, then time single calls; times in milliseconds. `spec`: warmups, runs, budget_ms, which bounds the time that
// the program is repeated for: big ones get fewer runs. With `rate_hz` it is also called that often a second, and idle
// between.
//
// `busy_share` is this process's own processor time as a share of the time that passed: below one for a single thread,
// others had the processor meanwhile. `overhead_us` is the median of what a call takes beyond the runtime's own execution.
Json timed(Program& program, std::span<const View> inputs, const Json& spec);

}  // namespace edge
