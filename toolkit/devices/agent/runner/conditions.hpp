// What changes on a board from one minute to the next and moves latencies: as agent/conditions.py, null where unreadable.
#pragma once

#include "lines.hpp"

namespace edge {

Json conditions();

// The same with the clock as high as a governor takes it when there is work: an idle one says nothing of it.
Json conditions_at_work();

}  // namespace edge
