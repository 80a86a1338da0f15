// Learn from the support examples on this board: exported programs move cores and head, nothing else.
//
// Support examples held out in turn decide after how many steps it is best, and whether that is accepted; the final cores
// are then trained on all of them, for as many. As edge_runtime/learning.py; the examples never leave the board.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "clock.hpp"
#include "facts.hpp"
#include "learner.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace runner {

namespace {

constexpr int kEvaluateEvery = 5;
// Cross-validation in five folds where that takes no longer than this, else in three.
constexpr double kPatienceS = 30.0;

constexpr char kTimeWasUp[] = "time was up before it had learned";

// When learning has to have ended, from now on; without a limit there is no hurry.
class Deadline {
 public:
  explicit Deadline(const Json& spec)
      : until_ns_(spec.contains("seconds") && !spec.at("seconds").is_null()
                      ? static_cast<double>(now_ns()) + 1e9 * spec.at("seconds").get<double>()
                      : std::numeric_limits<double>::infinity()) {}
  // Below 0: it is over.
  double left_s() const { return (until_ns_ - static_cast<double>(now_ns())) / 1e9; }

 private:
  double until_ns_;
};

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

// Each training on the examples that it has not seen, all folds together. Of several calibrations of the same outputs,
// the one counts that suits all of them best.
Score score(Learner& learner, const std::vector<Training>& trainings, const std::vector<Rows>& unseen) {
  double scores = 0;
  std::size_t count = 0;
  std::vector<double> losses;
  for (std::size_t fold = 0; fold < trainings.size(); ++fold) {
    const Judged judged = learner.judge(trainings[fold].parameters(), unseen[fold]);
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

void emit_curve(std::int64_t step, const Score& score) {
  emit("curve", {{"step", step}, {"loss", score.loss}, {"score", score.score}});
}

// Loss and score of the held-out examples with the starting head and when they were best, after `best` steps.
Json cross_validate(Learner& learner, int folds, std::int64_t steps, std::int64_t& best, const Deadline& deadline) {
  std::vector<Rows> unseen;
  std::vector<Training> trainings;
  for (int fold = 0; fold < folds; ++fold) {
    unseen.push_back(fold_of(learner, fold, folds, true));
    const Rows seen = fold_of(learner, fold, folds, false);
    trainings.emplace_back(learner, learner.start(seen), seen, fold);
  }
  const Score before = score(learner, trainings, unseen);
  emit_curve(0, before);
  Score after = {std::nan(""), std::nan("")};
  best = steps;
  const std::int64_t began = now_ns();
  bool is_last = false;
  for (std::int64_t step = 1; !is_last; ++step) {
    for (Training& training : trainings) training.step();
    const double a_round_s = static_cast<double>(now_ns() - began) / 1e9 / static_cast<double>(step);
    // The final run takes as many steps as this one, each on one fold's examples more.
    is_last = step >= steps ||
              deadline.left_s() < a_round_s + static_cast<double>(step + 1) * a_round_s / static_cast<double>(folds - 1);
    if (step % kEvaluateEvery != 0 && !is_last) continue;
    const Score now = score(learner, trainings, unseen);
    emit_curve(step, now);
    if (!(now.loss >= after.loss)) {  // the first, too; and after one that diverged any other
      after = now;
      best = step;
    }
  }
  return {{"loss_before", before.loss},
          {"score_before", before.score},
          {"loss_after", after.loss},
          {"score_after", after.score}};
}

// Train on all examples and keep the result; why not, if it is not finite or time is up.
std::string train_and_keep(Learner& learner, std::int64_t steps, int stream, const std::string& path,
                           const Deadline& deadline) {
  const Rows everything = learner.everything();
  Training training(learner, learner.start(everything), everything, stream);
  for (std::int64_t step = 1; step <= steps; ++step) {
    emit("step", {{"step", step}, {"loss", training.step()}});
    if (deadline.left_s() < 0) return kTimeWasUp;
  }
  std::vector<std::pair<std::string, Tensor>> adapted;
  for (std::size_t i = 0; i < learner.names().size(); ++i) {
    const std::vector<float>& values = training.parameters()[i].values;
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); }))
      return "training diverged";
    adapted.emplace_back(learner.names()[i], training.parameters()[i]);
  }
  write_tensors(path, adapted);
  return "";
}

}  // namespace

Json adapt(const Json& spec) {
  const Deadline deadline(spec);
  set_threads(spec);
  const auto steps = spec.at("steps").get<std::int64_t>();
  Learner learner(spec);
  const double seconds = learner.seconds_of_a_step() * static_cast<double>(steps);
  const int folds = std::min(6 * seconds <= std::min(kPatienceS, deadline.left_s()) ? 5 : 3, smallest_stratum(learner));
  emit("folds", {{"folds", folds}});
  const bool judged = folds > 1;
  std::int64_t best = 0;
  const Json held_out_scores = judged ? cross_validate(learner, folds, steps, best, deadline) : Json();
  bool accepted =
      judged && held_out_scores["loss_after"].get<double>() < held_out_scores["loss_before"].get<double>();
  std::string reason = !judged    ? "one example of a class: nothing can be held out to judge by"
                       : accepted ? "held-out examples are predicted better"
                                  : "held-out examples are not predicted better";
  std::string failed = deadline.left_s() < 0 ? kTimeWasUp : "";
  if (accepted && failed.empty())
    failed = train_and_keep(learner, best, folds, spec.at("adapted").get<std::string>(), deadline);
  if (!failed.empty()) {
    accepted = false;
    reason = failed;
  }
  Json done = {{"examples", learner.strata().size()},
               {"folds", folds},
               {"steps", best},
               {"accepted", accepted},
               {"reason", reason},
               {"held_out", held_out_scores},
               {"trained_values", learner.trained_values()},
               {"step_ms", learner.step_ms()},
               {"peak_bytes", peak_bytes()}};
  done.update(what_ran(learner.programs()));
  return done;
}

}  // namespace runner
