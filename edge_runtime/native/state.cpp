// As edge_runtime/state.py.
#include "state.hpp"

#include "clock.hpp"
#include "failure.hpp"

namespace edge {

namespace {

Json value_of(const Json& manifest, const char* key) { return manifest.contains(key) ? manifest.at(key) : Json(); }

// Logits that the release was accepted by, where it classifies: it is only compared with.
std::shared_ptr<Counters> counters_for(const Served& served, const Json& manifest) {
  Tensors accepted;
  return counters_of(served.root, served.digest, [&]() -> std::optional<View> {
    if (value_of(manifest, "measure") != "accuracy") return std::nullopt;
    try {
      accepted = read_tensors(served.folder() + "/acceptance.safetensors");
      return accepted.any("outputs." + manifest.at("outputs").at(0).at("name").get<std::string>());
    } catch (const std::exception&) {
      return std::nullopt;
    }
  });
}

}  // namespace

std::vector<float> State::call(std::span<const edge_tensor> inputs, std::size_t& examples) {
  std::vector<Taken> taken;
  try {
    const auto given = bound(told->entries, inputs);
    for (std::size_t i = 0; i < given.size(); ++i) taken.push_back(take(told->entries[i], *given[i]));
    for (const Taken& each : taken)
      if (each.view.rows() != taken.at(0).view.rows())
        throw refusal("edge_call", "was given " + std::to_string(taken[0].view.rows()) + " and " +
                                       std::to_string(each.view.rows()) + " examples",
                      "Give as many of each input.");
  } catch (const Failure&) {
    counters->refused();
    throw;
  }
  examples = static_cast<std::size_t>(taken.at(0).view.rows());
  std::vector<float> answers;
  const std::lock_guard<std::mutex> locked(running);
  for (std::size_t row = 0; row < examples; ++row) {
    std::vector<View> one;
    for (Taken& each : taken) {
      each.shape[0] = 1;
      const std::size_t size = each.view.bytes.size() / examples;
      one.push_back({each.view.type, each.shape, each.view.bytes.subspan(row * size, size)});
    }
    try {
      program->call(one);
      const auto out = program->output(0).floats();
      counters->called(program->execute_ns(), out);
      answers.insert(answers.end(), out.begin(), out.end());
    } catch (const Failure& failure) {
      counters->refused();
      throw refusal("edge_call", std::string("the network cannot take that: ") + failure.what(), "Give what it knows.");
    }
  }
  return answers;
}

Json State::info() const {
  Json about = {{"release", served.digest}, {"adapted", served.state.has_value()}, {"inputs", manifest.at("inputs")}};
  about["outputs"] = Json::array({manifest.at("outputs").at(0)});
  about["classes"] = told->classes;
  about["learns"] = !manifest.at("learn").is_null();
  for (const char* key : {"runtime", "runtime_version", "measure", "preprocessing"}) about[key] = value_of(manifest, key);
  about["counted"] = counters->counts();
  return about;
}

std::shared_ptr<State> load_state(const Served& served, const State* before) {
  auto state = std::make_shared<State>();
  state->served = served;
  state->manifest = read_whole_manifest(served);
  const auto runtime = state->manifest.at("runtime").get<std::string>();
  if (runtime != "executorch")
    throw refusal(served.root, "release " + served.digest.substr(0, 12) + " is for " + runtime + ", this library runs those for ExecuTorch",
                  "deploy --runtime executorch, or use the Python package edge_runtime.");
  const Tensors tensors = read_whole_tensors(served, state->manifest);
  try {
    state->program = load_inference(served.folder(), state->manifest, tensors);
  } catch (const Failure& failure) {
    throw refusal(served.state ? served.adapted() : served.folder(),
                  "release " + served.digest.substr(0, 12) + " cannot be loaded: " + failure.what(),
                  "deploy adapt --target NAME --undo, if it learned; or deploy it again.");
  }
  auto told = std::make_shared<Told>();
  told->release = served.digest;
  for (const Json& port : state->manifest.at("inputs"))
    told->entries.push_back(entry_of(port, value_of(state->manifest, "preprocessing")));
  told->classes = rows_of_classes(state->manifest, tensors);
  state->own_classes = own_classes(tensors);
  state->told = std::move(told);
  const bool same = before && before->served.digest == served.digest;
  state->counters = same ? before->counters : counters_for(served, state->manifest);
  return state;
}

}  // namespace edge
