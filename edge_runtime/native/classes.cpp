#include "classes.hpp"

#include "failure.hpp"

namespace edge {

std::vector<std::string> rows_of_classes(const Json& manifest, const Tensors& tensors) {
  std::vector<std::string> rows;
  if (const Json own = own_classes(tensors); !own.is_null()) {
    for (const Json& each : own) rows.push_back(each.is_string() ? each.get<std::string>() : "");
    return rows;
  }
  rows = manifest.at("classes").get<std::vector<std::string>>();
  rows.resize(rows.size() + manifest.value("spare_classes", std::size_t{0}));
  return rows;
}

Json own_classes(const Tensors& tensors) {
  const auto found = tensors.floats.find(kOwnClasses);
  if (found == tensors.floats.end()) return {};
  Json rows = unpacked(found->second);
  if (!rows.is_array()) throw Failure("ValueError", tensors.path + ": classes are no list");
  return rows;
}

Json unpacked(const Tensor& tensor) {
  std::string text;
  for (const float value : tensor.values) text += static_cast<char>(static_cast<unsigned char>(value));
  return Json::parse(text, nullptr, false);
}

Tensor packed(const Json& rows) {
  const std::string text = rows.dump();
  Tensor tensor{{static_cast<std::int64_t>(text.size())}, {}};
  for (const char each : text) tensor.values.push_back(static_cast<float>(static_cast<unsigned char>(each)));
  return tensor;
}

}  // namespace edge
