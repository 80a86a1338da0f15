#include "array.hpp"

#include <cstring>

#include "failure.hpp"

namespace edge {

std::int64_t count_of(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t size : shape) count *= size;
  return count;
}

std::string words(const Shape& shape) {
  std::string text;
  for (std::int64_t size : shape) text += (text.empty() ? "" : " x ") + std::to_string(size);
  return text.empty() ? "a single value" : text;
}

std::size_t size_of(Type type) {
  switch (type) {
    case Type::kInt64:
      return 8;
    case Type::kInt8:
    case Type::kBool:
      return 1;
    default:
      return 4;
  }
}

const char* name_of(Type type) {
  switch (type) {
    case Type::kFloat32:
      return "float32";
    case Type::kInt64:
      return "int64";
    case Type::kInt32:
      return "int32";
    case Type::kInt8:
      return "int8";
    default:
      return "bool";
  }
}

std::span<const float> View::floats() const {
  if (type != Type::kFloat32) throw Failure("ValueError", std::string("values are ") + name_of(type) + ", not float32");
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

std::span<const std::int64_t> View::integers() const {
  if (type != Type::kInt64) throw Failure("ValueError", std::string("values are ") + name_of(type) + ", not int64");
  return {reinterpret_cast<const std::int64_t*>(bytes.data()), bytes.size() / sizeof(std::int64_t)};
}

View view(const Tensor& tensor) { return {Type::kFloat32, tensor.shape, std::as_bytes(std::span(tensor.values))}; }

View view(const Array& array) { return {array.type, array.shape, array.bytes}; }

Array rows_of(const View& whole, std::span<const std::size_t> rows) {
  Array chosen{whole.type, Shape(whole.shape.begin(), whole.shape.end()), {}};
  if (whole.rows() < 1) throw Failure("ValueError", "there are no examples to choose from");
  const std::size_t size = whole.bytes.size() / static_cast<std::size_t>(whole.rows());
  chosen.shape[0] = static_cast<std::int64_t>(rows.size());
  chosen.bytes.resize(rows.size() * size);
  for (std::size_t i = 0; i < rows.size(); ++i)
    std::memcpy(chosen.bytes.data() + i * size, whole.bytes.data() + rows[i] * size, size);
  return chosen;
}

}  // namespace edge
