#include "holes.hpp"

#include <bit>
#include <cstring>
#include <numeric>

#include "failure.hpp"
#include "quantise.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

using executorch::runtime::Error;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Result;
using executorch::runtime::TensorLayout;

// As a float 5e-30: no constant of a model has such a value before nothing but zeros.
constexpr std::uint32_t kPlaceholder = 0x0ED6E000;
// No weight has this step: they go from -127 to 127.
constexpr std::uint8_t kLeastStep = 0x80;
constexpr std::size_t kMostInt8Holes = 256;

template <typename Value>
std::string placeholder_key(std::size_t count, Value first, Value others) {
  std::vector<Value> placeholder(count, others);
  if (count > 0) placeholder[0] = first;
  Sha256 state;
  state.update(placeholder.data(), count * sizeof(Value));
  return state.finish();
}

std::string fp32_key(std::size_t index, std::size_t count, float others) {
  const auto first = kPlaceholder + static_cast<std::uint32_t>(index);
  return placeholder_key<std::uint32_t>(count, first, std::bit_cast<std::uint32_t>(others));
}

// XNNPACK keeps the input channels of a kernel (out, in, height, width) last. A kernel with a single one is depthwise
// to it, and keeps the output channels last. All else stays as it is.
template <typename Value>
std::vector<std::byte> delegated(const Shape& shape, const std::vector<Value>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(Value));
  if (shape.size() != 4) {
    if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }
  const std::int64_t outputs = shape[0], inputs = shape[1], area = shape[2] * shape[3];
  for (std::int64_t o = 0; o < outputs; ++o)
    for (std::int64_t i = 0; i < inputs; ++i)
      for (std::int64_t p = 0; p < area; ++p) {
        const std::int64_t to = inputs == 1 ? p * outputs + o : (o * area + p) * inputs + i;
        std::memcpy(bytes.data() + to * sizeof(Value), &values[(o * inputs + i) * area + p], sizeof(Value));
      }
  return bytes;
}

}  // namespace

Holes::Holes(std::vector<Hole> holes) : holes_(std::move(holes)), asked_(holes_.size(), false) {
  for (std::size_t index = 0; index < holes_.size(); ++index) {
    const Shape& shape = holes_[index].value.shape;
    const std::size_t count = holes_[index].value.values.size();
    add(fp32_key(index, count, 0), index, Form::kDelegated, shape);
    add("hole_" + std::to_string(index), index, Form::kAsItIs, shape);
    if (shape.size() < 2 || count < 2 || index >= kMostInt8Holes) continue;
    const auto first = static_cast<std::uint8_t>(kLeastStep + index);
    add(placeholder_key<std::uint8_t>(count, first, kLeastStep), index, Form::kSteps, shape);
    add("scale_" + fp32_key(index, static_cast<std::size_t>(shape[0]), 1), index, Form::kScales, {shape[0]});
  }
}

void Holes::add(std::string key, std::size_t hole, Form form, const Shape& shape) {
  std::vector<std::uint8_t> order(shape.size());
  std::iota(order.begin(), order.end(), std::uint8_t{0});
  entries_.push_back({std::move(key), hole, form, {shape.begin(), shape.end()}, std::move(order), {}});
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

std::span<const std::byte> Holes::bytes(const Entry& entry) const {
  const Tensor& tensor = holes_[entry.hole].value;
  asked_[entry.hole] = true;
  if (entry.form == Form::kAsItIs) return std::as_bytes(std::span(tensor.values));
  if (entry.made.empty()) {
    if (entry.form == Form::kDelegated) entry.made = delegated(tensor.shape, tensor.values);
    if (entry.form == Form::kSteps) entry.made = delegated(tensor.shape, quantised(tensor).steps);
    if (entry.form == Form::kScales) entry.made = delegated({tensor.shape[0]}, quantised(tensor).scales);
  }
  return entry.made;
}

Result<const TensorLayout> Holes::get_tensor_layout(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  const auto type =
      entry->form == Form::kSteps ? executorch::aten::ScalarType::Char : executorch::aten::ScalarType::Float;
  return TensorLayout::create({entry->sizes.data(), entry->sizes.size()}, {entry->order.data(), entry->order.size()},
                              type);
}

Result<FreeableBuffer> Holes::get_data(std::string_view key) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  const std::span<const std::byte> found = bytes(*entry);
  return FreeableBuffer(found.data(), found.size(), nullptr);
}

Error Holes::load_data_into(std::string_view key, void* buffer, std::size_t size) const {
  const Entry* entry = find(key);
  if (!entry) return Error::NotFound;
  const std::span<const std::byte> found = bytes(*entry);
  if (size > found.size()) return Error::InvalidArgument;
  std::memcpy(buffer, found.data(), size);
  return Error::Ok;
}

Result<std::uint32_t> Holes::get_num_keys() const { return static_cast<std::uint32_t>(entries_.size()); }

Result<const char*> Holes::get_key(std::uint32_t index) const {
  if (index >= entries_.size()) return Error::InvalidArgument;
  return entries_[index].key.c_str();
}

}  // namespace edge
