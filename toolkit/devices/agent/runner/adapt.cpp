// Learn from the support examples on this board, as agent/adapt.py; the examples never leave it.
#include <limits>

#include "facts.hpp"
#include "learning.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace edge {

Json adapt(const Json& spec) {
  const bool hurried = spec.contains("seconds") && !spec.at("seconds").is_null();
  const Deadline deadline(hurried ? spec.at("seconds").get<double>() : std::numeric_limits<double>::infinity());
  set_threads(spec);
  const auto steps = spec.at("steps").get<std::int64_t>();
  Learner learner(spec, read_tensors(spec.at("support").get<std::string>()));
  const Outcome outcome = learn(learner, steps, deadline, emit);
  if (outcome.accepted) write_tensors(spec.at("adapted").get<std::string>(), outcome.learned);
  Json done = {{"examples", learner.strata().size()},
               {"folds", outcome.folds},
               {"steps", outcome.steps},
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
