// An installed release: manifest, digests, programs, tensors, and what this board has learned on top.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "json.hpp"
#include "program.hpp"
#include "tensors.hpp"

namespace edge {

// Throws Failure if the name of a file leaves the folder.
Json read_manifest(const std::string& folder);

// Names of files that are missing or altered: the manifest's SHA-256 is `digest`, and it holds the others'.
std::vector<std::string> corrupt_files(const std::string& folder, const std::string& digest);

// The release's tensors, with those this board has adapted in their place if `adapted` is the name of a file.
Tensors load_tensors(const std::string& folder, const Json& adapted);

// Value of each hole of the inference program, in order: core x basis where a core folds in, else the tensor.
std::vector<Hole> fill_holes(const Json& manifest, const Tensors& tensors);

// The path of a program that the manifest names. Throws Failure if it leaves the folder.
std::string program_path(const std::string& folder, const Json& name);

// The inference program, inputs -> logits, features, with its holes filled.
std::unique_ptr<Program> load_inference(const std::string& folder, const Json& manifest, const Tensors& tensors);

// The inputs of a file, in the order of the release's ports. Throws Failure unless all are as many, and at least one.
std::vector<View> inputs_of(const Json& manifest, const Tensors& file);

// Those rows of each: what a program takes.
std::vector<Array> rows_of_all(std::span<const View> arrays, std::span<const std::size_t> rows);

std::vector<View> views_of(std::span<const Array> arrays);

// "sha256" (file name -> digest) and "runtime_version" of programs that were run.
Json what_ran(const std::vector<std::string>& paths);

}  // namespace edge
