#include "plain.hpp"

#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/extension/flat_tensor/flat_tensor_data_map.h>
#include <executorch/extension/flat_tensor/serialize/flat_tensor_header.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <set>
#include <vector>

#include "files.hpp"
#include "holes.hpp"
#include "journal.hpp"
#include "learned.hpp"
#include "messages.hpp"
#include "release.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

constexpr char kHoles[] = "holes.ptd", kModel[] = "model";
// Of what a writer that died left.
constexpr std::time_t kStaleS = 3600;

std::string folder_of(const Served& served) { return served.root + "/adapted/" + served.digest; }

std::string served_state(const Served& served) { return state_of(served.state ? served.adapted() : ""); }

template <typename Value>
Value must(executorch::runtime::Result<Value> result, const std::string& path) {
  if (!result.ok()) throw Failure("ValueError", path + " does not fit its program: " + said(result.error()));
  return std::move(result.get());
}

// A file of those values: what the release says stands before them, and each where that says.
std::string laid_out(const std::string& layout, const Holes& holes) {
  using executorch::extension::BufferDataLoader;
  using executorch::extension::FlatTensorDataMap;
  using executorch::extension::FlatTensorHeader;
  std::string data = read_text(layout);
  const FlatTensorHeader header = must(FlatTensorHeader::Parse(data.data(), data.size()), layout);
  data.resize(header.segment_base_offset + header.segment_data_size);
  BufferDataLoader loader(data.data(), data.size());
  const FlatTensorDataMap map = must(FlatTensorDataMap::load(&loader), layout);
  for (std::uint32_t index = 0; index < must(map.get_num_keys(), layout); ++index) {
    const char* const key = must(map.get_key(index), layout);
    const auto place = must(map.get_data(key), layout), value = must(holes.get_data(key), layout);
    const auto* const bytes = static_cast<const char*>(place.data());
    if (place.size() != value.size() || bytes < data.data() || bytes + place.size() > data.data() + data.size())
      throw Failure("ValueError", layout + " does not fit its program: " + key);
    std::memcpy(data.data() + (bytes - data.data()), value.data(), value.size());
  }
  holes.require_all_asked();
  return data;
}

void write_synced(const std::string& path, const std::string& text) {
  const File file(std::fopen(path.c_str(), "wbe"), std::fclose);
  if (!file || std::fwrite(text.data(), 1, text.size(), file.get()) != text.size() || std::fflush(file.get()) != 0 ||
      fsync(fileno(file.get())) != 0)
    throw cannot("write", path);
}

// The same bytes under another name; a copy where the file system has no such thing.
void share(const std::string& path, const std::string& to) {
  if (link(path.c_str(), to.c_str()) != 0) write_synced(to, read_text(path));
}

bool holds(const std::string& path, const std::string& text) { return is_file(path) && read_text(path) == text; }

bool same(const std::string& path, const std::string& other) {
  struct stat one {}, two {};
  if (stat(path.c_str(), &one) != 0 || stat(other.c_str(), &two) != 0) return false;
  if (one.st_dev == two.st_dev && one.st_ino == two.st_ino) return true;
  return is_file(path) && is_file(other) && sha256_of_file(path) == sha256_of_file(other);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  DIR* const opened = opendir(folder.c_str());
  if (!opened) return names;
  while (const dirent* const each = readdir(opened))
    if (const std::string name = each->d_name; name != "." && name != "..") names.push_back(name);
  closedir(opened);
  return names;
}

// One of files alone, if it is there.
void remove_folder(const std::string& folder) {
  for (const std::string& name : names_in(folder)) unlink((folder + "/" + name).c_str());
  rmdir(folder.c_str());
}

void make_folder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) throw cannot("make", path);
}

void point(const std::string& root, const std::string& folder) {
  const std::string model = root + "/" + kModel, aside = root + "/adapted/" + kModel + ".mine";
  if (folder.empty()) {
    unlink(model.c_str());
    return;
  }
  unlink(aside.c_str());
  if (symlink(folder.substr(root.size() + 1).c_str(), aside.c_str()) != 0) throw cannot("write", aside);
  rename_to(aside, model);
  sync_folder(root);
}

bool is_locked(const std::string& root) {
  struct stat found {};
  return lstat((root + "/lock").c_str(), &found) == 0;
}

// False where there is none: of a release of before, or for a disk without room.
bool leads_elsewhere(const Served& served) {
  if (is_locked(served.root) || access(served.root.c_str(), W_OK) != 0) return false;
  const std::string model = served.root + "/" + kModel;
  char target[4096];
  const ssize_t length = readlink(model.c_str(), target, sizeof target);
  if (length < 0) return false;
  const std::string right = "adapted/" + served.digest + "/" + served_state(served);
  return std::string(target, static_cast<std::size_t>(length)) != right || access(model.c_str(), F_OK) != 0;
}

}  // namespace

std::string state_of(const std::string& learned) {
  return learned.empty() ? kInstalled : sha256_of_file(learned).substr(0, kStateLength);
}

std::string write_plain(const Served& served, const std::string& learned) {
  const Json manifest = read_manifest(served.folder());
  const Json& infer = manifest.at("infer");
  if (!infer.contains("layout")) return "";
  const Tensors tensors = load_tensors(served.folder(), learned.empty() ? Json() : Json(learned));
  const Json classes = own_classes(tensors);
  std::map<std::string, std::string> own;
  if (!classes.is_null()) own[kClassesFile] = classes.dump();
  if (!infer.at("layout").is_null()) {
    require_whole(served, manifest, {infer.at("layout").get<std::string>()});  // nobody else looks at its bytes
    const std::string layout = program_path(served.folder(), infer.at("layout"));
    if (std::string data = laid_out(layout, Holes(fill_holes(manifest, tensors))); !data.empty()) own[kHoles] = std::move(data);
  }
  const std::string folder = folder_of(served) + "/" + state_of(learned);
  const std::string shared[] = {infer.at("program").get<std::string>(), "manifest.json"};
  const bool is_whole = std::ranges::all_of(
      shared, [&](const std::string& name) { return same(served.folder() + "/" + name, folder + "/" + name); });
  const bool is_own = std::ranges::all_of(own, [&](const auto& each) { return holds(folder + "/" + each.first, each.second); });
  if (is_whole && is_own) return folder;
  const std::string part = folder + "." + std::to_string(getpid()) + ".part";
  struct Cleared {
    const std::string& path;
    ~Cleared() { remove_folder(path); }
  } const cleared{part};
  remove_folder(part);
  for (const std::string& each : {served.root + "/adapted", folder_of(served), part}) make_folder(each);
  for (const std::string& name : shared) share(served.folder() + "/" + name, part + "/" + name);
  for (const auto& [name, data] : own) write_synced(part + "/" + name, data);
  sync_folder(part);
  if (std::rename(part.c_str(), folder.c_str()) == 0) {
    sync_folder(folder_of(served));
    return folder;
  }
  if (errno != ENOTEMPTY && errno != EEXIST) throw cannot("write", folder);
  for (const std::string& name : names_in(part)) rename_to(part + "/" + name, folder + "/" + name);  // it is damaged
  return folder;
}

void lead_to(Served served) {
  try {
    if (look(served.root).digest != served.digest) return;
    std::string folder;
    while (true) {
      folder = write_plain(served, served.state ? served.adapted() : "");
      point(served.root, folder);
      const Served now = look(served.root);
      if (now.digest == served.digest) break;
      served = now;  // a deployer activated it meanwhile, and what it had led to it may be overwritten
    }
    if (!folder.empty() && !is_locked(served.root)) sweep(served);
  } catch (const std::exception& error) {  // what is served does not depend on it
    unlink((served.root + "/" + kModel).c_str());
    note(served.root, "cannot lead model to what is served", {{"release", served.digest}, {"why", error.what()}});
  }
}

void mend_lead(const std::string& root) {
  try {
    if (!leads_elsewhere(look(root))) return;
    const Alone changing = Alone::changing(root);  // another that begins mends it, too
    const Served served = look(root);
    if (leads_elsewhere(served)) lead_to(served);
  } catch (const std::exception&) {
  }
}

void sweep(const Served& served) {
  std::set<std::string> kept = {kInstalled};
  for (const std::string& path : {served.adapted(), folder_of(served) + ".before.safetensors"})
    if (is_file(path)) kept.insert(state_of(path));
  for (const std::string& name : names_in(folder_of(served))) {
    const std::string path = folder_of(served) + "/" + name;
    struct stat found {};
    const bool seen = stat(path.c_str(), &found) == 0;
    const bool is_stale = seen && name.ends_with(".part") && std::time(nullptr) - found.st_mtime > kStaleS;
    const bool is_state = name.size() == kStateLength && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (is_stale || (is_state && !kept.contains(name))) remove_folder(path);
  }
}

void sync_folder(const std::string& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (folder < 0) return;
  fsync(folder);
  close(folder);
}

}  // namespace edge
