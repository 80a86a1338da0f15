// The exported train step bound to a release's support set.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lines.hpp"
#include "program.hpp"
#include "random.hpp"
#include "release.hpp"

namespace runner {

using Rows = std::vector<bool>;

class Learner;

// A training in progress: the trainables after the steps so far, and the optimiser's state.
class Training {
 public:
  Training(Learner& learner, std::vector<Tensor> parameters, const Rows& rows, std::uint64_t stream);
  // One Adam step on the examples of the rows; returns the loss before it.
  double step();
  const std::vector<Tensor>& parameters() const { return parameters_; }

 private:
  Learner& learner_;
  std::vector<Tensor> parameters_, state_;
  Tensor labels_;
  Normal random_;
};

class Learner {
 public:
  // `spec`: release, support, jitter, seed, lr, steps. Throws Failure if support and release do not go together.
  explicit Learner(const Json& spec);

  // Cores as installed, and a head that has seen only the examples of `rows`.
  std::vector<Tensor> start(const Rows& rows) const;
  // Logits (N, classes) of all support examples: a step of length zero.
  Tensor logits(const std::vector<Tensor>& parameters);
  // Five, or three where a step takes so long that five would try one's patience.
  int affordable_folds();

  const std::vector<std::string>& names() const { return names_; }
  const std::vector<std::int64_t>& y() const { return y_; }
  std::int64_t classes() const { return classes_; }
  std::int64_t trained_values() const;
  // Median duration of a training step, null if there was none.
  Json step_ms() const;
  // Paths of the programs that were run.
  const std::vector<std::string>& programs() const { return programs_; }

 private:
  friend class Training;

  struct Stepped {
    double loss;
    Tensor logits;
  };
  // Replaces parameters and state by the stepped ones.
  Stepped step(const Tensor& x, const Tensor& labels, double lr, std::vector<Tensor>& parameters,
               std::vector<Tensor>& state);
  Tensor one_hot(const Rows& rows) const;
  Tensor jittered(Normal& random) const;
  Tensor features_of_support(const std::string& folder);

  Json spec_, manifest_;
  Tensors tensors_;
  std::vector<std::string> names_, programs_;
  std::int64_t classes_;
  Tensor x_;
  std::vector<std::int64_t> y_;
  double jitter_ = 0;
  Tensor features_;
  std::unique_ptr<Program> program_;
  std::vector<double> step_ms_;
};

}  // namespace runner
