// Learn from examples: programs that were exported with a release move cores and head, nothing else.
//
// Examples held out in turn decide after how many steps it is best, and whether that is accepted; the final cores are
// then trained on all of them, for as many.
#pragma once

#include <functional>
#include <string>

#include "checkpoint.hpp"
#include "learner.hpp"

namespace edge {

// When learning has to have ended, from now on; an infinite number of seconds is no hurry.
class Deadline {
 public:
  explicit Deadline(double seconds);
  // Below 0: it is over.
  double left_s() const;
  // For what something else has to come after, which takes so long.
  Deadline sooner(double seconds) const;

 private:
  double until_ns_;
};

// `learned` is empty unless `accepted`. `held_out` is null where nothing could be held out, `guard` where the release
// carries no examples of what its network knew before.
struct Outcome {
  int folds = 0;
  std::int64_t steps = 0;
  bool accepted = false;
  std::string reason, method;
  Json held_out, guard;
  NamedTensors learned;
};

// Hears `folds`, `curve` (step, held-out loss and score) and `step` (training loss of the final run).
using Heard = std::function<void(const std::string& event, const Json& fields)>;

// Says, after the first steps and at the end, what keeps it from learning, or "".
using Hinders = std::function<std::string()>;

// It takes fewer steps where the deadline leaves no time for more, or more would forget too much, and keeps nothing
// after it. What was cut off goes on where its checkpoint was written, which is
// the caller's to drop, once he holds the outcome.
Outcome learn(Learner& learner, std::int64_t steps, const Deadline& deadline, const Heard& heard,
              const Hinders& hinders = [] { return std::string(); }, Checkpoint checkpoint = {});

}  // namespace edge
