// A last line for the host when the runtime aborts instead of failing.
#pragma once

namespace edge {

// Keep the runtime's messages, and turn an abort or a fault into an `error` line and status 1.
void watch_for_crashes();

}  // namespace edge
