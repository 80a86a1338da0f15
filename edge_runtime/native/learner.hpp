// The programs that a release learns by, bound to its support examples; as edge_runtime/learner.py.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"
#include "program.hpp"
#include "random.hpp"
#include "release.hpp"
#include "tensors.hpp"

namespace edge {

// Of examples.
using Rows = std::vector<std::size_t>;

class Learner;

// A training in progress: the trainables after the steps so far, and the optimiser's state.
class Training {
 public:
  Training(Learner& learner, std::vector<Tensor> parameters, Rows rows, std::uint64_t stream);
  // One step on the examples of the rows; returns their mean loss before it.
  double step();
  const std::vector<Tensor>& parameters() const { return parameters_; }
  // All that `go_on` needs, by names that begin so.
  void add_to(NamedTensors& arrays, const std::string& name) const;
  // As after so many steps; the noise of those is drawn, and not used. Throws Failure.
  void go_on(std::int64_t done, const Tensors& arrays, const std::string& name);

 private:
  Learner& learner_;
  std::vector<Tensor> parameters_, state_;
  Rows rows_;
  Normal random_;
};

// What an objective says of some examples: each one's score, and its loss under each of several calibrations.
struct Judged {
  std::vector<double> scores;
  std::vector<std::vector<double>> losses;
};

class Learner {
 public:
  // `spec`: release, jitter, seed, lr, method (auto, prototype, head or cores), classes. `support`: `inputs.*`, `targets.*`, and `strata`, of which as many are held out in
  // turn. Throws Failure if support and release do not go together.
  Learner(const Json& spec, Tensors support);

  // Cores and head as they were installed.
  std::vector<Tensor> installed() const;
  // Cores as installed, and a head that has seen only the examples of `rows`.
  std::vector<Tensor> start(const Rows& rows);
  Judged judge(const std::vector<Tensor>& parameters, const Rows& rows) { return judge(parameters, rows, seen_); }
  // How many examples of what the network knew before the release carries.
  std::size_t guards() const { return guard_ ? static_cast<std::size_t>(guard_->targets.rows()) : 0; }
  // Their mean score, and how much of it may be lost.
  double guarded(const std::vector<Tensor>& parameters);
  double may_forget() const { return may_forget_; }
  // What scores are of.
  std::string measure() const;
  // What names a learning: the release, how it is asked to learn, and the examples.
  std::string key(std::int64_t steps) const;
  // What a step takes, in seconds.
  double seconds_of_a_step();

  const std::string& method() const { return method_; }
  // Those of the head's rows, null if they are the release's own.
  Json classes() const { return spec_.contains("classes") ? spec_.at("classes") : Json(); }
  bool has_cores() const { return has_cores_; }
  bool makes_a_head() const { return !learn_.at("starts").empty(); }
  Rows everything() const;
  const std::vector<std::int64_t>& strata() const { return strata_; }
  const std::vector<std::string>& names() const { return names_; }
  std::int64_t trained_values() const;
  // Median duration of a training step, null if there was none.
  Json step_ms() const;
  // Paths of the programs that were run.
  const std::vector<std::string>& programs() const { return paths_; }

 private:
  friend class Training;

  struct Gradients {
    std::vector<float> losses;
    Tensor outputs;
    std::vector<Tensor> sums;
  };
  // Views into tensors, or into arrays, that live longer.
  struct Seen {
    std::vector<View> inputs;
    View targets;
  };
  Gradients gradients(const std::vector<Tensor>& parameters, const Rows& rows, const Seen& seen);
  Judged judge(const std::vector<Tensor>& parameters, const Rows& rows, const Seen& seen);
  Seen seen_of(const Tensors& tensors) const;
  void read_guard(const std::string& folder);
  // Whether it is none of those that the method trains.
  bool is_still(std::size_t trainable) const;
  // Replaces parameters and state by the stepped ones; `sums` are gradients of `count` examples.
  void update(std::size_t count, const std::vector<Tensor>& sums, std::vector<Tensor>& parameters,
              std::vector<Tensor>& state);
  std::vector<Array> shaken(Normal& random) const;
  void read_features(const std::string& folder);
  Program& program(const char* name) { return *programs_.at(name); }
  std::vector<Tensor> fresh_state() const;

  Json spec_, manifest_, learn_;
  Tensors tensors_, support_, guarding_;
  std::vector<std::string> names_, paths_;
  std::string method_;
  bool has_cores_ = false;
  std::size_t batch_ = 1, most_ = 0;
  Seen seen_;
  std::optional<Seen> guard_;
  double may_forget_ = 0;
  std::vector<std::int64_t> strata_;
  std::vector<double> deviations_;
  Tensor features_;
  std::map<std::string, std::unique_ptr<Program>> programs_;
  std::vector<double> step_ms_;
};

}  // namespace edge
