#pragma once

#include <string>

namespace edge {

// "glibc 2.36" of the board itself, whatever this program brought along; "" where it has another C library.
std::string board_libc(const std::string& machine);

}  // namespace edge
