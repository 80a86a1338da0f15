// A model as an application calls it: what the board serves, with what it has learned.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "learning.hpp"
#include "state.hpp"

namespace edge {

// `told` are the classes of these very outputs, whatever is deployed meanwhile.
struct Answer {
  std::shared_ptr<const Told> told;
  std::size_t examples = 0;
  std::vector<float> values;
};

struct Learned {
  Outcome outcome;
  std::int64_t examples = 0;
};

// The pool of threads is the process's, and must not change under a call: all models that live have as many.
class Threads {
 public:
  // Throws Failure where another model has another number.
  explicit Threads(int threads);
  ~Threads();
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
};

class Model {
 public:
  // Throws Failure where nothing is served, or it cannot be loaded.
  Model(std::string root, int threads);

  // What the board serves now; what it served, if that cannot be loaded: then `info` has a warning.
  std::shared_ptr<State> now();

  // Throw Failure.
  Answer call(std::span<const edge_tensor> inputs);
  bool reload();
  Json info();
  Learned learn(std::span<const edge_tensor> inputs, const edge_tensor& targets, const edge_how& how);
  bool undo();

 private:
  std::shared_ptr<State> current();

  std::string root_;
  Threads threads_;
  std::mutex taking_over_;
  // Of what follows, for moments.
  std::mutex reading_;
  std::shared_ptr<State> state_;
  std::optional<Served> refused_;
  std::int64_t again_ns_ = 0;
  std::string warning_;
};

}  // namespace edge
