#include "lines.hpp"

#include <cstdio>

namespace edge {

void emit(const std::string& event, const Json& fields) {
  Json line = {{"event", event}};
  line.update(fields);
  std::string text = to_text(line) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace edge
