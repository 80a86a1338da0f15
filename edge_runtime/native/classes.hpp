// Which class each row of a head is of, as edge_runtime/classes.py.
#pragma once

#include <string>
#include <vector>

#include "json.hpp"
#include "release.hpp"

namespace edge {

// The tensor of what was learned that holds them, where it has others than the release.
inline constexpr char kOwnClasses[] = "classes";
// Beside a plain program, where it has such.
inline constexpr char kClassesFile[] = "classes.json";

// The logit of a row that is of no class: beside any other its share is zero.
inline constexpr double kNever = -1e4;

// Of a release's tensors, those that were learned in their place; "" where a row is free. Throws Failure.
std::vector<std::string> rows_of_classes(const Json& manifest, const Tensors& tensors);

// Names, null where a row is free; null in all where they are the release's own. Throws Failure.
Json own_classes(const Tensors& tensors);

// As what was learned holds them: JSON, a byte a value; and again, discarded where it is none.
Tensor packed(const Json& rows);
Json unpacked(const Tensor& tensor);

}  // namespace edge
