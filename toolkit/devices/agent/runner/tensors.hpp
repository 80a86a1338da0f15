// Tensors by name in a safetensors file: 8 bytes of header length, a JSON header, the raw values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace runner {

using Shape = std::vector<std::int64_t>;

std::int64_t count_of(const Shape& shape);

// "3 x 4"; "a single value" for no dimensions.
std::string words(const Shape& shape);

struct Tensor {
  Shape shape;
  std::vector<float> values;
};

// The arrays of a file that this program reads: F32 and I64.
struct Tensors {
  std::map<std::string, Tensor> floats;
  std::map<std::string, std::vector<std::int64_t>> integers;

  // Throws Failure that names the file if there is no such tensor.
  const Tensor& at(const std::string& name) const;

  std::string path;
};

// Throws Failure if the file cannot be read or its header does not fit it.
Tensors read_tensors(const std::string& path);

// In that order, by one rename, after the bytes are on the disk.
void write_tensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace runner
