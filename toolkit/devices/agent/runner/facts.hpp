// What this board is: the same facts as agent/facts.py, null where they cannot be read.
#pragma once

#include "lines.hpp"

namespace edge {

Json facts();

// Peak resident memory of this process so far (VmHWM).
Json peak_bytes();

}  // namespace edge
