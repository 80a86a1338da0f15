#include "program.hpp"

#include <executorch/extension/data_loader/mmap_data_loader.h>
#include <executorch/extension/memory_allocator/malloc_memory_allocator.h>
#include <executorch/runtime/executor/method.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <optional>

#include "clock.hpp"
#include "messages.hpp"
#include "failure.hpp"

namespace edge {

namespace {

namespace et = executorch::runtime;
using executorch::aten::ScalarType;
using executorch::aten::TensorImpl;
using executorch::extension::MallocMemoryAllocator;
using executorch::extension::MmapDataLoader;

constexpr std::size_t kArenaAlignment = 64;

struct Freed {
  void operator()(std::uint8_t* bytes) const { ::operator delete[](bytes, std::align_val_t(kArenaAlignment)); }
};
using Arena = std::unique_ptr<std::uint8_t[], Freed>;

template <typename T>
T must(et::Result<T> result, const std::string& path, const std::string& doing) {
  if (!result.ok()) throw Failure("RuntimeError", path + ": " + doing + " failed: " + said(result.error()));
  return std::move(result.get());
}

struct Known {
  Type type;
  ScalarType scalar;
};

// A program that is timed alone may be what stands between int8 layers.
constexpr Known kTypes[] = {{Type::kFloat32, ScalarType::Float},
                            {Type::kInt64, ScalarType::Long},
                            {Type::kInt32, ScalarType::Int},
                            {Type::kInt8, ScalarType::Char},
                            {Type::kBool, ScalarType::Bool}};

Type type_of(const et::Result<et::TensorInfo>& info, const std::string& path) {
  if (info.ok())
    for (const Known& known : kTypes)
      if (known.scalar == info->scalar_type()) return known.type;
  throw Failure("ValueError", path + " has an input or output that is no tensor of a type that boards know");
}

ScalarType scalar_of(Type type) {
  for (const Known& known : kTypes)
    if (known.type == type) return known.scalar;
  return ScalarType::Undefined;
}

Shape shape_of(const et::Result<et::TensorInfo>& info) { return Shape(info->sizes().begin(), info->sizes().end()); }

// A shape with the strides and the order of dimensions that the runtime wants beside it.
struct Form {
  std::vector<executorch::aten::SizesType> sizes;
  std::vector<executorch::aten::DimOrderType> order;
  std::vector<executorch::aten::StridesType> strides;

  explicit Form(const Shape& shape) : sizes(shape.begin(), shape.end()), order(shape.size()), strides(shape.size()) {
    std::iota(order.begin(), order.end(), 0);
    executorch::aten::StridesType stride = 1;
    for (std::size_t i = shape.size(); i-- > 0; stride *= sizes[i]) strides[i] = stride;
  }
};

}  // namespace

// In the order in which each outlives the next.
struct Program::Loaded {
  Loaded(const std::string& path, std::vector<Hole> values)
      : holes(std::move(values)),
        loader(must(MmapDataLoader::from(path.c_str(), MmapDataLoader::MlockConfig::NoMlock), path, "opening")),
        program(must(et::Program::load(&loader, et::Program::Verification::InternalConsistency), path, "loading")),
        meta(must(program.method_meta("forward"), path, "looking for forward")) {
    for (std::size_t i = 0; i < meta.num_memory_planned_buffers(); ++i) {
      const auto size = static_cast<std::size_t>(must(meta.memory_planned_buffer_size(i), path, "planning memory"));
      arenas.emplace_back(new (std::align_val_t(kArenaAlignment)) std::uint8_t[size]);
      spans.emplace_back(arenas.back().get(), size);
    }
    planned.emplace(et::Span<et::Span<std::uint8_t>>(spans.data(), spans.size()));
    manager.emplace(&method_memory, &*planned, &temporary_memory);
    method.emplace(must(program.load_method("forward", &*manager, nullptr, &holes), path, "loading"));
  }

  Holes holes;
  MmapDataLoader loader;
  et::Program program;
  et::MethodMeta meta;
  std::vector<Arena> arenas;
  std::vector<et::Span<std::uint8_t>> spans;
  MallocMemoryAllocator method_memory, temporary_memory;
  std::optional<et::HierarchicalAllocator> planned;
  std::optional<et::MemoryManager> manager;
  std::optional<et::Method> method;
  std::vector<Form> forms;
};

Program::Program(const std::string& path, std::vector<Hole> holes) : path_(path) {
  const Doing doing("loading", path);
  loaded_ = std::make_unique<Loaded>(path, std::move(holes));
  loaded_->holes.require_all_asked();
  for (std::size_t i = 0; i < loaded_->meta.num_inputs(); ++i) {
    const auto info = loaded_->meta.input_tensor_meta(i);
    types_.push_back(type_of(info, path));
    inputs_.push_back(shape_of(info));
    loaded_->forms.emplace_back(inputs_.back());
  }
  for (std::size_t i = 0; i < loaded_->meta.num_outputs(); ++i) {
    const auto info = loaded_->meta.output_tensor_meta(i);
    type_of(info, path);
    outputs_.push_back(shape_of(info));
  }
}

Program::~Program() = default;

void Program::call(std::span<const View> inputs) {
  const Doing doing("running", path_);
  check(inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Form& form = loaded_->forms[i];
    // The runtime copies inputs and writes to none.
    TensorImpl impl(scalar_of(types_[i]), static_cast<ssize_t>(form.sizes.size()), form.sizes.data(),
                    const_cast<std::byte*>(inputs[i].bytes.data()), form.order.data(), form.strides.data());
    const et::Error error = loaded_->method->set_input(et::EValue(executorch::aten::Tensor(&impl)), i);
    if (error != et::Error::Ok) throw Failure("RuntimeError", path_ + ": setting input failed: " + said(error));
  }
  const std::int64_t started = now_ns();
  const et::Error error = loaded_->method->execute();
  execute_ns_ = now_ns() - started;
  if (error != et::Error::Ok) throw Failure("RuntimeError", path_ + ": running failed: " + said(error));
}

void Program::check(std::span<const View> inputs) const {
  if (inputs.size() != inputs_.size())
    throw Failure("ValueError", path_ + " takes " + std::to_string(inputs_.size()) + " inputs, " +
                                    std::to_string(inputs.size()) + " given");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].type != types_[i])
      throw Failure("ValueError", path_ + ": input " + std::to_string(i) + " is " + name_of(types_[i]) + ", " +
                                      name_of(inputs[i].type) + " given");
    if (!std::equal(inputs[i].shape.begin(), inputs[i].shape.end(), inputs_[i].begin(), inputs_[i].end()))
      throw Failure("ValueError", path_ + ": input " + std::to_string(i) + " is " + words(inputs_[i]) + ", " +
                                      words(Shape(inputs[i].shape.begin(), inputs[i].shape.end())) + " given");
  }
}

View Program::output(std::size_t index) const {
  if (index >= outputs_.size())
    throw Failure("ValueError", path_ + " has " + std::to_string(outputs_.size()) + " outputs");
  const executorch::aten::Tensor tensor = loaded_->method->get_output(index).toTensor();
  if (tensor.scalar_type() != ScalarType::Float)
    throw Failure("ValueError", path_ + ": output " + std::to_string(index) + " is no float32 tensor");
  const std::span<const float> values(tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel()));
  return {Type::kFloat32, outputs_[index], std::as_bytes(values)};
}

std::size_t Program::outputs() const { return outputs_.size(); }

}  // namespace edge
