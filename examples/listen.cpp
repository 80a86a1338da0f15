// Print what a network hears in a recording, window by window. On the board, or compiled for it elsewhere:
//
//   D=$HOME/.edge-deploy/lib
//   g++ -std=c++17 -O2 listen.cpp -o listen -I $D -L $D -ledge_runtime -Wl,-rpath,$D
//   ./listen recording.wav
//
// The release was deployed for ExecuTorch from recordings (.wav) of one window each. It may be replaced, and may learn,
// meanwhile. The recording has to be of the task's sample rate: it is taken as it is.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "edge_runtime.hpp"

namespace {

template <typename Value>
Value at(const std::vector<char>& bytes, std::size_t offset) {
  Value value{};
  if (offset + sizeof value > bytes.size()) throw std::runtime_error("the recording ends early");
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// 16 bits, one channel.
struct Recording {
  std::uint32_t rate_hz = 0;
  std::vector<std::int16_t> samples;
};

Recording read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < 12 || std::memcmp(bytes.data(), "RIFF", 4) != 0) throw std::runtime_error("there is no such .wav");
  Recording recording;
  for (std::size_t place = 12; place + 8 <= bytes.size();) {
    const std::size_t size = at<std::uint32_t>(bytes, place + 4);
    if (std::memcmp(bytes.data() + place, "fmt ", 4) == 0) {
      recording.rate_hz = at<std::uint32_t>(bytes, place + 12);
      const bool is_plain = at<std::uint16_t>(bytes, place + 8) == 1 && at<std::uint16_t>(bytes, place + 10) == 1;
      if (!is_plain || at<std::uint16_t>(bytes, place + 22) != 16) throw std::runtime_error("give 16 bits and one channel");
    } else if (std::memcmp(bytes.data() + place, "data", 4) == 0) {
      recording.samples.resize(std::min<std::size_t>(size, bytes.size() - place - 8) / sizeof(std::int16_t));
      std::memcpy(recording.samples.data(), bytes.data() + place + 8, recording.samples.size() * sizeof(std::int16_t));
    }
    place += 8 + size + size % 2;
  }
  if (recording.rate_hz == 0) throw std::runtime_error("it does not say its sample rate");
  return recording;
}

void listen(const char* path) {
  const Recording recording = read(path);
  edge_runtime::Model model;
  const std::vector<std::int64_t> shape = model.shape_of();
  const std::int64_t window = shape.back();
  const auto count = static_cast<std::int64_t>(recording.samples.size()) / window;
  for (std::int64_t index = 0; index < count; ++index) {
    const std::int16_t* const samples = recording.samples.data() + index * window;
    const edge_runtime::Answer answer = model({{samples, shape}});
    const auto most = std::max_element(answer.values.begin(), answer.values.end());
    double sum = 0;
    for (const float logit : answer.values) sum += std::exp(logit - *most);
    const std::string& name = answer.classes.at(static_cast<std::size_t>(most - answer.values.begin()));
    std::printf("%6.2f s  %s  %.0f%%\n", static_cast<double>(index * window) / recording.rate_hz, name.c_str(), 100 / sum);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "listen RECORDING.wav\n");
    return 2;
  }
  try {
    listen(arguments[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", arguments[1], error.what());
    return 1;
  }
}
