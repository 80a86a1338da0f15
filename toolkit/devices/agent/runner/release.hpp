// An installed release: manifest, digests, programs, tensors, and what this board has learned on top.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lines.hpp"
#include "program.hpp"
#include "tensors.hpp"

namespace runner {

// Throws Failure if the name of a file leaves the folder.
Json read_manifest(const std::string& folder);

// Names of files that are missing or altered: the manifest's SHA-256 is `digest`, and it holds the others'.
std::vector<std::string> corrupt_files(const std::string& folder, const std::string& digest);

// The release's tensors, with those this board has adapted in their place if `adapted` is the name of a file.
Tensors load_tensors(const std::string& folder, const Json& adapted);

// Value of each hole of the inference program, in order: core x basis where a core folds in, else the tensor.
std::vector<Hole> fill_holes(const Json& manifest, const Tensors& tensors);

// "infer" or "train": the path of that program.
std::string program_path(const std::string& folder, const Json& manifest, const char* which);

// The inference program, x -> logits, features, with its holes filled.
std::unique_ptr<Program> load_inference(const std::string& folder, const Json& manifest, const Tensors& tensors);

// Example `index` of a batch, as a batch of one; `shape` keeps the sizes that the view points at.
View example(const Tensor& batch, std::size_t index, Shape& shape);

// "sha256" (file name -> digest) and "runtime_version" of programs that were run.
Json what_ran(const std::vector<std::string>& paths);

}  // namespace runner
