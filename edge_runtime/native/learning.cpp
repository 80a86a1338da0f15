// As edge_runtime/learning.py.
#include "learning.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>

#include "classes.hpp"
#include "clock.hpp"

namespace edge {

namespace {

constexpr int kEvaluateEvery = 5;
// Cross-validation in five folds where that takes no longer than this, else in three.
constexpr double kPatienceS = 30.0;
// Of a difference of shares.
constexpr double kRounding = 1e-9;

constexpr char kTimeWasUp[] = "time was up before it had learned";
constexpr char kNoNumbers[] = "what the network makes of these examples is no number: are they scaled as it knows them?";

struct Score {
  double loss;
  double score;
};

// Every `folds`-th example of each stratum, from the `fold`-th on; or all others.
Rows fold_of(const Learner& learner, int fold, int folds, bool held_out) {
  std::map<std::int64_t, int> seen;
  Rows rows;
  for (std::size_t n = 0; n < learner.strata().size(); ++n)
    if ((seen[learner.strata()[n]]++ % folds == fold) == held_out) rows.push_back(n);
  return rows;
}

int smallest_stratum(const Learner& learner) {
  std::map<std::int64_t, int> counts;
  for (std::int64_t stratum : learner.strata()) ++counts[stratum];
  int least = std::numeric_limits<int>::max();
  for (const auto& [stratum, count] : counts) least = std::min(least, count);
  return least;
}

// One for each fold.
using Parameters = std::vector<const std::vector<Tensor>*>;

// Parameters of each fold on the examples that it has not seen, all folds together. Of several calibrations of the same
// outputs, the one counts that suits all of them best.
Score score(Learner& learner, const Parameters& parameters, const std::vector<Rows>& unseen) {
  double scores = 0;
  std::size_t count = 0;
  std::vector<double> losses;
  for (std::size_t fold = 0; fold < parameters.size(); ++fold) {
    const Judged judged = learner.judge(*parameters[fold], unseen[fold]);
    scores += std::accumulate(judged.scores.begin(), judged.scores.end(), 0.0);
    count += judged.scores.size();
    for (const std::vector<double>& each : judged.losses) {
      losses.resize(each.size(), 0);
      for (std::size_t k = 0; k < each.size(); ++k) losses[k] += each[k];
    }
  }
  double least = std::numeric_limits<double>::infinity();
  for (double loss : losses) least = std::isnan(loss) || loss < least ? loss : least;
  return {least / static_cast<double>(count), scores / static_cast<double>(count)};
}

// What is installed; guessing where it learns other classes, of which that tells nothing.
Score as_now(Learner& learner, const Parameters& installed, const std::vector<Rows>& unseen) {
  const Json classes = learner.classes();
  if (classes.is_null()) return score(learner, installed, unseen);
  const auto count = static_cast<double>(std::ranges::count_if(classes, [](const Json& each) { return each.is_string(); }));
  return {std::log(count), 1 / count};
}

void tell_curve(const Heard& heard, std::int64_t step, const Score& score) {
  heard("curve", {{"step", step}, {"loss", score.loss}, {"score", score.score}});
}

Json before_and_after(const Score& before, const Score& after) {
  return {{"loss_before", before.loss},
          {"score_before", before.score},
          {"loss_after", after.loss},
          {"score_after", after.score}};
}

// Loss and score of the held-out examples with the starting head and when they were best, after `best` steps. 0: the
// starting head itself, beside what is installed; where any method may be chosen, if training gains nothing and that does.
Json cross_validate(Learner& learner, int folds, std::int64_t steps, std::int64_t& best, const Deadline& deadline,
                    const Heard& heard, Checkpoint& checkpoint, const std::optional<Kept>& came) {
  if (came && came->told.contains("held_out")) {
    best = came->told.at("best").get<std::int64_t>();
    return came->told.at("held_out");
  }
  std::vector<Rows> unseen;
  std::vector<Training> trainings;
  trainings.reserve(static_cast<std::size_t>(folds));
  Parameters trained;
  for (int fold = 0; fold < folds; ++fold) {
    unseen.push_back(fold_of(learner, fold, folds, true));
    const Rows seen = fold_of(learner, fold, folds, false);
    trained.push_back(&trainings.emplace_back(learner, learner.start(seen), seen, fold).parameters());
  }
  const std::vector<Tensor> as_installed = learner.installed();
  const Parameters installed(trained.size(), &as_installed);
  const Score before = score(learner, trained, unseen);
  tell_curve(heard, 0, before);
  if (learner.method() == "prototype") {
    best = 0;
    return before_and_after(as_now(learner, installed, unseen), before);
  }
  Score after = {std::nan(""), std::nan("")};
  best = steps;
  std::int64_t first = 0;
  if (came) {
    const Json& best_so_far = came->told.at("after");  // null until there was one
    if (!best_so_far[0].is_null()) after = {best_so_far[0].get<double>(), best_so_far[1].get<double>()};
    best = came->told.at("best").get<std::int64_t>();
    first = came->told.at("step").get<std::int64_t>();
    for (std::size_t fold = 0; fold < trainings.size(); ++fold)
      trainings[fold].go_on(first, came->arrays, std::to_string(fold));
  }
  const std::int64_t began = now_ns();
  bool is_last = false;
  for (std::int64_t step = first + 1; !is_last; ++step) {
    for (Training& training : trainings) training.step();
    const double a_round_s = static_cast<double>(now_ns() - began) / 1e9 / static_cast<double>(step - first);
    // The final run takes as many steps as this one, each on one fold's examples more.
    is_last = step >= steps ||
              deadline.left_s() < a_round_s + static_cast<double>(step + 1) * a_round_s / static_cast<double>(folds - 1);
    if (step % kEvaluateEvery == 0 || is_last) {
      const Score now = score(learner, trained, unseen);
      tell_curve(heard, step, now);
      if (!(now.loss >= after.loss)) {  // the first, too; and after one that diverged any other
        after = now;
        best = step;
      }
    }
    if (is_last || !checkpoint.is_due()) continue;
    NamedTensors arrays;
    for (std::size_t fold = 0; fold < trainings.size(); ++fold) trainings[fold].add_to(arrays, std::to_string(fold));
    checkpoint.keep({{"folds", folds}, {"step", step}, {"after", {after.loss, after.score}}, {"best", best}}, arrays);
  }
  if (learner.method() == "auto" && learner.makes_a_head() && !(after.loss < before.loss) && deadline.left_s() > 0) {
    const Score now = as_now(learner, installed, unseen);
    if (before.loss < now.loss) {
      best = 0;
      return before_and_after(now, before);
    }
  }
  return before_and_after(before, after);
}

// Parameters after some of the steps of a training, the last among them: to go back to.
class Reached {
 public:
  struct One {
    std::int64_t step;
    std::vector<Tensor> parameters;
  };

  void add(std::int64_t step, const std::vector<Tensor>& parameters, bool is_last) {
    if (step % every_ != 0 && !is_last) return;
    kept.push_back({step, parameters});
    if (kept.size() <= kMostKept) return;
    every_ *= 2;
    std::erase_if(kept, [&](const One& each) { return each.step % every_ != 0 && each.step != step; });
  }

  // All of it, into what is told and beside it; and again.
  void add_to(Json& told, NamedTensors& arrays) const {
    told["every"] = every_;
    told["reached"] = Json::array();
    for (const One& each : kept) {
      told["reached"].push_back(each.step);
      for (std::size_t place = 0; place < each.parameters.size(); ++place)
        arrays.emplace_back(name_of(each.step, place), each.parameters[place]);
    }
  }
  void go_on(const Kept& came, std::size_t trainables) {
    every_ = came.told.at("every").get<std::int64_t>();
    for (const Json& step : came.told.at("reached")) {
      kept.push_back({step.get<std::int64_t>(), {}});
      for (std::size_t place = 0; place < trainables; ++place)
        kept.back().parameters.push_back(came.arrays.at(name_of(kept.back().step, place)));
    }
  }

  std::vector<One> kept;

 private:
  static std::string name_of(std::int64_t step, std::size_t place) {
    return "reached." + std::to_string(step) + "." + std::to_string(place);
  }

  static constexpr std::size_t kMostKept = 8;
  std::int64_t every_ = kEvaluateEvery;
};

bool are_finite(const std::vector<Tensor>& parameters) {
  return std::all_of(parameters.begin(), parameters.end(), [](const Tensor& each) {
    return std::all_of(each.values.begin(), each.values.end(), [](float value) { return std::isfinite(value); });
  });
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%%", 100 * share);
  return text;
}

// The last that was reached in training which forgets no more than it may, told in the outcome; why there is none, or "".
// Nothing is gone back to after the deadline.
std::string remember(Learner& learner, std::vector<Reached::One>& reached, const Deadline& deadline, Outcome& outcome) {
  const double before = outcome.guard.at("score_before").get<double>();
  Json fell_to;
  for (; !reached.empty(); reached.pop_back()) {
    if (!fell_to.is_null() && deadline.left_s() < 0) break;
    const double now = learner.guarded(reached.back().parameters);
    if (before - now <= learner.may_forget() + kRounding) {
      outcome.guard["score_after"] = now;
      outcome.steps = reached.back().step;
      return "";
    }
    if (fell_to.is_null()) fell_to = now;
  }
  outcome.guard["score_after"] = fell_to;
  return "what it knew before is forgotten: " + learner.measure() + " on " + std::to_string(learner.guards()) +
         " examples of that fell from " + percent(before) + " to " + percent(fell_to.get<double>());
}

// Train on all examples; why nothing came of it, if it is not finite, forgets too much or time is up, else "".
std::string train_on_all(Learner& learner, const Deadline& deadline, const Heard& heard, Checkpoint& checkpoint,
                         const std::optional<Kept>& came, Outcome& outcome) {
  const Rows everything = learner.everything();
  Training training(learner, learner.start(everything), everything, outcome.folds);
  Reached reached;
  std::int64_t first = 0;
  if (came && came->told.contains("held_out")) {
    first = came->told.at("step").get<std::int64_t>();
    training.go_on(first, came->arrays, "all");
    reached.go_on(*came, learner.names().size());
  } else if (outcome.steps == 0) {
    reached.add(0, training.parameters(), true);
  }
  for (std::int64_t step = first + 1; step <= outcome.steps; ++step) {
    heard("step", {{"step", step}, {"loss", training.step()}});
    if (!outcome.guard.is_null() || step == outcome.steps)
      reached.add(step, training.parameters(), step == outcome.steps);
    if (deadline.left_s() < 0) return kTimeWasUp;
    if (!checkpoint.is_due()) continue;
    Json told = {{"folds", outcome.folds}, {"step", step}, {"best", outcome.steps}, {"held_out", outcome.held_out}};
    NamedTensors arrays;
    training.add_to(arrays, "all");
    reached.add_to(told, arrays);
    checkpoint.keep(std::move(told), std::move(arrays));
  }
  if (!are_finite(training.parameters())) return "training diverged";
  if (!outcome.guard.is_null())
    if (const std::string forgets = remember(learner, reached.kept, deadline, outcome); !forgets.empty()) return forgets;
  for (std::size_t i = 0; i < learner.names().size(); ++i)
    outcome.learned.emplace_back(learner.names()[i], std::move(reached.kept.back().parameters[i]));
  if (!learner.classes().is_null()) outcome.learned.emplace_back(kOwnClasses, packed(learner.classes()));
  return deadline.left_s() < 0 ? kTimeWasUp : "";
}

}  // namespace

Deadline::Deadline(double seconds) : until_ns_(static_cast<double>(now_ns()) + 1e9 * seconds) {}

double Deadline::left_s() const { return (until_ns_ - static_cast<double>(now_ns())) / 1e9; }

Deadline Deadline::sooner(double seconds) const { return Deadline(left_s() - seconds); }

namespace {

Outcome learn_from(const std::optional<Kept>& came, Learner& learner, std::int64_t steps, const Deadline& deadline,
                   const Heard& heard, const Hinders& hinders, Checkpoint& checkpoint) {
  Outcome outcome;
  if (came) {
    outcome.folds = came->told.at("folds").get<int>();
    heard("folds", {{"folds", outcome.folds}, {"resumed", came->told.at("step")}});
  } else {
    const double seconds = learner.seconds_of_a_step() * static_cast<double>(steps);
    outcome.folds = std::min(6 * seconds <= std::min(kPatienceS, deadline.left_s()) ? 5 : 3, smallest_stratum(learner));
    heard("folds", {{"folds", outcome.folds}});
  }
  const bool judged = outcome.folds > 1;
  const std::int64_t began = now_ns();
  if (judged && learner.guards() && deadline.left_s() > 0)
    outcome.guard = {{"examples", learner.guards()},
                     {"score_before", learner.guarded(learner.start(learner.everything()))},
                     {"score_after", nullptr}};
  // Once the last state may be judged by what it knew before, and once one to go back to.
  const Deadline soon = deadline.sooner(2 * static_cast<double>(now_ns() - began) / 1e9);
  outcome.method = learner.method() != "auto" ? learner.method() : learner.has_cores() ? "cores" : "head";
  outcome.reason = hinders();
  if (!outcome.reason.empty()) return outcome;
  if (judged) {
    outcome.held_out = cross_validate(learner, outcome.folds, steps, outcome.steps, soon, heard, checkpoint, came);
    if (outcome.steps == 0) outcome.method = "prototype";
  }
  outcome.accepted =
      judged && outcome.held_out["loss_after"].get<double>() < outcome.held_out["loss_before"].get<double>();
  outcome.reason = !judged            ? "one example of a class: nothing can be held out to judge by"
                   : outcome.accepted ? "held-out examples are predicted better"
                                      : "held-out examples are not predicted better";
  if (judged && !outcome.accepted && !std::isfinite(outcome.held_out["loss_before"].get<double>())) outcome.reason = kNoNumbers;
  std::string failed = deadline.left_s() < 0 ? kTimeWasUp : "";
  if (outcome.accepted && failed.empty()) failed = train_on_all(learner, deadline, heard, checkpoint, came, outcome);
  if (outcome.accepted && failed.empty()) failed = hinders();
  if (!failed.empty()) {
    outcome.accepted = false;
    outcome.reason = failed;
    outcome.learned.clear();
  }
  return outcome;
}

}  // namespace

Outcome learn(Learner& learner, std::int64_t steps, const Deadline& deadline, const Heard& heard, const Hinders& hinders,
              Checkpoint checkpoint) {
  try {
    return learn_from(checkpoint.read(), learner, steps, deadline, heard, hinders, checkpoint);
  } catch (...) {  // what it holds may be why
    checkpoint.drop();
    throw;
  }
}

}  // namespace edge
