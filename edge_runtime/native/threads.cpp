#include "threads.hpp"

#include <sched.h>

#include "files.hpp"

// Part of libexecutorch_threadpool.so; its header is not in the wheel.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  bool _unsafe_reset_threadpool(std::uint32_t thread_count);
};
ThreadPool* get_threadpool();
}  // namespace executorch::extension::threadpool

namespace edge {

namespace {

void pin_to(const Json& cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const Json& core : cores) {
    const auto number = core.get<std::int64_t>();
    if (number < 0 || number >= CPU_SETSIZE)
      throw Failure("ValueError", "cpu_affinity names core " + std::to_string(number));
    CPU_SET(static_cast<int>(number), &set);
  }
  // Threads that are started later inherit it.
  if (sched_setaffinity(0, sizeof set, &set) != 0) throw cannot("run on the cores", to_text(cores));
}

}  // namespace

void set_threads(const Json& spec) {
  const auto threads = spec.at("threads").get<std::int64_t>();
  if (threads < 1 || threads > CPU_SETSIZE)
    throw Failure("ValueError", "threads is " + std::to_string(threads) + ", not a number of threads");
  if (spec.contains("cpu_affinity") && !spec["cpu_affinity"].is_null()) pin_to(spec["cpu_affinity"]);
  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (!pool || !pool->_unsafe_reset_threadpool(static_cast<std::uint32_t>(threads)))
    throw Failure("RuntimeError", "the runtime cannot use " + std::to_string(threads) + " threads");
}

}  // namespace edge
