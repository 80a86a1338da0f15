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
  std::shared_ptr<State> take_over(const Served& served);

  std::string root_;
  std::mutex changing_;
  std::shared_ptr<State> state_;
  std::optional<Served> refused_;
  std::int64_t again_ns_ = 0;
  std::string warning_;
};

}  // namespace edge
