// What a board serves at one instant: a link that a deployer swaps, and a file that a learner swaps, by one rename.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "failure.hpp"
#include "release.hpp"

namespace edge {

// As the Python package words them: where, what, and what to do next.
Failure refusal(const std::string& where, const std::string& what, const std::string& next);

// What this user may not read or write, from errno.
Failure closed(const std::string& where);

// The release in service, and which state of what was learned on top of it.
struct Served {
  std::string root;
  std::string digest;
  // Inode, seconds, nanoseconds, bytes.
  std::optional<std::array<std::int64_t, 4>> state;

  std::string folder() const { return root + "/releases/" + digest; }
  std::string adapted() const { return root + "/adapted/" + digest + ".safetensors"; }
  bool operator==(const Served&) const = default;
};

// Throws Failure where nothing is served.
Served look(const std::string& root);

// What that release serves, or would. Throws Failure where that may not be seen.
Served state_of_release(const std::string& root, const std::string& digest);

// Throw Failure for what is missing, damaged, or not this user's to read.
Json read_whole_manifest(const Served& served);
Tensors read_whole_tensors(const Served& served, const Json& manifest);
void require_whole(const Served& served, const Json& manifest, const std::vector<std::string>& names);

}  // namespace edge
