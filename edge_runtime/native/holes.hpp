// Values that the board supplies to a program when it is loaded: folded cores and the head.
#pragma once

#include <executorch/runtime/core/named_data_map.h>

#include <span>
#include <string>
#include <vector>

#include "tensors.hpp"

namespace edge {

struct Hole {
  std::string name;
  Tensor value;
};

// The names under which a program asks for its holes, and their values in the form it expects.
//
// XNNPACK asks for a constant by the SHA-256 of the bytes it was exported with. The exporter (`runtimes/pte_holes.py`)
// gives hole number i a placeholder that both sides can make: its first value has the bits kPlaceholder + i, all others
// are zero. What is not delegated asks by `hole_i`. A program that computes with a hole in int8 asks for its steps, of
// which the first is kLeastStep + i and all others are kLeastStep, and for the scales of its output channels, whose
// placeholder has ones for zeros.
class Holes final : public executorch::runtime::NamedDataMap {
 public:
  explicit Holes(std::vector<Hole> holes);

  // Throws Failure if the program did not ask for one of them: it has no such hole, or one of another size.
  void require_all_asked() const;

  executorch::runtime::Result<const executorch::runtime::TensorLayout> get_tensor_layout(
      std::string_view key) const override;
  executorch::runtime::Result<executorch::runtime::FreeableBuffer> get_data(std::string_view key) const override;
  executorch::runtime::Error load_data_into(std::string_view key, void* buffer, std::size_t size) const override;
  executorch::runtime::Result<std::uint32_t> get_num_keys() const override;
  executorch::runtime::Result<const char*> get_key(std::uint32_t index) const override;

 private:
  enum class Form { kAsItIs, kDelegated, kSteps, kScales };

  struct Entry {
    std::string key;
    std::size_t hole;
    Form form;
    std::vector<std::int32_t> sizes;
    std::vector<std::uint8_t> order;
    // Made when it is asked for; empty for what is handed on as it is.
    mutable std::vector<std::byte> made;
  };

  void add(std::string key, std::size_t hole, Form form, const Shape& shape);
  const Entry* find(std::string_view key) const;
  std::span<const std::byte> bytes(const Entry& entry) const;

  std::vector<Hole> holes_;
  std::vector<Entry> entries_;
  mutable std::vector<bool> asked_;
};

}  // namespace edge
