// Files, with failures that say which one and why.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>

#include "failure.hpp"

namespace edge {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// "cannot read PATH: why", from errno.
Failure cannot(const std::string& what, const std::string& path);

File open_to_read(const std::string& path);

bool is_file(const std::string& path);

// All of a text file.
std::string read_text(const std::string& path);

// The text of a file in /proc or /sys without trailing zeros and white space; "" if it cannot be read.
std::string read_line(const std::string& path);

// Appear by one rename, after the bytes are on the disk, and then make the rename itself last.
void write_whole(const std::string& path, const std::function<void(std::FILE*)>& write);

void rename_to(const std::string& path, const std::string& to);

std::string base_name(const std::string& path);

}  // namespace edge
