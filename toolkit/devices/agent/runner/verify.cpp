// Prove an installed release on this board: digests, outputs against the host's, then latency; as agent/verify.py.
#include <algorithm>
#include <cmath>
#include <limits>

#include "classes.hpp"
#include "conditions.hpp"
#include "facts.hpp"
#include "failure.hpp"
#include "release.hpp"
#include "threads.hpp"
#include "timing.hpp"
#include "verbs.hpp"

namespace edge {

namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// One output's largest difference from the host's, infinite if a value is no number; as agent/difference.py.
struct Difference {
  double most = 0, size = 0;

  void add(View got, View expected) {
    const std::span<const float> given = got.floats(), wanted = expected.floats();
    if (given.size() != wanted.size())
      throw Failure("ValueError", "the program gives " + std::to_string(given.size()) + " values where " +
                                      std::to_string(wanted.size()) + " are expected");
    for (std::size_t i = 0; i < given.size(); ++i) {
      const double apart = std::fabs(double{given[i]} - double{wanted[i]});
      most = std::isfinite(apart) ? std::max(most, apart) : kInfinite;
      if (double{wanted[i]} != kNever) size = std::max(size, std::fabs(double{wanted[i]}));
    }
  }

  // Its share of the largest expected value; what is of no class has no say in how large that is.
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
  const std::vector<View> inputs = inputs_of(manifest, accepted);
  std::vector<View> outputs;
  for (const Json& port : manifest.at("outputs")) {
    outputs.push_back(accepted.any("outputs." + port.at("name").get<std::string>()));
    if (outputs.back().rows() != inputs.at(0).rows())
      throw Failure("ValueError", accepted.path + " has not as many outputs as examples");
  }
  std::vector<Difference> differences(outputs.size());
  for (std::size_t i = 0; i < static_cast<std::size_t>(inputs.at(0).rows()); ++i) {
    const std::size_t row[] = {i};
    const std::vector<Array> one = rows_of_all(inputs, row);
    program->call(views_of(one));
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const Array expected = rows_of(outputs[k], row);
      differences[k].add(program->output(k), view(expected));
    }
  }
  const std::size_t row[] = {0};
  const std::vector<Array> first = rows_of_all(inputs, row);
  const Json times = timed(*program, views_of(first), spec);
  double most = 0, relative = 0;
  for (const Difference& each : differences) {
    most = std::max(most, each.most);
    relative = std::max(relative, each.relative());
  }
  Json done = {{"corrupt", Json::array()},
               {"max_abs_difference", most},
               {"max_relative_difference", relative},
               {"peak_bytes", peak_bytes()},
               {"conditions", {{"before", before}, {"after", conditions()}}}};
  done.update(times);
  done.update(what_ran({program_path(folder, manifest.at("infer").at("program"))}));
  return done;
}

}  // namespace edge
