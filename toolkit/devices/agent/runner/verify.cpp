// Prove an installed release on this board: digests, outputs against the host's, then latency; as agent/verify.py.
#include <algorithm>
#include <cmath>
#include <limits>

#include "conditions.hpp"
#include "facts.hpp"
#include "failure.hpp"
#include "release.hpp"
#include "threads.hpp"
#include "timing.hpp"
#include "verbs.hpp"

namespace runner {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// One output's largest difference from the host's, infinite if a value is no number; as agent/difference.py.
struct Difference {
  double most = 0, size = 0;

  void add(View got, View expected) {
    if (got.values.size() != expected.values.size())
      throw Failure("ValueError", "the program gives " + std::to_string(got.values.size()) + " values where " +
                                      std::to_string(expected.values.size()) + " are expected");
    for (std::size_t i = 0; i < got.values.size(); ++i) {
      const double apart = std::fabs(double{got.values[i]} - double{expected.values[i]});
      most = std::isfinite(apart) ? std::max(most, apart) : kInfinite;
      size = std::max(size, std::fabs(double{expected.values[i]}));
    }
  }

  // Its share of the largest expected value.
  double relative() const {
    if (most == 0 || most == kInfinite) return most;
    return size > 0 ? most / size : kInfinite;
  }
};

}  // namespace

Json verify(const Json& spec) {
  const auto folder = spec.at("release").get<std::string>();
  const auto corrupt = corrupt_files(folder, spec.at("digest").get<std::string>());
  if (!corrupt.empty()) return {{"corrupt", corrupt}};
  set_threads(spec);
  const Json manifest = read_manifest(folder);
  const Json before = conditions_at_work();
  const auto program = load_inference(folder, manifest, load_tensors(folder, nullptr));
  const Tensors accepted = read_tensors(folder + "/acceptance.safetensors");
  const Tensor &x = accepted.at("x"), &logits = accepted.at("logits"), &features = accepted.at("features");
  if (x.shape.empty() || x.shape[0] < 1) throw Failure("ValueError", accepted.path + " has no examples");
  const std::int64_t examples = x.shape[0];
  if (logits.shape.empty() || features.shape.empty() || logits.shape[0] != examples || features.shape[0] != examples)
    throw Failure("ValueError", accepted.path + " has not as many outputs as examples");
  Difference of_logits, of_features;
  Shape shape, expected;
  for (std::int64_t i = 0; i < examples; ++i) {
    const View one[] = {example(x, i, shape)};
    program->call(one);
    of_logits.add(program->output(0), example(logits, i, expected));
    of_features.add(program->output(1), example(features, i, expected));
  }
  const View first[] = {example(x, 0, shape)};
  const Json times = timed(*program, first, spec);
  Json done = {{"corrupt", Json::array()},
               {"max_abs_difference", std::max(of_logits.most, of_features.most)},
               {"max_relative_difference", std::max(of_logits.relative(), of_features.relative())},
               {"peak_bytes", peak_bytes()},
               {"conditions", {{"before", before}, {"after", conditions()}}}};
  done.update(times);
  done.update(what_ran({program_path(folder, manifest, "infer")}));
  return done;
}

}  // namespace runner
