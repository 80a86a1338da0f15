// As edge_runtime/journal.py.
#include "journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>

#include "files.hpp"

namespace edge {

namespace {

constexpr off_t kMostBytes = 200'000;

void append(const std::string& path, const std::string& text) {
  // No link of ours leads out of the folder, and what is no file must not make an application wait.
  const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const int file = open(path.c_str(), flags, 0666);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());  // at once: several processes write
  struct stat said {}, there {};
  const bool full = fstat(file, &said) == 0 && said.st_size > kMostBytes;
  close(file);
  if (full && stat(path.c_str(), &there) == 0 && there.st_ino == said.st_ino)
    std::rename(path.c_str(), (path + ".before").c_str());
}

}  // namespace

void note(const std::string& root, const std::string& event, const Json& fields) {
  if (!is_file(root + "/edge-deploy-folder")) return;  // a folder that is nobody's stays empty
  Json line = {{"at_s", static_cast<std::int64_t>(std::time(nullptr))},
               {"event", event},
               {"by", "application " + std::to_string(getpid())}};
  line.update(fields);
  append(root + "/journal", "\n" + line.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace edge
