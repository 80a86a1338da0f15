// What an application hands to a model, as its program takes it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "array.hpp"
#include "edge_runtime.h"
#include "json.hpp"

namespace edge {

// One input of a program. By `mean` and `deviation`, one for each channel or for all, bytes of images and int16 of
// recordings are normalised, and other values only where `always`. What is no input is a target: its values are as given.
struct Entry {
  std::string name;
  Shape shape;
  Type type;
  bool recordings;
  std::vector<double> mean, deviation;
  bool images, always, is_input;
};

// Of a manifest's port, and how its inputs were made of files (`preprocessing`), or null.
Entry entry_of(const Json& port, const Json& made);

// "x: float32 (3 x 32 x 32)"
std::string described(const Entry& entry);

// (N, ...) in the input's type. Where nothing had to be done, `view` is of the given values, else of `made`.
struct Taken {
  Array made;
  Shape shape;
  View view;
  bool alone;
};

// Throws Failure for what does not fit.
Taken take(const Entry& entry, const edge_tensor& given);

// One a program's input, in their order, of those given in it and by name. Throws Failure for too many or too few.
std::vector<const edge_tensor*> bound(std::span<const Entry> entries, std::span<const edge_tensor> given);

// As NumPy calls it.
const char* name_of(edge_type type);
std::size_t size_of(edge_type type);

edge_type as_given(Type type);

}  // namespace edge
