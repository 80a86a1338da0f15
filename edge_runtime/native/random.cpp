#include "random.hpp"

#include <cmath>

namespace edge {

Normal::Normal(std::uint64_t seed, std::uint64_t stream) : state_(seed) {
  state_ = bits() ^ stream;
  state_ = bits();
}

float Normal::next() {
  if (has_spare_) {
    has_spare_ = false;
    return static_cast<float>(spare_);
  }
  double u = 0, v = 0, s = 0;
  do {
    u = between_minus_one_and_one();
    v = between_minus_one_and_one();
    s = u * u + v * v;
  } while (s >= 1 || s == 0);
  const double scale = std::sqrt(-2 * std::log(s) / s);
  spare_ = v * scale;
  has_spare_ = true;
  return static_cast<float>(u * scale);
}

std::uint64_t Normal::bits() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

double Normal::between_minus_one_and_one() { return static_cast<double>(bits() >> 11) * 0x1p-52 - 1; }

}  // namespace edge
