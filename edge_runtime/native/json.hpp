// JSON as the toolkit reads and writes it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace edge {

// Keeps the order of keys: holes are numbered by it.
using Json = nlohmann::ordered_json;

// As Python's json writes it: not a number and infinity by name, text that is no UTF-8 with replacement characters.
std::string to_text(const Json& value);

}  // namespace edge
