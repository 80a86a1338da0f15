// How far learning has come, in a file, as edge_runtime/checkpoint.py: what was cut off goes on there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "json.hpp"
#include "tensors.hpp"

namespace edge {

// Of the learning that writes to that file, in the folder that goes with its release.
std::string unfinished_beside(const std::string& adapted);

struct Kept {
  Json told;
  Tensors arrays;
};

class Checkpoint {
 public:
  // None is kept.
  Checkpoint() = default;
  // Of the learning of that key.
  Checkpoint(std::string path, std::string key);

  // Nothing where nothing of this learning was kept, or it is damaged.
  std::optional<Kept> read() const;
  // Whether it is time to keep what was reached.
  bool is_due() const;
  // Write that; what cannot be written is left out.
  void keep(Json told, NamedTensors arrays);
  // Once learning has ended, however it did.
  void drop() const;

 private:
  std::string path_, key_;
  std::int64_t due_ns_ = 0;
};

}  // namespace edge
