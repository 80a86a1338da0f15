// Tensors by name in a safetensors file: 8 bytes of header length, a JSON header, the raw values.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "array.hpp"

namespace runner {

// The arrays of a file: F32, I64, I32 and BOOL.
struct Tensors {
  std::map<std::string, Tensor> floats;
  std::map<std::string, Array> others;

  // Throw Failure that names the file if there is no such tensor, or none of floats.
  const Tensor& at(const std::string& name) const;
  View any(const std::string& name) const;

  std::string path;
};

// Throws Failure if the file cannot be read or its header does not fit it.
Tensors read_tensors(const std::string& path);

// In that order, by one rename, after the bytes are on the disk.
void write_tensors(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors);

}  // namespace runner
