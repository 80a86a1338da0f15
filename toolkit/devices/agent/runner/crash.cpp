#include "crash.hpp"

#include <executorch/runtime/platform/platform.h>
#include <executorch/runtime/platform/runtime.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

namespace runner {

namespace {

const char* doing_phrase = "starting";
const char* doing_subject = "";
char last_message[512] = "";

void keep_message(et_timestamp_t, et_pal_log_level_t level, const char*, const char*, std::size_t, const char* message,
                  std::size_t length) {
  if (level != kError && level != kFatal) return;
  const std::size_t size = std::min(length, sizeof last_message - 1);
  std::memcpy(last_message, message, size);
  last_message[size] = 0;
}

// No allocation and no stdio from here on: the heap may be what is broken.

void put(const char* text) {
  char safe[512];
  std::size_t size = 0;
  for (; text[size] && size < sizeof safe; ++size) {
    const auto c = static_cast<unsigned char>(text[size]);
    safe[size] = c < 0x20 || c > 0x7e || c == '"' || c == '\\' ? '?' : static_cast<char>(c);
  }
  [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, safe, size);
}

void put_raw(const char* text) { [[maybe_unused]] const ssize_t written = write(STDOUT_FILENO, text, strlen(text)); }

void crashed(int signal) {
  put_raw("{\"event\": \"error\", \"kind\": \"Crash\", \"message\": \"the runtime was ended by ");
  put_raw(signal == SIGABRT ? "an abort" : signal == SIGBUS ? "a bus error" : "a memory fault");
  put_raw(" while ");
  put(doing_phrase);
  put_raw(" ");
  put(doing_subject);
  if (last_message[0]) put_raw(": ");
  put(last_message);
  put_raw("\"}\n");
  _exit(1);
}

}  // namespace

void watch_for_crashes() {
  using executorch::runtime::PalImpl;
  executorch::runtime::register_pal(PalImpl::create(keep_message, __FILE__));
  executorch::runtime::runtime_init();
  struct sigaction action {};
  action.sa_handler = crashed;
  action.sa_flags = SA_RESETHAND;
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);
}

std::string said(executorch::runtime::Error error) {
  std::string text = executorch::runtime::to_string(error);
  if (last_message[0]) text += std::string(" (") + last_message + ")";
  return text;
}

Doing::Doing(const char* phrase, const std::string& subject) : phrase_(doing_phrase), subject_(doing_subject) {
  doing_phrase = phrase;
  doing_subject = subject.c_str();
}

Doing::~Doing() {
  doing_phrase = phrase_;
  doing_subject = subject_;
}

}  // namespace runner
