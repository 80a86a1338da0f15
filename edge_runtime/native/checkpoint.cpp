#include "checkpoint.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "classes.hpp"
#include "clock.hpp"
#include "failure.hpp"

namespace edge {

namespace {

// Nanoseconds between two writings, and of the time the share that they may take.
constexpr std::int64_t kBetweenWritingsNs = 5'000'000'000;
constexpr std::int64_t kTimesAWriting = 20;
// More is not kept: a board's flash wears, and its disk is small.
constexpr std::size_t kMostKeptBytes = std::size_t{1} << 26;
constexpr char kTold[] = "told";

}  // namespace

std::string unfinished_beside(const std::string& adapted) {
  constexpr std::string_view kEnd = ".safetensors";
  const std::string folder = adapted.ends_with(kEnd) ? adapted.substr(0, adapted.size() - kEnd.size()) : adapted + ".state";
  return folder + "/unfinished.safetensors";
}

Checkpoint::Checkpoint(std::string path, std::string key)
    : path_(std::move(path)), key_(std::move(key)), due_ns_(now_ns() + kBetweenWritingsNs) {}

std::optional<Kept> Checkpoint::read() const {
  if (path_.empty()) return {};
  try {
    Kept kept{{}, read_tensors(path_)};
    kept.told = unpacked(kept.arrays.at(kTold));
    if (kept.told.at("key") == key_) return kept;
  } catch (const std::exception&) {  // the file may hold anything, and learning begins anew as well
  }
  return {};
}

bool Checkpoint::is_due() const { return !path_.empty() && now_ns() >= due_ns_; }

void Checkpoint::keep(Json told, NamedTensors arrays) {
  const std::int64_t began = now_ns();
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : arrays) bytes += tensor.values.size() * sizeof(float);
  if (bytes <= kMostKeptBytes) {
    told["key"] = key_;
    arrays.emplace_back(kTold, packed(told));
    std::error_code failed;
    std::filesystem::create_directories(std::filesystem::path(path_).parent_path(), failed);
    try {
      write_tensors(path_, arrays);
    } catch (const Failure&) {  // a full disk
    }
  }
  const std::int64_t now = now_ns();
  due_ns_ = now + std::max(kBetweenWritingsNs, kTimesAWriting * (now - began));
}

void Checkpoint::drop() const {
  if (!path_.empty()) std::remove(path_.c_str());
}

}  // namespace edge
