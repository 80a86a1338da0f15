// What was learned on top of a release: appears by one rename, has a number, and can be undone.
#pragma once

#include <string>

#include "served.hpp"
#include "tensors.hpp"

namespace edge {

// Others wait as long as this lives: one application on a board learns at a time, and one changes what is served.
class Alone {
 public:
  // Throw Failure where this user may not.
  static Alone learning(const std::string& root) { return Alone(root + "/adapted"); }
  static Alone changing(const std::string& root) { return Alone(root); }
  ~Alone();
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  explicit Alone(const std::string& folder);

  int folder_;
};

// Before minutes of learning. Throws Failure.
void require_writable(const Served& served);

// Serve these values from now on; what was served can be gone back to. Throws Failure before anything has changed.
void keep(const Served& served, const NamedTensors& values);

// Serve what was served before the last learning; whether that, too, was learned. Throws Failure.
bool undo(const Served& served);

}  // namespace edge
