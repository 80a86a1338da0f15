// Learn from the support examples on this board: the exported train step moves cores and head, nothing else.
//
// Whether the result is accepted is decided on support examples held out in turn; the final cores are then trained on
// all of them, for as many steps. As agent/adapt.py; the examples never leave the board.
#include <algorithm>
#include <cmath>

#include "facts.hpp"
#include "learner.hpp"
#include "score.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace runner {

namespace {

constexpr int kEvaluateEvery = 5;

struct Score {
  double loss;
  double accuracy;
};

// Every `folds`-th example of each class, from the `fold`-th on.
Rows held_out(const Learner& learner, int fold, int folds) {
  Rows rows(learner.y().size());
  std::vector<int> seen(learner.classes(), 0);
  for (std::size_t n = 0; n < rows.size(); ++n) rows[n] = seen[learner.y()[n]]++ % folds == fold;
  return rows;
}

Rows all_but(Rows rows) {
  rows.flip();
  return rows;
}

// Of the class with fewest examples, up to the last class that has any.
int smallest_class(const Learner& learner) {
  const std::int64_t last = *std::max_element(learner.y().begin(), learner.y().end());
  std::vector<int> counts(last + 1, 0);
  for (std::int64_t label : learner.y()) ++counts[label];
  return *std::min_element(counts.begin(), counts.end());
}

// Each training scored on the examples that it has not seen, all folds together.
//
// The loss is the cross-entropy at the temperature that suits it best: training on a handful of examples makes a model
// overconfident long before it makes it worse.
Score score(Learner& learner, const std::vector<Training>& trainings, const std::vector<Rows>& unseen) {
  const auto classes = static_cast<std::size_t>(learner.classes());
  std::vector<double> logits(learner.y().size() * classes, 0);
  for (std::size_t fold = 0; fold < trainings.size(); ++fold) {
    const Tensor all = learner.logits(trainings[fold].parameters());
    for (std::size_t n = 0; n < learner.y().size(); ++n)
      if (unseen[fold][n]) std::copy_n(all.values.begin() + n * classes, classes, logits.begin() + n * classes);
  }
  return {best_cross_entropy(logits, learner.y(), learner.classes()), accuracy(logits, learner.y(), learner.classes())};
}

void emit_curve(std::int64_t step, const Score& score) {
  emit("curve", {{"step", step}, {"loss", score.loss}, {"accuracy", score.accuracy}});
}

// Loss and accuracy of the held-out examples with the starting head and after training.
Json cross_validate(Learner& learner, int folds, std::int64_t steps) {
  std::vector<Rows> unseen;
  std::vector<Training> trainings;
  for (int fold = 0; fold < folds; ++fold) {
    unseen.push_back(held_out(learner, fold, folds));
    const Rows seen = all_but(unseen.back());
    trainings.emplace_back(learner, learner.start(seen), seen, fold);
  }
  const Score before = score(learner, trainings, unseen);
  emit_curve(0, before);
  Score after = before;
  for (std::int64_t step = 1; step <= steps; ++step) {
    for (Training& training : trainings) training.step();
    if (step % kEvaluateEvery == 0 || step == steps) emit_curve(step, after = score(learner, trainings, unseen));
  }
  return {{"loss_before", before.loss},
          {"accuracy_before", before.accuracy},
          {"loss_after", after.loss},
          {"accuracy_after", after.accuracy}};
}

// Train on all examples and keep the result; false if it is not finite.
bool train_and_keep(Learner& learner, std::int64_t steps, int stream, const std::string& path) {
  const Rows everything(learner.y().size(), true);
  Training training(learner, learner.start(everything), everything, stream);
  for (std::int64_t step = 1; step <= steps; ++step) emit("step", {{"step", step}, {"loss", training.step()}});
  std::vector<std::pair<std::string, Tensor>> adapted;
  for (std::size_t i = 0; i < learner.names().size(); ++i) {
    const std::vector<float>& values = training.parameters()[i].values;
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) return false;
    adapted.emplace_back(learner.names()[i], training.parameters()[i]);
  }
  write_tensors(path, adapted);
  return true;
}

}  // namespace

Json adapt(const Json& spec) {
  set_threads(spec);
  const auto steps = spec.at("steps").get<std::int64_t>();
  Learner learner(spec);
  const int folds = std::min(learner.affordable_folds(), smallest_class(learner));
  emit("folds", {{"folds", folds}});
  const bool judged = folds > 1;
  const Json held_out_scores = judged ? cross_validate(learner, folds, steps) : Json();
  bool accepted =
      judged && held_out_scores["loss_after"].get<double>() < held_out_scores["loss_before"].get<double>();
  std::string reason = !judged    ? "one example of a class: nothing can be held out to judge by"
                       : accepted ? "held-out examples are predicted better"
                                  : "held-out examples are not predicted better";
  if (accepted && !train_and_keep(learner, steps, folds, spec.at("adapted").get<std::string>())) {
    accepted = false;
    reason = "training diverged";
  }
  Json done = {{"folds", folds},
               {"steps", judged ? steps : 0},
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
