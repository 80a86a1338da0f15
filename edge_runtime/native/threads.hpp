// How many threads the kernels use, and on which cores.
#pragma once

#include "json.hpp"

namespace edge {

// `spec`: threads, and cpu_affinity (list of cores) or none for all. Throws Failure if the system refuses.
void set_threads(const Json& spec);

}  // namespace edge
