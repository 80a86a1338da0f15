// The agent's verbs. Each takes its specification and returns the fields of its `done` line; see agent/*.py.
#pragma once

#include "lines.hpp"

namespace edge {

Json bench(const Json& spec);
Json infer(const Json& spec);
Json verify(const Json& spec);
Json adapt(const Json& spec);
Json plain(const Json& spec);

}  // namespace edge
