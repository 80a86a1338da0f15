// What this board is, and in what state: the same facts as agent/facts.py, null where they cannot be read.
#pragma once

#include "lines.hpp"

namespace runner {

Json facts();

// What changes from one minute to the next and moves latencies.
Json conditions();

// Peak resident memory of this process so far (VmHWM).
Json peak_bytes();

}  // namespace runner
