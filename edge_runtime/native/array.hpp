// Values of the types that programs take, and views of them that someone else owns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace edge {

using Shape = std::vector<std::int64_t>;

std::int64_t count_of(const Shape& shape);

// "3 x 4"; "a single value" for no dimensions.
std::string words(const Shape& shape);

enum class Type { kFloat32, kInt64, kInt32, kInt8, kBool };

std::size_t size_of(Type type);

// As NumPy and a manifest call it.
const char* name_of(Type type);

// What most tensors are.
struct Tensor {
  Shape shape;
  std::vector<float> values;
};

struct Array {
  Type type = Type::kFloat32;
  Shape shape;
  std::vector<std::byte> bytes;
};

struct View {
  Type type;
  std::span<const std::int64_t> shape;
  std::span<const std::byte> bytes;

  // Its values, which are float32; throws Failure if they are not.
  std::span<const float> floats() const;
  std::span<const std::int64_t> integers() const;
  std::int64_t rows() const { return shape.empty() ? 0 : shape[0]; }
};

View view(const Tensor& tensor);
View view(const Array& array);

// Those rows of the first dimension, in that order.
Array rows_of(const View& whole, std::span<const std::size_t> rows);

}  // namespace edge
