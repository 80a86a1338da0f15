// As edge_runtime/served.py.
#include "served.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "files.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

Failure damaged(const Served& served, const std::string& name) {
  return refusal(served.root, name + " of release " + served.digest.substr(0, 12) + " is missing or damaged",
                 "Deploy it again, or go back: deploy rollback --target NAME.");
}

// Its SHA-256, "" where it is missing. Throws Failure where this user may not read it.
std::string sum_of(const Served& served, const std::string& name) {
  const std::string path = served.folder() + "/" + name;
  if (access(path.c_str(), R_OK) != 0) {
    if (errno == EACCES || errno == EPERM) throw closed(served.folder());
    return "";
  }
  return is_file(path) ? sha256_of_file(path) : "";
}

}  // namespace

Failure refusal(const std::string& where, const std::string& what, const std::string& next) {
  return Failure("EdgeRuntimeError", where + ": " + what + "\n" + next);
}

Failure closed(const std::string& where) {
  return refusal(where, std::string("this user may not use it: ") + std::strerror(errno),
                 "Run the application as the user that the board is deployed to as.");
}

Served look(const std::string& root) {
  char target[PATH_MAX];
  const ssize_t length = readlink((root + "/current").c_str(), target, sizeof target);
  if (length < 0) {
    if (errno == ENOENT || errno == ENOTDIR || errno == EINVAL)
      throw refusal(root, "serves no release", "Deploy a release to this board: deploy --target NAME.");
    throw closed(root);
  }
  return state_of_release(root, base_name(std::string(target, static_cast<std::size_t>(length))));
}

Served state_of_release(const std::string& root, const std::string& digest) {
  Served served{root, digest, std::nullopt};
  struct stat found {};
  if (stat(served.adapted().c_str(), &found) == 0)
    served.state = {static_cast<std::int64_t>(found.st_ino), found.st_mtim.tv_sec, found.st_mtim.tv_nsec, found.st_size};
  else if (errno != ENOENT && errno != ENOTDIR)
    throw closed(root);
  return served;
}

Json read_whole_manifest(const Served& served) {
  if (sum_of(served, "manifest.json") != served.digest) throw damaged(served, "manifest.json");
  return read_manifest(served.folder());
}

Tensors read_whole_tensors(const Served& served, const Json& manifest) {
  require_whole(served, manifest, {manifest.at("infer").at("program").get<std::string>(), "tensors.safetensors"});
  if (served.state && access(served.adapted().c_str(), R_OK) != 0 && errno == EACCES) throw closed(served.adapted());
  try {
    return load_tensors(served.folder(), served.state ? Json(served.adapted()) : Json());
  } catch (const Failure& failure) {
    throw refusal(served.adapted(), std::string("what was learned cannot be read: ") + failure.what(),
                  "deploy adapt --target NAME --undo, or delete that file: the release serves as it was installed.");
  }
}

void require_whole(const Served& served, const Json& manifest, const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (sum_of(served, name) != manifest.at("files").at(name).at("sha256").get<std::string>())
      throw damaged(served, name);
}

}  // namespace edge
