// `runner VERB SPEC.json`: one JSON object a line on stdout; the last says `done`, or `error` with what went wrong.
#include <algorithm>
#include <functional>
#include <map>
#include <new>

#include "crash.hpp"
#include "facts.hpp"
#include "failure.hpp"
#include "files.hpp"
#include "verbs.hpp"

namespace {

using edge::Failure;
using edge::Json;

const std::map<std::string, std::function<Json(const Json&)>> kVerbs = {
    {"facts", [](const Json&) { return edge::facts(); }},
    {"bench", edge::bench},
    {"infer", edge::infer},
    {"verify", edge::verify},
    {"adapt", edge::adapt},
    {"plain", edge::plain},
};

Json spec_at(const std::string& path) {
  const Json spec = Json::parse(edge::read_text(path), nullptr, false);
  if (!spec.is_object()) throw Failure("JSONDecodeError", path + " is no JSON object");
  return spec;
}

Json run(int count, char** arguments) {
  if (count < 2) throw Failure("ValueError", "which verb? runner VERB SPEC.json");
  const auto verb = kVerbs.find(arguments[1]);
  if (verb == kVerbs.end()) throw Failure("ValueError", std::string("unknown verb: ") + arguments[1]);
  return verb->second(count > 2 ? spec_at(arguments[2]) : Json::object());
}

int failed(const std::string& kind, const std::string& message) {
  edge::emit("error", {{"kind", kind}, {"message", message.substr(0, std::min<std::size_t>(message.size(), 2000))}});
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  edge::watch_for_crashes();
  try {
    edge::emit("done", run(count, arguments));
    return 0;
  } catch (const Failure& failure) {
    return failed(failure.kind, failure.what());
  } catch (const Json::exception& error) {  // a field is missing or of another type
    return failed(error.id == 403 ? "KeyError" : "TypeError", error.what());
  } catch (const std::bad_alloc&) {
    return failed("MemoryError", "not enough memory");
  } catch (const std::exception& error) {
    return failed("Error", error.what());
  }
}
