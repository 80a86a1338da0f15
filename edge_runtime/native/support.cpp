// As edge_runtime/support.py.
#include "support.hpp"

#include <cmath>
#include <cstring>
#include <set>

namespace edge {

namespace {

constexpr char kWhere[] = "edge_learn";

// Releases of before do not say what they are judged by: those with labels classified.
bool classifies(const Json& manifest) {
  const Json& target = manifest.at("learn").at("target");
  const bool labels = target.at("shape").empty() && target.at("dtype") == "int64";
  return labels && (!manifest.contains("measure") || manifest.at("measure").is_null() || manifest.at("measure") == "accuracy");
}

Array copied(const Taken& taken) {
  return {taken.view.type, taken.shape, {taken.view.bytes.begin(), taken.view.bytes.end()}};
}

void put(Tensors& tensors, const std::string& name, const Array& array) {
  if (array.type != Type::kFloat32) {
    tensors.others[name] = array;
    return;
  }
  Tensor& tensor = tensors.floats[name];
  tensor.shape = array.shape;
  tensor.values.resize(array.bytes.size() / sizeof(float));
  if (!array.bytes.empty()) std::memcpy(tensor.values.data(), array.bytes.data(), array.bytes.size());
}

// Of rows that are free none may be given, of all others an example.
void require_classes(const State& state, std::span<const std::int64_t> places) {
  const std::vector<std::string>& rows = state.told->classes;
  const std::set<std::int64_t> seen(places.begin(), places.end());
  std::string what;
  for (const std::int64_t place : seen)
    if (place < 0 || place >= static_cast<std::int64_t>(rows.size()) || rows[static_cast<std::size_t>(place)].empty())
      what = std::to_string(place) + " is the place of none of its classes";
  for (std::size_t place = 0; place < rows.size(); ++place)
    if (what.empty() && !rows[place].empty() && !seen.contains(static_cast<std::int64_t>(place))) what = "has no example of " + rows[place];
  if (!what.empty()) throw refusal(kWhere, what, "Give examples of every class; edge_info names them.");
}

// One target a row: a column where single values are expected, too.
Array targets_of(const Json& target, const edge_tensor& given) {
  Entry entry = entry_of(target, Json());
  entry.is_input = false;
  edge_tensor several = given;
  std::int64_t column[] = {0, 1};
  if (entry.shape == Shape{1} && given.dimensions == 1 && given.shape) {
    column[0] = given.shape[0];
    several.shape = column;
    several.dimensions = 2;
  }
  Taken taken = take(entry, several);
  if (taken.alone) throw refusal(kWhere, "targets are those of one example", "Give several, of which some can be held out.");
  Array array = copied(taken);
  if (array.type == Type::kFloat32)
    for (const float value : view(array).floats())
      if (!std::isfinite(value)) throw refusal(kWhere, "targets hold what is no number", "Leave these examples out.");
  return array;
}

}  // namespace

Tensors support_of(const State& state, std::span<const edge_tensor> inputs, const edge_tensor& targets) {
  const Json& learn = state.manifest.at("learn");
  if (learn.is_null()) {
    const bool told = state.manifest.contains("hindrance") && state.manifest.at("hindrance").is_string();
    const std::string why = told ? state.manifest.at("hindrance").get<std::string>() : "it was made without";
    throw refusal(kWhere, "the release does not learn: " + why, "Deploy a model of which something can be trained.");
  }
  Tensors support;
  support.path = kWhere;
  const Array y = targets_of(learn.at("target"), targets);
  const std::int64_t count = y.shape.at(0);
  const auto given = bound(state.told->entries, inputs);
  for (std::size_t i = 0; i < given.size(); ++i) {
    const Array rows = copied(take(state.told->entries[i], *given[i]));
    if (rows.shape.at(0) != count)
      throw refusal(kWhere, "was given " + std::to_string(rows.shape[0]) + " inputs and " + std::to_string(count) + " targets",
                    "Give one target an example.");
    put(support, "inputs." + state.told->entries[i].name, rows);
  }
  if (!learn.at("starts").empty() && count > learn.at("most").get<std::int64_t>())
    throw refusal(kWhere, "was given " + std::to_string(count) + " examples; the release takes " +
                              std::to_string(learn.at("most").get<std::int64_t>()) + " at most",
                  "Give fewer.");
  put(support, "targets." + learn.at("target").at("name").get<std::string>(), y);
  Array strata{Type::kInt64, {count}, std::vector<std::byte>(static_cast<std::size_t>(count) * sizeof(std::int64_t))};
  if (classifies(state.manifest)) {
    require_classes(state, view(y).integers());
    strata.bytes = y.bytes;
  }
  put(support, "strata", strata);
  return support;
}

}  // namespace edge
