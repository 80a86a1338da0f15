#include "messages.hpp"

#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>

namespace edge {

namespace {

// Of each thread: an application calls from several. A handler of signals runs in the thread that crashed, which may be
// one of the runtime's own: then it is what any thread was at last.
thread_local const char* doing_phrase = nullptr;
thread_local const char* doing_subject = "";
thread_local char last_message[512] = "";
std::atomic<const char*> any_phrase{"starting"}, any_subject{""};

void keep_message(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, std::size_t, const char* message,
                  std::size_t length) {
  if (level != kError && level != kFatal) return;
  if (level == kFatal) std::fprintf(stderr, "%.*s\n", static_cast<int>(length), message);  // it aborts now
  const std::size_t size = std::min(length, sizeof last_message - 1);
  std::memcpy(last_message, message, size);
  last_message[size] = 0;
}

}  // namespace

void keep_messages() {
  using executorch::runtime::PalImpl;
  executorch::runtime::register_pal(PalImpl::create(keep_message, __FILE__));
  executorch::runtime::runtime_init();
}

std::string said(executorch::runtime::Error error) {
  std::string text = executorch::runtime::to_string(error);
  if (last_message[0]) text += std::string(" (") + last_message + ")";
  return text;
}

AtWork at_work() {
  if (doing_phrase) return {doing_phrase, doing_subject, last_message};
  return {any_phrase.load(), any_subject.load(), last_message};
}

Doing::Doing(const char* phrase, const std::string& subject) : phrase_(doing_phrase), subject_(doing_subject) {
  doing_phrase = phrase;
  doing_subject = subject.c_str();
  any_subject = doing_subject;
  any_phrase = phrase;
}

Doing::~Doing() {
  doing_phrase = phrase_;
  doing_subject = subject_;
  any_subject = doing_subject;
  any_phrase = doing_phrase ? doing_phrase : "starting";
}

}  // namespace edge
