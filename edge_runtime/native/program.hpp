// A `.pte` program, loaded with its holes filled.
#pragma once

#include <executorch/runtime/executor/program.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "holes.hpp"
#include "tensors.hpp"

namespace edge {

class Program {
 public:
  // Throws Failure with the file's name and what the runtime said.
  Program(const std::string& path, std::vector<Hole> holes);
  ~Program();

  // Run once. Throws Failure if number, shapes or types of the inputs are not the program's.
  void call(std::span<const View> inputs);

  // An output of the last call: valid until the next. Throws Failure if it is no float32 tensor.
  View output(std::size_t index) const;
  std::size_t outputs() const;

  // What the last call spent in the runtime itself.
  std::int64_t execute_ns() const { return execute_ns_; }

 private:
  struct Loaded;

  void check(std::span<const View> inputs) const;

  std::string path_;
  std::unique_ptr<Loaded> loaded_;
  std::vector<Shape> inputs_;
  std::vector<Type> types_;
  std::vector<Shape> outputs_;
  std::int64_t execute_ns_ = 0;
};

}  // namespace edge
