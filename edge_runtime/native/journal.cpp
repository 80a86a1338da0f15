// As edge_runtime/journal.py, whose deployers and applications in Python cut the file.
#include "journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <ctime>

namespace edge {

void note(const std::string& root, const std::string& event, const Json& fields) {
  Json line = {{"at_s", static_cast<std::int64_t>(std::time(nullptr))},
               {"event", event},
               {"by", "application " + std::to_string(getpid())}};
  line.update(fields);
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const int file = open((root + "/journal").c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return;
  [[maybe_unused]] const ssize_t written = write(file, text.data(), text.size());  // at once: several processes write
  close(file);
}

}  // namespace edge
