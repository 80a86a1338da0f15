#include "tensors.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstring>
#include <span>

#include "files.hpp"
#include "json.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kAlignment = 8;
const std::map<std::string, Type> kOthers = {{"I64", Type::kInt64}, {"I32", Type::kInt32}, {"BOOL", Type::kBool}};
constexpr char kMetadata[] = "__metadata__", kDigest[] = "sha256";
constexpr std::uint64_t kMostValues = std::uint64_t{1} << 48;

// A file as memory, for as long as this lives.
class Mapped {
 public:
  explicit Mapped(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat found {};
    if (descriptor < 0 || fstat(descriptor, &found) != 0) throw cannot("read", path);
    size_ = static_cast<std::size_t>(found.st_size);
    if (size_ > 0) start_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    close(descriptor);
    if (start_ == MAP_FAILED) throw cannot("read", path);
  }
  ~Mapped() {
    if (size_ > 0) munmap(start_, size_);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;

  std::span<const char> bytes() const { return {static_cast<const char*>(start_), size_}; }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

Failure corrupt(const std::string& path, const std::string& why) {
  return Failure("ValueError", path + " is not a whole safetensors file: " + why);
}

Shape checked_shape(const Json& entry, const std::string& path) {
  std::uint64_t count = 1;
  for (const Json& each : entry.at("shape")) {
    if (!each.is_number_unsigned()) throw corrupt(path, "a shape is no list of sizes");
    const auto size = each.get<std::uint64_t>();
    if (size > 0 && count > kMostValues / size) throw corrupt(path, "a shape is larger than any file");
    count *= size;
  }
  return entry.at("shape").get<Shape>();
}

// Of `size` bytes each, if they are as many as the shape says.
std::span<const char> bytes_of(const Json& entry, std::size_t size, std::span<const char> data,
                               const std::string& path) {
  const auto begin = entry.at("data_offsets").at(0).get<std::uint64_t>();
  const auto end = entry.at("data_offsets").at(1).get<std::uint64_t>();
  if (begin > end || end > data.size()) throw corrupt(path, "a tensor lies outside the file");
  const Shape shape = checked_shape(entry, path);
  if (end - begin != static_cast<std::uint64_t>(count_of(shape)) * size)
    throw corrupt(path, "a shape and its offsets disagree");
  return data.subspan(begin, end - begin);
}

Tensor tensor_of(const Json& entry, std::span<const char> data, const std::string& path) {
  const std::span<const char> bytes = bytes_of(entry, sizeof(float), data, path);
  Tensor tensor{checked_shape(entry, path), std::vector<float>(bytes.size() / sizeof(float))};
  if (!bytes.empty()) std::memcpy(tensor.values.data(), bytes.data(), bytes.size());
  return tensor;
}

Array array_of(const Json& entry, Type type, std::span<const char> data, const std::string& path) {
  const std::span<const std::byte> bytes = std::as_bytes(bytes_of(entry, size_of(type), data, path));
  return {type, checked_shape(entry, path), {bytes.begin(), bytes.end()}};
}

template <typename Numbers>
std::string listed(const Numbers& numbers) {
  std::string text;
  for (const auto& each : numbers) text += (text.empty() ? "" : ", ") + Json(each).dump();
  return "[" + text + "]";
}

// Of entries and values, as edge_runtime/tensors.py has it: of the header as Python writes it with sorted keys.
std::string digest_of(const Json& header, std::span<const char> data) {
  std::map<std::string, const Json*> sorted;
  for (const auto& [name, entry] : header.items())
    if (name != kMetadata) sorted[name] = &entry;
  std::string text;
  for (const auto& [name, entry] : sorted)
    text += (text.empty() ? "" : ", ") + Json(name).dump(-1, ' ', true) + ": {\"data_offsets\": " +
            listed(entry->at("data_offsets")) + ", \"dtype\": " + entry->at("dtype").dump() +
            ", \"shape\": " + listed(entry->at("shape")) + "}";
  text = "{" + text + "}";
  Sha256 state;
  state.update(text.data(), text.size());
  state.update(data.data(), data.size());
  return state.finish();
}

}  // namespace

const Tensor& Tensors::at(const std::string& name) const {
  const auto found = floats.find(name);
  if (found == floats.end()) throw Failure("KeyError", path + " has no tensor '" + name + "'");
  return found->second;
}

View Tensors::any(const std::string& name) const {
  const auto found = others.find(name);
  return found == others.end() ? view(at(name)) : view(found->second);
}

Tensors read_tensors(const std::string& path) {
  const Mapped file(path);
  const std::span<const char> bytes = file.bytes();
  std::uint64_t length = 0;
  if (bytes.size() < kLengthBytes) throw corrupt(path, "it is too short");
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > bytes.size() - kLengthBytes) throw corrupt(path, "its header goes past its end");
  const char* start = bytes.data() + kLengthBytes;
  const Json header = Json::parse(start, start + length, nullptr, false);
  if (!header.is_object()) throw corrupt(path, "its header is no JSON object");
  const std::span<const char> data = bytes.subspan(kLengthBytes + length);
  Tensors tensors;
  tensors.path = path;
  try {
    for (const auto& [name, entry] : header.items()) {
      if (name == kMetadata) continue;
      const auto type = entry.at("dtype").get<std::string>();
      const auto known = kOthers.find(type);
      if (type == "F32")
        tensors.floats[name] = tensor_of(entry, data, path);
      else if (known != kOthers.end())
        tensors.others[name] = array_of(entry, known->second, data, path);
      else
        throw corrupt(path, "'" + name + "' is " + type + ", not F32, I64, I32 or BOOL");
    }
    if (header.contains(kMetadata) && header[kMetadata].contains(kDigest) &&
        header[kMetadata][kDigest] != digest_of(header, data))
      throw corrupt(path, "its values are not those that were written");
  } catch (const Json::exception&) {
    throw corrupt(path, "an entry of its header has no dtype, shape and data_offsets");
  }
  return tensors;
}

void write_tensors(const std::string& path, const NamedTensors& tensors) {
  Json entries = Json::object();
  std::string values;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t begin = values.size(), size = tensor.values.size() * sizeof(float);
    if (size > 0) values.append(reinterpret_cast<const char*>(tensor.values.data()), size);
    entries[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + size}}};
  }
  Json header = {{kMetadata, {{kDigest, digest_of(entries, values)}}}};
  header.update(entries);
  std::string text = header.dump();
  text.append((kAlignment - text.size() % kAlignment) % kAlignment, ' ');
  const std::uint64_t length = text.size();
  write_whole(path, [&](std::FILE* file) {
    std::fwrite(&length, 1, kLengthBytes, file);
    std::fwrite(text.data(), 1, text.size(), file);
    std::fwrite(values.data(), 1, values.size(), file);
  });
}

}  // namespace edge
