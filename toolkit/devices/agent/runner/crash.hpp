// What the runtime says when it fails, and a last line for the host when it aborts instead of failing.
#pragma once

#include <executorch/runtime/core/error.h>

#include <string>

namespace runner {

// Keep the runtime's messages, and turn an abort or a fault into an `error` line and status 1.
void watch_for_crashes();

// The name of an error and the last thing that the runtime logged.
std::string said(executorch::runtime::Error error);

// What to name if this scope crashes; `subject` must outlive it.
class Doing {
 public:
  Doing(const char* phrase, const std::string& subject);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  const char* phrase_;
  const char* subject_;
};

}  // namespace runner
