// Run the installed release on given inputs, one at a time as the application would; as agent/infer.py.
#include "facts.hpp"
#include "failure.hpp"
#include "release.hpp"
#include "threads.hpp"
#include "verbs.hpp"

namespace runner {

Json infer(const Json& spec) {
  set_threads(spec);
  const auto folder = spec.at("release").get<std::string>();
  const Json manifest = read_manifest(folder);
  const auto program = load_inference(folder, manifest, load_tensors(folder, spec.value("adapted", Json())));
  const Tensors inputs = read_tensors(spec.at("inputs").get<std::string>());
  const Tensor& x = inputs.at("x");
  if (x.shape.empty()) throw Failure("ValueError", inputs.path + ": x is a single value, not a batch");
  Tensor logits{{x.shape[0], 0}, {}};
  Shape shape;
  for (std::int64_t i = 0; i < x.shape[0]; ++i) {
    const View one[] = {example(x, i, shape)};
    program->call(one);
    const View out = program->output(0);
    logits.shape[1] = static_cast<std::int64_t>(out.values.size());
    logits.values.insert(logits.values.end(), out.values.begin(), out.values.end());
  }
  write_tensors(spec.at("outputs").get<std::string>(), {{"logits", logits}});
  Json done = {{"examples", x.shape[0]}, {"peak_bytes", peak_bytes()}};
  done.update(what_ran({program_path(folder, manifest, "infer")}));
  return done;
}

}  // namespace runner
