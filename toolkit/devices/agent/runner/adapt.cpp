// Learn from the support examples on this board, as agent/adapt.py; the examples never leave it.
#include <cstdio>
#include <limits>

#include "facts.hpp"
#include "learning.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace edge {

namespace {

// What its process has taken at once, if that is more than it may, or "".
std::string too_large(const Json& spec) {
  const Json taken = peak_bytes();
  if (!spec.contains("memory_bytes") || spec.at("memory_bytes").is_null() || taken.is_null()) return "";
  const double bytes = taken.get<double>(), most = spec.at("memory_bytes").get<double>();
  char text[128];
  std::snprintf(text, sizeof text, "learning takes %.1f MB of memory, and may take %.1f", bytes / 1e6, most / 1e6);
  return bytes > most ? text : "";
}

}  // namespace

Json adapt(const Json& spec) {
  const bool hurried = spec.contains("seconds") && !spec.at("seconds").is_null();
  const Deadline deadline(hurried ? spec.at("seconds").get<double>() : std::numeric_limits<double>::infinity());
  set_threads(spec);
  const auto steps = spec.at("steps").get<std::int64_t>();
  Learner learner(spec, read_tensors(spec.at("support").get<std::string>()));
  const auto adapted = spec.at("adapted").get<std::string>();
  const Checkpoint checkpoint(unfinished_beside(adapted), learner.key(steps));
  const Outcome outcome = learn(learner, steps, deadline, emit, [&spec] { return too_large(spec); }, checkpoint);
  if (outcome.accepted) write_tensors(adapted, outcome.learned);
  checkpoint.drop();
  Json done = {{"examples", learner.strata().size()},
               {"folds", outcome.folds},
               {"steps", outcome.steps},
               {"method", outcome.method},
               {"accepted", outcome.accepted},
               {"reason", outcome.reason},
               {"held_out", outcome.held_out},
               {"guard", outcome.guard},
               {"trained_values", learner.trained_values()},
               {"step_ms", learner.step_ms()},
               {"peak_bytes", peak_bytes()}};
  done.update(what_ran(learner.programs()));
  return done;
}

}  // namespace edge
