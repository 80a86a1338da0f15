#include "facts.hpp"

#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "board_libc.hpp"
#include "conditions.hpp"
#include "files.hpp"

namespace edge {

namespace {

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// The first value of each key, keys in lower case, of a file of "key: value" lines.
std::map<std::string, std::string> fields_of(const std::string& path) {
  std::map<std::string, std::string> fields;
  std::istringstream lines(read_line(path));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::string key = trimmed(line.substr(0, colon));
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
    fields.emplace(key, trimmed(line.substr(colon + 1)));
  }
  return fields;
}

Json kibibytes(const std::string& path, const std::string& key) {
  const auto fields = fields_of(path);
  const auto found = fields.find(key);
  return found == fields.end() ? Json() : Json(std::strtoll(found->second.c_str(), nullptr, 10) * 1024);
}

Json cpu_model() {
  auto fields = fields_of("/proc/cpuinfo");
  if (fields.contains("model name")) return fields["model name"];
  if (!fields.contains("cpu part")) return {};
  const std::string implementer = fields.contains("cpu implementer") ? fields["cpu implementer"] : "None";
  return "implementer " + implementer + " part " + fields["cpu part"];
}

std::string os_name(const utsname& system) {
  std::istringstream lines(read_line("/etc/os-release"));
  const std::string key = "PRETTY_NAME=";
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    std::string name = line.substr(key.size());
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') name = name.substr(1, name.size() - 2);
    return name;
  }
  return system.sysname;
}

Json free_disk() {
  const char* home = std::getenv("HOME");
  struct statvfs found {};
  if (statvfs(home && *home ? home : "/", &found) != 0) return 0;
  return static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
}

}  // namespace

Json facts() {
  utsname system{};
  uname(&system);
  return {{"machine", system.machine},
          {"cpu", cpu_model()},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"ram_bytes", kibibytes("/proc/meminfo", "memtotal")},
          {"ram_available_bytes", kibibytes("/proc/meminfo", "memavailable")},
          {"disk_free_bytes", free_disk()},
          {"os", os_name(system)},
          {"kernel", system.release},
          {"libc", or_null(board_libc(system.machine))},
          {"python", nullptr},
          {"board", or_null(read_line("/proc/device-tree/model"))},
          {"runtimes", {{"executorch", EXECUTORCH_VERSION}}},
          {"conditions", conditions()}};
}

Json peak_bytes() { return kibibytes("/proc/self/status", "vmhwm"); }

}  // namespace edge
