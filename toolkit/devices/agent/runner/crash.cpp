#include "crash.hpp"

#include <unistd.h>

#include <csignal>
#include <cstring>

#include "messages.hpp"

namespace edge {

namespace {

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
  const AtWork work = at_work();
  put_raw("{\"event\": \"error\", \"kind\": \"Crash\", \"message\": \"the runtime was ended by ");
  put_raw(signal == SIGABRT ? "an abort" : signal == SIGBUS ? "a bus error" : "a memory fault");
  put_raw(" while ");
  put(work.phrase);
  put_raw(" ");
  put(work.subject);
  if (work.message[0]) put_raw(": ");
  put(work.message);
  put_raw("\"}\n");
  _exit(1);
}

}  // namespace

void watch_for_crashes() {
  keep_messages();
  struct sigaction action {};
  action.sa_handler = crashed;
  action.sa_flags = SA_RESETHAND;
  for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);
}

}  // namespace edge
