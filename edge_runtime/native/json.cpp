#include "json.hpp"

#include <cmath>

namespace edge {

namespace {

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return Json(value).dump();
}

}  // namespace

std::string to_text(const Json& value) {
  if (value.is_number_float()) return number(value.get<double>());
  if (value.is_string()) return quoted(value.get<std::string>());
  if (!value.is_structured()) return value.dump();
  std::string text;
  for (const auto& [key, each] : value.items()) {
    if (!text.empty()) text += ", ";
    text += value.is_object() ? quoted(key) + ": " + to_text(each) : to_text(each);
  }
  return value.is_object() ? "{" + text + "}" : "[" + text + "]";
}

}  // namespace edge
