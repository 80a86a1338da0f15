// How often and how fast a model was called, for `deploy top`: counts and times, nothing of what went in or came out.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "array.hpp"

namespace edge {

// Of one model and one release, in `counters/PID.NUMBER` as edge_runtime/counters.py writes it; nothing in a folder that
// cannot be written.
class Counters {
 public:
  // `accepted` are logits (N, classes) that the release was accepted by, where it classifies.
  Counters(const std::string& root, const std::string& release, const std::optional<View>& accepted);
  ~Counters();
  Counters(const Counters&) = delete;
  Counters& operator=(const Counters&) = delete;

  // Another release is counted from now on. Else its file stays when the process ends, as what it was.
  void close();

  void called(std::int64_t ns, std::span<const float> logits);
  void refused();
  // Whether calls are counted.
  bool counts();

 private:
  void add(const std::string& name, std::uint64_t more);

  std::mutex lock_;
  std::string path_;
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::map<std::string, std::size_t> ends_;
  bool classifies_;
  std::uint64_t calls_ = 0, longest_us_ = 0;
};

// Those of a release, for all models of this process that serve it, one after the other, too.
std::shared_ptr<Counters> counters_of(const std::string& root, const std::string& release,
                                      const std::function<std::optional<View>()>& accepted);

}  // namespace edge
