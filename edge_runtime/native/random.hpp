// Normal deviates, the same for the same seed on every machine and with every compiler.
#pragma once

#include <cstdint>

namespace edge {

// SplitMix64 (Steele et al. 2014) and the polar method of Marsaglia. Not NumPy's stream: a seed gives other noise here.
class Normal {
 public:
  Normal(std::uint64_t seed, std::uint64_t stream);
  float next();

 private:
  std::uint64_t bits();
  double between_minus_one_and_one();

  std::uint64_t state_;
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace edge
