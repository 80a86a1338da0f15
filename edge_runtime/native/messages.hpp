// What the runtime says when it fails, and what it was asked to do then.
#pragma once

#include <executorch/runtime/core/error.h>

#include <string>

namespace edge {

// Keep what the runtime would print, for `said`.
void keep_messages();

// The name of an error and the last thing that the runtime logged in this thread.
std::string said(executorch::runtime::Error error);

// What this thread is at, for whoever must say it after a crash: no allocation is made. "starting" before anything.
struct AtWork {
  const char* phrase;
  const char* subject;
  const char* message;
};
AtWork at_work();

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

}  // namespace edge
