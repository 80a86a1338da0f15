// The same for C++: a model that closes itself, answers of its own, and exceptions. See edge_runtime.h.
#ifndef EDGE_RUNTIME_HPP
#define EDGE_RUNTIME_HPP

#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "edge_runtime.h"

namespace edge_runtime {

// Its text says where, what, and in a second line what to do.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline edge_type type_of(const float*) { return EDGE_FLOAT32; }
inline edge_type type_of(const std::int64_t*) { return EDGE_INT64; }
inline edge_type type_of(const std::int32_t*) { return EDGE_INT32; }
inline edge_type type_of(const std::int16_t*) { return EDGE_INT16; }
inline edge_type type_of(const std::uint8_t*) { return EDGE_UINT8; }
inline edge_type type_of(const std::int8_t*) { return EDGE_INT8; }
inline edge_type type_of(const bool*) { return EDGE_BOOL; }

// Values that someone else owns, of the shape of one example, or with one more dimension in front of several.
class Input {
 public:
  template <typename Value>
  Input(const Value* values, std::vector<std::int64_t> shape, const char* name = nullptr)
      : shape_(std::move(shape)), tensor_{name, type_of(values), values, nullptr, 0} {}

  edge_tensor tensor() const {
    edge_tensor tensor = tensor_;
    tensor.shape = shape_.data();
    tensor.dimensions = shape_.size();
    return tensor;
  }

 private:
  std::vector<std::int64_t> shape_;
  edge_tensor tensor_;
};

// The first output: `values` of all examples, one after the other; `classes` are those of these very outputs.
struct Answer {
  std::vector<float> values;
  std::size_t examples;
  std::vector<std::string> classes;
  std::string release;
};

struct Learned {
  bool accepted;
  std::string reason;
  std::int64_t examples, steps;
  bool judged;
  double loss_before, score_before, loss_after, score_after;
};

class Model {
 public:
  // Throws Error, as all of these do.
  explicit Model(const char* root = nullptr, int threads = 1) : model_(edge_load(root, threads), edge_close) {
    if (!model_) throw Error(edge_error());
  }

  Answer operator()(std::initializer_list<Input> inputs) {
    const std::vector<edge_tensor> tensors = tensors_of(inputs);
    edge_answer answer;
    check(edge_call(model_.get(), tensors.data(), tensors.size(), &answer));
    return {{answer.values, answer.values + answer.examples * answer.values_per_example},
            answer.examples,
            {answer.classes, answer.classes + answer.classes_count},
            answer.release};
  }

  // The shape of one example of that input.
  std::vector<std::int64_t> shape_of(std::size_t place = 0) {
    edge_tensor input;
    if (check(edge_input(model_.get(), place, &input)) == 0) throw Error("edge_runtime: it has no such input");
    return {input.shape, input.shape + input.dimensions};
  }

  Learned learn(std::initializer_list<Input> inputs, const Input& targets, edge_how how = {0, 0, 0}) {
    const std::vector<edge_tensor> tensors = tensors_of(inputs);
    const edge_tensor target = targets.tensor();
    edge_learned learned;
    check(edge_learn(model_.get(), tensors.data(), tensors.size(), &target, &how, &learned));
    return {learned.accepted != 0, learned.reason,      learned.examples,     learned.steps,     learned.judged != 0,
            learned.loss_before,   learned.score_before, learned.loss_after, learned.score_after};
  }

  bool undo() { return check(edge_undo(model_.get())) == 1; }
  bool reload() { return check(edge_reload(model_.get())) == 1; }

  // JSON.
  std::string info() {
    const char* const told = edge_info(model_.get());
    if (!told) throw Error(edge_error());
    return told;
  }

 private:
  static std::vector<edge_tensor> tensors_of(std::initializer_list<Input> inputs) {
    std::vector<edge_tensor> tensors;
    for (const Input& each : inputs) tensors.push_back(each.tensor());
    return tensors;
  }

  static int check(int said) {
    if (said < 0) throw Error(edge_error());
    return said;
  }

  std::unique_ptr<edge_model, void (*)(edge_model*)> model_;
};

}  // namespace edge_runtime

#endif
