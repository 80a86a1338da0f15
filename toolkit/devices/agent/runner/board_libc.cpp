#include "board_libc.hpp"

#include "files.hpp"

namespace edge {

std::string board_libc(const std::string& machine) {
  // What the library prints when it is run: "GNU C Library (...) stable release version 2.36."
  const std::string banner = "GNU C Library", before = "release version ";
  for (const std::string& folder : {"/lib/" + machine + "-linux-gnu", "/usr/lib/" + machine + "-linux-gnu",
                                    std::string("/lib64"), std::string("/usr/lib64"), std::string("/lib")}) {
    const std::string path = folder + "/libc.so.6";
    if (!is_file(path)) continue;
    const std::string bytes = read_text(path);
    const std::size_t banner_at = bytes.find(banner);
    if (banner_at == std::string::npos) continue;
    const std::size_t start = bytes.find(before, banner_at);
    if (start == std::string::npos) continue;
    const std::size_t end = bytes.find_first_not_of("0123456789.", start + before.size());
    std::string version = bytes.substr(start + before.size(), end - start - before.size());
    if (version.ends_with('.')) version.pop_back();
    return "glibc " + version;
  }
  return "";
}

}  // namespace edge
