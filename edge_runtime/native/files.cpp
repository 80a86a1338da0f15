#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace edge {

namespace {

std::string read_all(std::FILE* file) {
  std::string text;
  char piece[4096];
  while (const std::size_t size = std::fread(piece, 1, sizeof piece, file)) text.append(piece, size);
  return text;
}

}  // namespace

Failure cannot(const std::string& what, const std::string& path) {
  const int reason = errno;
  return Failure(reason == ENOENT ? "FileNotFoundError" : "OSError",
                 "cannot " + what + " " + path + ": " + std::strerror(reason));
}

File open_to_read(const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) throw cannot("read", path);
  return file;
}

bool is_file(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

std::string read_text(const std::string& path) {
  const File file = open_to_read(path);
  std::string text = read_all(file.get());
  if (std::ferror(file.get())) throw cannot("read", path);
  return text;
}

std::string read_line(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) return "";
  std::string text = read_all(file.get());
  const std::size_t last = text.find_last_not_of(std::string("\0\n ", 3));
  return last == std::string::npos ? "" : text.substr(0, last + 1);
}

void write_whole(const std::string& path, const std::function<void(std::FILE*)>& write) {
  const std::string temporary = path + ".part";
  {
    const File file(std::fopen(temporary.c_str(), "wbe"), std::fclose);
    if (!file) throw cannot("write", temporary);
    write(file.get());
    if (std::fflush(file.get()) != 0 || std::ferror(file.get()) || fsync(fileno(file.get())) != 0) {
      const Failure failure = cannot("write", temporary);
      unlink(temporary.c_str());
      throw failure;
    }
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) throw cannot("write", path);
  const std::size_t slash = path.rfind('/');
  const int folder = open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_CLOEXEC);
  if (folder >= 0) {
    fsync(folder);
    close(folder);
  }
}

void rename_to(const std::string& path, const std::string& to) {
  if (std::rename(path.c_str(), to.c_str()) != 0) throw cannot("write", to);
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace edge
