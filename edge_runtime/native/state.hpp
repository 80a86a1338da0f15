// One state of what a board serves, loaded: it stays what it is, whatever is deployed or learned meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "classes.hpp"
#include "counters.hpp"
#include "entry.hpp"
#include "program.hpp"
#include "served.hpp"

namespace edge {

// What a caller may ask of it: it outlives the state, whose program takes memory.
struct Told {
  std::string release;
  std::vector<Entry> entries;
  // One a value of the first output, "" where it is of no class yet.
  std::vector<std::string> classes;
};

struct State {
  Served served;
  Json manifest;
  // Null where they are the release's.
  Json own_classes;
  std::shared_ptr<const Told> told;
  std::unique_ptr<Program> program;
  std::shared_ptr<Counters> counters;
  // The program answers one call at a time.
  std::mutex running;

  // Of the first output, one row an example.
  std::vector<float> call(std::span<const edge_tensor> inputs, std::size_t& examples);
  Json info() const;
};

// Goes on counting where `before` is of the same release. Throws Failure.
std::shared_ptr<State> load_state(const Served& served, const State* before);

}  // namespace edge
