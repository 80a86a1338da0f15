// Write what a release serves as files that stock ExecuTorch loads as they lie, as agent/plain.py.
#include "plain.hpp"

#include "learned.hpp"
#include "verbs.hpp"

namespace edge {

Json plain(const Json& spec) {
  const auto root = spec.at("root").get<std::string>();
  const Alone changing = Alone::changing(root);
  const Served served = state_of_release(root, spec.at("digest").get<std::string>());
  const std::string folder = write_plain(served, served.state ? served.adapted() : "");
  if (folder.empty()) return {{"folder", nullptr}};
  sweep(served);
  return {{"folder", folder.substr(root.size() + 1)}};
}

}  // namespace edge
