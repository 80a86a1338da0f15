#include "apart.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "facts.hpp"
#include "failure.hpp"
#include "files.hpp"

namespace edge {

namespace {

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63;  // Linux, Documentation/admin-guide/mm/pagemap.rst

// Numbers of the pages of files that this process has in memory.
std::set<std::uint64_t> mapped_pages() {
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::istringstream maps(read_text("/proc/self/maps"));
  std::ifstream pagemap("/proc/self/pagemap", std::ios::binary);
  if (!pagemap) throw cannot("read", "/proc/self/pagemap");
  std::set<std::uint64_t> pages;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('/') == std::string::npos) continue;
    char* rest = nullptr;
    const std::uint64_t first = std::strtoull(line.c_str(), &rest, 16) / page;
    const std::uint64_t end = std::strtoull(rest + 1, nullptr, 16) / page;
    std::vector<std::uint64_t> entries(end - first);
    pagemap.seekg(static_cast<std::streamoff>(first * sizeof(std::uint64_t)));
    pagemap.read(reinterpret_cast<char*>(entries.data()),
                 static_cast<std::streamsize>(entries.size() * sizeof(std::uint64_t)));
    for (std::uint64_t i = 0; i < entries.size(); ++i)
      if (entries[i] & kPresent) pages.insert(first + i);
  }
  return pages;
}

// Pages that were read before the fork are not in it until they are used again: a whole process has them as well.
Json whole_peak(const std::set<std::uint64_t>& before) {
  const std::set<std::uint64_t> now = mapped_pages();
  const auto lost = std::count_if(before.begin(), before.end(), [&](std::uint64_t each) { return !now.contains(each); });
  const Json peak = peak_bytes();
  return peak.is_null() ? peak : Json(peak.get<std::int64_t>() + lost * sysconf(_SC_PAGESIZE));
}

}  // namespace

void apart(const std::function<void(const Peak&)>& work) {
  const std::set<std::uint64_t> before = mapped_pages();
  const pid_t child = fork();
  if (child < 0) throw cannot("start", "a process");
  if (child == 0) {
    work([&] { return whole_peak(before); });
    _exit(0);
  }
  int ended = 0;
  while (waitpid(child, &ended, 0) < 0 && errno == EINTR) continue;
  if (ended != 0) _exit(WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : WEXITSTATUS(ended));
}

}  // namespace edge
