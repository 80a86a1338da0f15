// Time programs, each in a process of its own: load, warm up, repeat; as agent/bench.py.
#include <algorithm>

#include "apart.hpp"
#include "clock.hpp"
#include "conditions.hpp"
#include "failure.hpp"
#include "program.hpp"
#include "random.hpp"
#include "release.hpp"
#include "sha256.hpp"
#include "threads.hpp"
#include "timing.hpp"
#include "verbs.hpp"

namespace edge {

namespace {

Tensor random_values(const Json& shape, Normal& random) {
  Tensor tensor{shape.get<Shape>(), {}};
  for (std::int64_t size : tensor.shape)
    if (size < 0) throw Failure("ValueError", "a shape is negative: " + words(tensor.shape));
  tensor.values.resize(count_of(tensor.shape));
  for (float& value : tensor.values) value = random.next();
  return tensor;
}

// Whole numbers spread over what an int8 tensor holds, as agent/bench.py.
Array steps_of(const Tensor& tensor) {
  Array steps{Type::kInt8, tensor.shape, {}};
  for (float value : tensor.values)
    steps.bytes.push_back(static_cast<std::byte>(static_cast<std::int8_t>(std::clamp(32 * value, -128.0F, 127.0F))));
  return steps;
}

Json measure(const Json& spec, const Json& entry) {
  Normal random(0, 0);
  const auto path = entry.at("path").get<std::string>();
  std::vector<Hole> holes;
  if (entry.contains("holes"))
    for (const auto& [name, shape] : entry["holes"].items()) holes.push_back({name, random_values(shape, random)});
  std::vector<Tensor> inputs;
  for (const Json& shape : entry.value("inputs", Json::array())) inputs.push_back(random_values(shape, random));
  const bool in_int8 = entry.value("input_type", "float32") == "int8";
  std::vector<Array> steps;
  if (in_int8)
    for (const Tensor& each : inputs) steps.push_back(steps_of(each));
  std::vector<View> views;
  for (std::size_t i = 0; i < inputs.size(); ++i) views.push_back(in_int8 ? view(steps[i]) : view(inputs[i]));
  Tensors given;
  std::vector<Array> example;
  if (entry.contains("example")) {
    const std::size_t first[] = {0};
    given = read_tensors(entry["example"].at("path").get<std::string>());
    for (const Json& name : entry["example"].at("names")) example.push_back(rows_of(given.any(name.get<std::string>()), first));
    for (const Array& each : example) views.push_back(view(each));
  }
  const std::int64_t started = now_ns();
  Program program(path, std::move(holes));
  const double load_ms = static_cast<double>(now_ns() - started) / 1e6;
  Json row = {{"id", entry.at("id")}, {"load_ms", load_ms}, {"sha256", sha256_of_file(path)}};
  row.update(timed(program, views, spec));
  return row;
}

}  // namespace

Json bench(const Json& spec) {
  const auto runtime = spec.at("runtime").get<std::string>();
  if (runtime != "executorch") throw Failure("ValueError", "unknown runtime: " + runtime);
  const Json before = conditions_at_work();
  for (const Json& entry : spec.at("programs"))
    apart([&](const Peak& peak) {
      set_threads(spec);  // here: a fork has none of the threads of the process that it came from
      Json row = measure(spec, entry);
      row["peak_bytes"] = peak();
      emit("measured", row);
    });
  return {{"conditions", {{"before", before}, {"after", conditions()}}}, {"runtime_version", EXECUTORCH_VERSION}};
}

}  // namespace edge
