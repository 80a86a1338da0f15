#include "release.hpp"

#include <map>

#include "classes.hpp"
#include "failure.hpp"
#include "files.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

const std::string kManifest = "/manifest.json";

void require_inside(const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
    throw Failure("ValueError", "manifest names a file outside its folder: " + name);
}

Tensor folded(const Tensor& core, const Tensor& basis) {
  const std::int64_t rank = core.shape.empty() ? 0 : core.shape[0];
  if (rank < 1 || core.values.size() != static_cast<std::size_t>(rank * rank) || basis.values.size() % rank != 0)
    throw Failure("ValueError", "a core of " + words(core.shape) + " does not fold into " + words(basis.shape));
  const auto width = static_cast<std::int64_t>(basis.values.size()) / rank;
  Tensor result{basis.shape, std::vector<float>(basis.values.size())};
  std::vector<double> row(width);
  for (std::int64_t i = 0; i < rank; ++i) {
    std::fill(row.begin(), row.end(), 0.0);
    for (std::int64_t k = 0; k < rank; ++k) {
      const double factor = core.values[i * rank + k];
      const float* values = basis.values.data() + k * width;
      for (std::int64_t j = 0; j < width; ++j) row[j] += factor * values[j];
    }
    std::copy(row.begin(), row.end(), result.values.begin() + i * width);
  }
  return result;
}

}  // namespace

Json read_manifest(const std::string& folder) {
  Json manifest = Json::parse(read_text(folder + kManifest), nullptr, false);
  if (!manifest.is_object()) throw Failure("ValueError", folder + kManifest + " is no JSON object");
  for (const auto& [name, entry] : manifest.at("files").items()) require_inside(name);
  return manifest;
}

std::vector<std::string> corrupt_files(const std::string& folder, const std::string& digest) {
  if (!is_file(folder + kManifest) || sha256_of_file(folder + kManifest) != digest) return {"manifest.json"};
  std::vector<std::string> wrong;
  const Json manifest = read_manifest(folder);
  for (const auto& [name, entry] : manifest.at("files").items()) {
    const std::string path = folder + "/" + name;
    if (!is_file(path) || sha256_of_file(path) != entry.at("sha256").get<std::string>()) wrong.push_back(name);
  }
  return wrong;
}

Tensors load_tensors(const std::string& folder, const Json& adapted) {
  Tensors tensors = read_tensors(folder + "/tensors.safetensors");
  if (adapted.is_string() && is_file(adapted.get<std::string>()))
    for (auto& [name, tensor] : read_tensors(adapted.get<std::string>()).floats) {
      if (name != kOwnClasses && tensors.at(name).shape != tensor.shape)
        throw Failure("ValueError", adapted.get<std::string>() + ": '" + name + "' is " + words(tensor.shape) +
                                        ", the release's is " + words(tensors.at(name).shape));
      tensors.floats[name] = std::move(tensor);
    }
  return tensors;
}

std::vector<Hole> fill_holes(const Json& manifest, const Tensors& tensors) {
  std::map<std::string, std::string> cores;
  for (const Json& fold : manifest.at("folds"))
    cores[fold.at("hole").get<std::string>()] = fold.at("core").get<std::string>();
  std::vector<Hole> holes;
  for (const Json& each : manifest.at("infer").at("holes")) {
    const auto name = each.get<std::string>();
    const Tensor& basis = tensors.at(name);
    holes.push_back({name, cores.contains(name) ? folded(tensors.at(cores[name]), basis) : basis});
  }
  return holes;
}

std::string program_path(const std::string& folder, const Json& name) {
  require_inside(name.get<std::string>());
  return folder + "/" + name.get<std::string>();
}

std::unique_ptr<Program> load_inference(const std::string& folder, const Json& manifest, const Tensors& tensors) {
  const auto runtime = manifest.at("runtime").get<std::string>();
  if (runtime != "executorch") throw Failure("ValueError", "unknown runtime: " + runtime);
  return std::make_unique<Program>(program_path(folder, manifest.at("infer").at("program")), fill_holes(manifest, tensors));
}

std::vector<View> inputs_of(const Json& manifest, const Tensors& file) {
  std::vector<View> inputs;
  for (const Json& port : manifest.at("inputs")) inputs.push_back(file.any("inputs." + port.at("name").get<std::string>()));
  for (const View& each : inputs)
    if (each.rows() < 1 || each.rows() != inputs[0].rows())
      throw Failure("ValueError", file.path + ": inputs are not as many, or none");
  return inputs;
}

std::vector<Array> rows_of_all(std::span<const View> arrays, std::span<const std::size_t> rows) {
  std::vector<Array> chosen;
  for (const View& each : arrays) chosen.push_back(rows_of(each, rows));
  return chosen;
}

std::vector<View> views_of(std::span<const Array> arrays) {
  std::vector<View> views;
  for (const Array& each : arrays) views.push_back(view(each));
  return views;
}

Json what_ran(const std::vector<std::string>& paths) {
  Json digests = Json::object();
  for (const std::string& path : paths) digests[base_name(path)] = sha256_of_file(path);
  return {{"sha256", digests}, {"runtime_version", EXECUTORCH_VERSION}};
}

}  // namespace edge
