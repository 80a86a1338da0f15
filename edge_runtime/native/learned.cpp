// As edge_runtime/learned.py and generations.py.
#include "learned.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <set>
#include <vector>

#include "files.hpp"
#include "plain.hpp"

namespace edge {

namespace {

constexpr int kKept = 8;

std::string beside(const Served& served, const char* name) {
  return served.root + "/adapted/" + served.digest + "." + name + ".safetensors";
}

std::string generations_of(const Served& served) { return served.root + "/adapted/" + served.digest + "/generations"; }

bool is_there(const std::string& path) {
  struct stat found {};
  return lstat(path.c_str(), &found) == 0;
}

bool is_installed(const std::string& path) { return read_text(path).starts_with(kInstalled); }

void write_text(const std::string& path, const std::string& text) {
  write_whole(path, [&](std::FILE* file) { std::fwrite(text.data(), 1, text.size(), file); });
}

// What was kept as a learning began is the state of before, if something else is served now.
void settle(const Served& served) {
  // A deployer that is at work has its own still to settle.
  std::vector<const char*> names = {"own"};
  if (!is_there(served.root + "/lock")) names.push_back("next");
  for (const char* name : names) {
    const std::string following = beside(served, name);
    if (!is_file(following)) continue;
    const bool learned = is_file(served.adapted());
    const bool same = is_installed(following) ? !learned : learned && read_text(following) == read_text(served.adapted());
    if (same)
      unlink(following.c_str());
    else
      rename_to(following, beside(served, "before"));
  }
}

// As edge_runtime/profiles.py: a switch between profiles that was cut is over, one way or the other.
void settle_profiles(const Served& served) {
  const std::string folder = served.root + "/adapted/" + served.digest + "/profiles", next = folder + "/next";
  if (!is_file(next)) return;
  const std::string said = read_text(next), kept = folder + "/" + said.substr(0, said.find('\n')) + ".safetensors";
  const bool learned = is_file(served.adapted());
  const bool serves = is_file(kept) && (is_installed(kept) ? !learned : learned && read_text(kept) == read_text(served.adapted()));
  if (!serves) {
    unlink(next.c_str());
    return;
  }
  for (const char* name : {"own", "before", "next"}) unlink(beside(served, name).c_str());
  rename_to(next, folder + "/active");
}

struct Generation {
  int number;
  std::string state, name;
};

// A file NUMBER-STATE.safetensors, or number 0.
Generation generation_named(const std::string& name) {
  const std::size_t dash = name.find('-');
  int number = 0;
  if (dash == std::string::npos || name.substr(std::min(name.size(), dash + 1 + kStateLength)) != ".safetensors") return {};
  const auto read = std::from_chars(name.data(), name.data() + dash, number);
  if (read.ptr != name.data() + dash || number < 1) return {};
  return {number, name.substr(dash + 1, kStateLength), name};
}

std::vector<Generation> generations(const Served& served) {
  std::vector<Generation> found;
  DIR* const folder = opendir(generations_of(served).c_str());
  if (!folder) return found;
  while (const dirent* const each = readdir(folder))
    if (Generation one = generation_named(each->d_name); one.number > 0) found.push_back(std::move(one));
  closedir(folder);
  return found;
}

// Give what is served a number, unless it has one.
void record(const Served& served) {
  if (!is_file(served.adapted())) return;
  const std::string state = state_of(served.adapted());
  int last = 0;
  for (const Generation& each : generations(served)) {
    if (each.state == state) return;
    last = std::max(last, each.number);
  }
  mkdir((served.root + "/adapted/" + served.digest).c_str(), 0777);
  mkdir(generations_of(served).c_str(), 0777);
  const std::string path =
      generations_of(served) + "/" + std::to_string(last + 1) + "-" + state + ".safetensors";
  if (link(served.adapted().c_str(), path.c_str()) != 0) write_text(path, read_text(served.adapted()));
}

// Leave the newest few, and what is served or was before.
void prune(const Served& served) {
  std::set<std::string> spared;
  for (const std::string& path : {served.adapted(), beside(served, "before")})
    if (is_file(path)) spared.insert(state_of(path));
  int newest = 0;
  for (const Generation& each : generations(served)) newest = std::max(newest, each.number);
  for (const Generation& each : generations(served))
    if (each.number <= newest - kKept && !spared.contains(each.state))
      unlink((generations_of(served) + "/" + each.name).c_str());
}

// What is served does not depend on it: a full disk has no room for a number.
template <typename Work>
void as_may_be(const Work& work) {
  try {
    work();
  } catch (const std::exception&) {
  }
}

}  // namespace

Alone::Alone(const std::string& folder) : folder_(open(folder.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (folder_ < 0) throw closed(folder);
  while (flock(folder_, LOCK_EX) != 0)
    if (errno != EINTR) {
      const Failure failure = closed(folder);
      close(folder_);
      throw failure;
    }
}

Alone::~Alone() { close(folder_); }

void require_writable(const Served& served) {
  std::vector<std::string> folders = {served.root + "/adapted", served.root};
  if (is_there(served.root + "/adapted/" + served.digest)) folders.push_back(served.root + "/adapted/" + served.digest);
  for (const std::string& folder : folders)
    if (access(folder.c_str(), W_OK | X_OK) != 0) throw closed(folder);
}

void keep(const Served& served, const NamedTensors& values) {
  const std::string own = beside(served, "own"), aside = served.adapted() + ".mine";
  settle_profiles(served);
  settle(served);
  as_may_be([&] { record(served); });  // a deployer of before numbered nothing
  try {
    write_tensors(aside, values);
    write_plain(served, aside);
    write_text(own, is_file(served.adapted()) ? read_text(served.adapted()) : std::string(kInstalled) + "\n");
    if (look(served.root).digest != served.digest) {
      unlink(own.c_str());
      throw refusal(served.root, "another release was activated while this one learned", "Learn once more: on top of that.");
    }
    rename_to(aside, served.adapted());
  } catch (...) {
    unlink(aside.c_str());
    throw;
  }
  as_may_be([&] {  // whoever is next settles it
    settle(served);
    sync_folder(served.root + "/adapted");
  });
  as_may_be([&] {
    record(served);
    prune(served);
  });
  lead_to(state_of_release(served.root, served.digest));
}

bool undo(const Served& served) {
  const std::string before = beside(served, "before");
  settle_profiles(served);
  settle(served);
  as_may_be([&] { record(served); });
  if (!is_file(before))
    throw refusal(served.root, "there is nothing to undo on top of release " + served.digest.substr(0, 12),
                  "edge_info says what is served.");
  const bool installed = is_installed(before);
  if (installed) {
    if (unlink(served.adapted().c_str()) != 0 && errno != ENOENT) throw closed(served.adapted());
    unlink(before.c_str());
  } else {
    rename_to(before, served.adapted());
    as_may_be([&] { record(served); });
  }
  sync_folder(served.root + "/adapted");
  lead_to(state_of_release(served.root, served.digest));
  return !installed;
}

}  // namespace edge
