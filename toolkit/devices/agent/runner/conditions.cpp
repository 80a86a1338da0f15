#include "conditions.hpp"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "files.hpp"

namespace edge {

namespace {

constexpr std::int64_t kSettleNs = 100'000'000;

std::string system_root() {
  const char* root = std::getenv("EDGE_DEPLOY_SYSTEM_ROOT");
  return root ? root : "";
}

std::vector<std::string> matches(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  globfree(&found);
  return paths;
}

std::optional<double> thousandths(const std::string& path) {
  const std::string text = read_line(path);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return text.empty() || *end != 0 ? std::nullopt : std::optional(value / 1000);
}

Json text_or_null(const std::string& path) {
  const std::string text = read_line(path);
  return text.empty() ? Json() : Json(text);
}

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::vector<double> frequencies(const std::string& root) {
  std::vector<double> values;
  for (const auto& path : matches(root + "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq"))
    if (const auto value = thousandths(path)) values.push_back(*value);
  return values;
}

// One thermal zone; `trip_c` is where the kernel begins to slow the board down.
Json zone(const std::string& path) {
  std::optional<double> trip;
  for (const auto& kind : matches(path + "/trip_point_*_type")) {
    const std::string type = read_line(kind);
    if (type != "passive" && type != "hot") continue;
    const auto at = thousandths(kind.substr(0, kind.size() - 4) + "temp");
    if (at && (!trip || *at < *trip)) trip = at;
  }
  return {{"type", text_or_null(path + "/type")},
          {"temperature_c", number_or_null(thousandths(path + "/temp"))},
          {"trip_c", number_or_null(trip)}};
}

// What a vendor's tool prints, if the board has it.
Json tool_said(const std::string& program, const std::string& before, const std::string& after) {
  if (access(program.c_str(), X_OK) != 0) return {};
  std::string quoted;
  for (char c : program) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  const std::string command = before + "'" + quoted + "' </dev/null 2>/dev/null " + after;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return {};
  std::string text;
  char chunk[512];
  while (const std::size_t count = std::fread(chunk, 1, sizeof chunk, pipe.get())) text.append(chunk, count);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text.empty() ? Json() : Json(text);
}

}  // namespace

Json conditions() {
  const std::string root = system_root();
  const auto clocks = frequencies(root);
  Json zones = Json::array(), hottest;
  for (const auto& path : matches(root + "/sys/class/thermal/thermal_zone*")) {
    zones.push_back(zone(path));
    const Json& temperature = zones.back()["temperature_c"];
    if (!temperature.is_null() && (hottest.is_null() || temperature > hottest)) hottest = temperature;
  }
  const std::string load = read_line("/proc/loadavg");
  return {{"governor", text_or_null(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
          {"frequency_mhz", clocks.empty() ? Json() : Json(clocks)},
          {"temperature_c", hottest},
          {"zones", zones},
          {"load_1min", load.empty() ? Json() : Json(std::strtod(load.c_str(), nullptr))},
          {"vcgencmd", tool_said(root + "/usr/bin/vcgencmd", "timeout 5 ", "get_throttled")},
          {"nvpmodel", tool_said(root + "/usr/sbin/nvpmodel", "timeout 5 ", "-q")},
          {"tegrastats", tool_said(root + "/usr/bin/tegrastats", "timeout 2 ", "--interval 100 | head -n 1")}};
}

Json conditions_at_work() {
  if (!frequencies(system_root()).empty())
    for (const std::int64_t until = now_ns() + kSettleNs; now_ns() < until;) continue;
  return conditions();
}

}  // namespace edge
