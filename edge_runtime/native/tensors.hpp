// Tensors by name in a safetensors file: 8 bytes of header length, a JSON header, the raw values.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"

namespace edge {

// The arrays of a file: F32, I64, I32 and BOOL.
struct Tensors {
  std::map<std::string, Tensor> floats;
  std::map<std::string, Array> others;

  // Throw Failure that names the file if there is no such tensor, or none of floats.
  const Tensor& at(const std::string& name) const;
  View any(const std::string& name) const;

  std::string path;
};

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

// Throws Failure if the file cannot be read or its header does not fit it.
Tensors read_tensors(const std::string& path);

// In that order, by one rename, after the bytes are on the disk, with a digest that `read_tensors` holds them to.
void write_tensors(const std::string& path, const NamedTensors& tensors);

}  // namespace edge
