// One JSON object a line on stdout; the host reads nothing else.
#pragma once

#include <string>

#include "json.hpp"

namespace edge {

// Print {"event": event, ...fields} and flush.
void emit(const std::string& event, const Json& fields);

}  // namespace edge
