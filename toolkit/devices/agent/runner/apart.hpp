// A process for each program, as agent/apart.py: what one program leaves in memory is not counted for the next.
#pragma once

#include <functional>

#include "lines.hpp"

namespace edge {

using Peak = std::function<Json()>;

// Calls work(peak) in a process of its own and waits; peak() there is the peak of a whole process, in bytes. If it
// throws, what it threw goes on in that process, and this one ends with its status once it has ended.
void apart(const std::function<void(const Peak&)>& work);

}  // namespace edge
