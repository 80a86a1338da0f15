// What happened on a board, for `deploy logs`: what was learned and undone.
#pragma once

#include <string>

#include "json.hpp"

namespace edge {

// Add a line to `journal` in that folder; where that is not possible nothing is: what happens does not depend on it.
void note(const std::string& root, const std::string& event, const Json& fields);

}  // namespace edge
