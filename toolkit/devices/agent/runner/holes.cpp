#include "holes.hpp"

#include <cstring>
#include <numeric>

#include "failure.hpp"
#include "sha256.hpp"

namespace runner {

namespace {

using executorch::runtime::Error;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Result;
using executorch::runtime::TensorLayout;

// As a float 5e-30: no constant of a model has such a value before nothing but zeros.
constexpr std::uint32_t kPlaceholder = 0x0ED6E000;

std::string delegate_key(std::size_t index, std::size_t count) {
  std::vector<std::uint32_t> placeholder(count, 0);
  if (count > 0) placeholder[0] = kPlaceholder + static_cast<std::uint32_t>(index);
  Sha256 state;
  state.update(placeholder.data(), count * sizeof(std::uint32_t));
  return state.finish();
}

// XNNPACK keeps the input channels of a kernel (out, in, height, width) last. A kernel with a single one is depthwise
// to it, and keeps the output channels last.
std::vector<float> channels_last(const Tensor& tensor) {
  const std::int64_t outputs = tensor.shape[0], inputs = tensor.shape[1], area = tensor.shape[2] * tensor.shape[3];
  std::vector<float> values(tensor.values.size());
  for (std::int64_t o = 0; o < outputs; ++o)
    for (std::int64_t i = 0; i < inputs; ++i)
      for (std::int64_t p = 0; p < area; ++p)
        values[inputs == 1 ? p * outputs + o : (o * area + p) * inputs + i] =
            tensor.values[(o * inputs + i) * area + p];
  return values;
}

}  // namespace

Holes::Holes(std::vector<Hole> holes)
    : holes_(std::move(holes)), permuted_(holes_.size()), asked_(holes_.size(), false) {
  for (std::size_t index = 0; index < holes_.size(); ++index) {
    const Tensor& tensor = holes_[index].value;
    const bool kernel = tensor.shape.size() == 4;
    if (kernel) permuted_[index] = channels_last(tensor);
    sizes_.emplace_back(tensor.shape.begin(), tensor.shape.end());
    orders_.emplace_back(tensor.shape.size());
    std::iota(orders_[index].begin(), orders_[index].end(), std::uint8_t{0});
    const std::vector<float>* delegated = kernel ? &permuted_[index] : &tensor.values;
    entries_.push_back({delegate_key(index, tensor.values.size()), index, delegated});
    entries_.push_back({"hole_" + std::to_string(index), index, &tensor.values});
  }
}

void Holes::require_all_asked() const {
  for (std::size_t index = 0; index < holes_.size(); ++index)
    if (!asked_[index])
      throw Failure("ValueError", "the program has no hole '" + holes_[index].name + "' of " +
                                      std::to_string(holes_[index].value.values.size()) + " values");
}

const Holes::Entry* Holes::find(std::string_view key) const {
  for (const Entry& entry : entries_)
    if (entry.key == key) return &entry;
  return nullptr;
}

Result<const TensorLayout> Holes::get_tensor_layout(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  const auto& sizes = sizes_[entry->hole];
  const auto& order = orders_[entry->hole];
  return TensorLayout::create({sizes.data(), sizes.size()}, {order.data(), order.size()},
                              executorch::aten::ScalarType::Float);
}

Result<FreeableBuffer> Holes::get_data(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  asked_[entry->hole] = true;
  return FreeableBuffer(entry->values->data(), entry->values->size() * sizeof(float), nullptr);
}

Error Holes::load_data_into(std::string_view key, void* buffer, std::size_t size) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  if (size > entry->values->size() * sizeof(float)) return Error::InvalidArgument;
  asked_[entry->hole] = true;
  std::memcpy(buffer, entry->values->data(), size);
  return Error::Ok;
}

Result<std::uint32_t> Holes::get_num_keys() const { return static_cast<std::uint32_t>(entries_.size()); }

Result<const char*> Holes::get_key(std::uint32_t index) const {
  if (index >= entries_.size()) return Error::InvalidArgument;
  return entries_[index].key.c_str();
}

}  // namespace runner
