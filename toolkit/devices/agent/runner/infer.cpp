// Run the installed release on given inputs, one at a time as the application would; as agent/infer.py.
#include "facts.hpp"
#include "failure.hpp"
#include "release.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace edge {

Json infer(const Json& spec) {
  set_threads(spec);
  const auto folder = spec.at("release").get<std::string>();
  const Json manifest = read_manifest(folder);
  const auto program = load_inference(folder, manifest, load_tensors(folder, spec.value("adapted", Json())));
  const Tensors file = read_tensors(spec.at("inputs").get<std::string>());
  const std::vector<View> inputs = inputs_of(manifest, file);
  Tensor outputs;
  for (std::size_t i = 0; i < static_cast<std::size_t>(inputs.at(0).rows()); ++i) {
    const std::size_t row[] = {i};
    const std::vector<Array> one = rows_of_all(inputs, row);
    program->call(views_of(one));
    const View out = program->output(0);
    outputs.shape.assign(out.shape.begin(), out.shape.end());
    outputs.values.insert(outputs.values.end(), out.floats().begin(), out.floats().end());
  }
  outputs.shape.at(0) = inputs.at(0).rows();
  const auto first = manifest.at("outputs").at(0).at("name").get<std::string>();
  write_tensors(spec.at("outputs").get<std::string>(), {{"outputs." + first, outputs}});
  Json done = {{"examples", inputs.at(0).rows()}, {"peak_bytes", peak_bytes()}};
  done.update(what_ran({program_path(folder, manifest.at("infer").at("program"))}));
  return done;
}

}  // namespace edge
