// What ends a verb: a kind and a sentence, named as the Python agent names them.
#pragma once

#include <stdexcept>
#include <string>

namespace edge {

struct Failure : std::runtime_error {
  Failure(std::string kind_, const std::string& message) : std::runtime_error(message), kind(std::move(kind_)) {}
  std::string kind;
};

}  // namespace edge
