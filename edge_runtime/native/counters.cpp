#include "counters.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "files.hpp"

namespace edge {

namespace {

constexpr char kFirst[] = "edge_runtime counters 1";
constexpr std::size_t kClasses = 84, kDigits = 20;
constexpr double kShortestUs = 16, kToADoubling = 4;
constexpr std::uint64_t kOfSoMany = 16;
constexpr std::int64_t kDayS = 86'400;
std::atomic<int> next_number{0};

std::string class_name(std::size_t index) {
  char name[16];
  std::snprintf(name, sizeof name, "times_%02zu", index);
  return name;
}

std::size_t class_of(std::uint64_t us) {
  if (us <= kShortestUs) return 0;
  const auto index = 1 + static_cast<std::size_t>(kToADoubling * std::log2(static_cast<double>(us) / kShortestUs));
  return std::min(kClasses - 1, index);
}

// What softmax gives the class that it gives most, in millionths.
std::uint64_t sure_ppm(std::span<const float> logits) {
  if (logits.empty()) return 0;
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float each : logits) sum += std::exp(static_cast<double>(each) - most);
  const double sure = 1e6 / sum;
  return std::isfinite(sure) ? static_cast<std::uint64_t>(sure) : 0;
}

std::string line(const std::string& name, std::uint64_t value) {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%020llu", static_cast<unsigned long long>(value));
  return name + " " + digits + "\n";
}

// What a process of some days ago left goes.
void sweep(const std::string& folder) {
  DIR* const found = opendir(folder.c_str());
  if (!found) return;
  while (const dirent* const each = readdir(found)) {
    const int process = std::atoi(each->d_name);
    const std::string path = folder + "/" + each->d_name;
    struct stat said {};
    if (process <= 0 || stat(path.c_str(), &said) != 0 || std::time(nullptr) - said.st_mtim.tv_sec <= kDayS) continue;
    if (access(("/proc/" + std::to_string(process)).c_str(), F_OK) != 0) unlink(path.c_str());
  }
  closedir(found);
}

}  // namespace

Counters::Counters(const std::string& root, const std::string& release, const std::optional<View>& accepted)
    : classifies_(accepted.has_value()) {
  std::uint64_t accepted_ppm = 0;
  if (accepted && accepted->rows() > 0) {
    const auto rows = static_cast<std::size_t>(accepted->rows());
    const std::span<const float> all = accepted->floats();
    for (std::size_t row = 0; row < rows; ++row) accepted_ppm += sure_ppm(all.subspan(row * (all.size() / rows), all.size() / rows));
    accepted_ppm /= rows;
  }
  std::string text = std::string(kFirst) + "\npid " + std::to_string(getpid()) + "\nrelease " + release + "\nsince_s " +
                     std::to_string(std::time(nullptr)) + "\n";
  std::vector<std::string> names = {"calls", "refused", "sure_calls", "sure_ppm", "accepted_sure_ppm", "longest_us"};
  for (std::size_t index = 0; index < kClasses; ++index) names.push_back(class_name(index));
  for (const std::string& name : names) {
    text += line(name, name == "accepted_sure_ppm" ? accepted_ppm : 0);
    ends_[name] = text.size() - 1;
  }
  const std::string folder = root + "/counters";
  mkdir(folder.c_str(), 0777);
  sweep(folder);
  path_ = folder + "/" + std::to_string(getpid()) + ".n" + std::to_string(next_number++);
  try {
    write_whole(path_, [&](std::FILE* file) { std::fwrite(text.data(), 1, text.size(), file); });
  } catch (const Failure&) {
    return;
  }
  const int descriptor = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  void* const mapped =
      descriptor < 0 ? MAP_FAILED : mmap(nullptr, text.size(), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (descriptor >= 0) ::close(descriptor);
  if (mapped == MAP_FAILED) return;
  text_ = static_cast<char*>(mapped);
  size_ = text.size();
}

Counters::~Counters() {
  if (text_) munmap(text_, size_);
}

void Counters::close() {
  const std::lock_guard<std::mutex> locked(lock_);
  if (text_ && munmap(text_, size_) == 0) unlink(path_.c_str());
  text_ = nullptr;
}

bool Counters::counts() {
  const std::lock_guard<std::mutex> locked(lock_);
  return text_ != nullptr;
}

std::shared_ptr<Counters> counters_of(const std::string& root, const std::string& release,
                                      const std::function<std::optional<View>()>& accepted) {
  static std::mutex lock;
  static std::map<std::string, std::shared_ptr<Counters>> known;
  const std::lock_guard<std::mutex> locked(lock);
  std::shared_ptr<Counters>& found = known[root + "\n" + release];
  if (!found || !found->counts()) found = std::make_shared<Counters>(root, release, accepted());
  return found;
}

void Counters::called(std::int64_t ns, std::span<const float> logits) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(1, ns / 1000));
  const std::lock_guard<std::mutex> locked(lock_);
  if (!text_) return;
  if (classifies_ && calls_ % kOfSoMany == 0) {
    add("sure_ppm", sure_ppm(logits));
    add("sure_calls", 1);
  }
  ++calls_;
  add("calls", 1);
  add(class_name(class_of(us)), 1);
  if (us > longest_us_) {
    add("longest_us", us - longest_us_);
    longest_us_ = us;
  }
}

void Counters::refused() {
  const std::lock_guard<std::mutex> locked(lock_);
  if (text_) add("refused", 1);
}

void Counters::add(const std::string& name, std::uint64_t more) {
  char* digit = text_ + ends_.at(name);
  while (more > 0) {
    --digit;
    const std::uint64_t sum = static_cast<std::uint64_t>(*digit - '0') + more % 10;
    *digit = static_cast<char>('0' + sum % 10);
    more = more / 10 + sum / 10;
  }
}

}  // namespace edge
