// One JSON object a line on stdout; the host reads nothing else.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace runner {

// Keeps the order of keys: holes are numbered by it.
using Json = nlohmann::ordered_json;

// Print {"event": event, ...fields} and flush.
void emit(const std::string& event, const Json& fields);

// As Python's json writes it: not a number and infinity by name, text that is no UTF-8 with replacement characters.
std::string to_text(const Json& value);

}  // namespace runner
