// As edge_runtime/inputs.py.
#include "entry.hpp"

#include <cstring>

#include "served.hpp"

namespace edge {

namespace {

constexpr double kBytes = 255, kSamples = 32768;

Type type_named(const std::string& name) {
  for (const Type type : {Type::kFloat32, Type::kInt64, Type::kInt32, Type::kInt8, Type::kBool})
    if (name == name_of(type)) return type;
  throw refusal("manifest.json", "has an input of type " + name, "Update the toolkit on this board.");
}

bool is_whole(edge_type type) { return type != EDGE_FLOAT32 && type != EDGE_BOOL; }

bool is_same(edge_type given, Type right) { return given == as_given(right); }

bool may_be(edge_type given, const Entry& entry) {
  if (is_same(given, entry.type)) return true;
  if (given == EDGE_BOOL) return !entry.is_input;
  return entry.type == Type::kFloat32 || (entry.type != Type::kBool && is_whole(given));
}

template <typename Value>
Value at(const void* values, std::size_t index) {
  Value value;
  std::memcpy(&value, static_cast<const char*>(values) + index * sizeof value, sizeof value);
  return value;
}

double number_at(const edge_tensor& given, std::size_t index) {
  switch (given.type) {
    case EDGE_FLOAT32:
      return at<float>(given.values, index);
    case EDGE_INT64:
      return static_cast<double>(at<std::int64_t>(given.values, index));
    case EDGE_INT32:
      return at<std::int32_t>(given.values, index);
    case EDGE_INT16:
      return at<std::int16_t>(given.values, index);
    case EDGE_INT8:
      return at<std::int8_t>(given.values, index);
    default:
      return at<std::uint8_t>(given.values, index);
  }
}

std::int64_t whole_at(const edge_tensor& given, std::size_t index) {
  return given.type == EDGE_INT64 ? at<std::int64_t>(given.values, index)
                                  : static_cast<std::int64_t>(number_at(given, index));
}

template <typename Value>
void put(std::vector<std::byte>& bytes, std::size_t index, Value value) {
  std::memcpy(bytes.data() + index * sizeof value, &value, sizeof value);
}

// What a value that was given is a share of.
double share_of(const Entry& entry, edge_type given) {
  if (entry.type != Type::kFloat32 || !entry.is_input) return 1;
  if (given == EDGE_UINT8) return kBytes;
  return given == EDGE_INT16 && entry.recordings ? kSamples : 1;
}

bool is_normalised(const Entry& entry, edge_type given) {
  if (entry.mean.empty() && entry.deviation.empty()) return false;
  return entry.always || (entry.images && given == EDGE_UINT8) || (entry.recordings && given == EDGE_INT16);
}

double of_channel(const std::vector<double>& values, std::size_t channel, double without) {
  return values.empty() ? without : values[values.size() == 1 ? 0 : channel];
}

std::vector<std::byte> converted(const Entry& entry, const edge_tensor& given, std::size_t count) {
  std::vector<std::byte> bytes(count * size_of(entry.type));
  const double share = share_of(entry, given.type);
  const bool normalised = is_normalised(entry, given.type);
  const std::size_t channels = entry.shape.empty() ? 1 : static_cast<std::size_t>(entry.shape[0]);
  const std::size_t area = channels ? static_cast<std::size_t>(count_of(entry.shape)) / channels : 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (entry.type == Type::kFloat32) {
      double value = number_at(given, i) / share;
      if (normalised) {
        const std::size_t channel = i / area % channels;
        value = (value - of_channel(entry.mean, channel, 0)) / of_channel(entry.deviation, channel, 1);
      }
      put(bytes, i, static_cast<float>(value));
    } else if (entry.type == Type::kInt64) {
      put(bytes, i, whole_at(given, i));
    } else if (entry.type == Type::kInt32) {
      put(bytes, i, static_cast<std::int32_t>(whole_at(given, i)));
    } else {
      put(bytes, i, static_cast<std::int8_t>(whole_at(given, i)));
    }
  }
  return bytes;
}

std::vector<double> numbers(const Json& made, const char* name) {
  if (!made.is_object() || !made.contains(name) || made.at(name).is_null()) return {};
  const Json& said = made.at(name);
  return said.is_number() ? std::vector<double>{said.get<double>()} : said.get<std::vector<double>>();
}

Failure unfit(const Entry& entry, const edge_tensor& given) {
  const Shape shape(given.shape, given.shape + given.dimensions);
  return refusal(entry.name, std::string("was given ") + name_of(given.type) + " (" + words(shape) + ")",
                 "Give " + described(entry) + ", one or several.");
}

}  // namespace

const char* name_of(edge_type type) {
  static const char* const kNames[] = {"float32", "int64", "int32", "int16", "uint8", "int8", "bool"};
  return type >= EDGE_FLOAT32 && type <= EDGE_BOOL ? kNames[type] : "of an unknown type";
}

std::size_t size_of(edge_type type) {
  switch (type) {
    case EDGE_INT64:
      return 8;
    case EDGE_FLOAT32:
    case EDGE_INT32:
      return 4;
    case EDGE_INT16:
      return 2;
    default:
      return 1;
  }
}

edge_type as_given(Type type) {
  switch (type) {
    case Type::kInt64:
      return EDGE_INT64;
    case Type::kInt32:
      return EDGE_INT32;
    case Type::kInt8:
      return EDGE_INT8;
    case Type::kBool:
      return EDGE_BOOL;
    default:
      return EDGE_FLOAT32;
  }
}

Entry entry_of(const Json& port, const Json& made) {
  const std::string kind = made.is_object() ? made.at("kind").get<std::string>() : "arrays";
  Entry entry{port.at("name").get<std::string>(),
              port.at("shape").get<Shape>(),
              type_named(port.at("dtype").get<std::string>()),
              kind == "recordings",
              {},
              {},
              kind == "images",
              false,
              true};
  if (entry.type == Type::kFloat32) {
    entry.mean = numbers(made, "mean");
    entry.deviation = numbers(made, "std");
  }
  for (const std::vector<double>& each : {entry.mean, entry.deviation})
    if (each.size() > 1 && (entry.shape.empty() || each.size() != static_cast<std::size_t>(entry.shape[0])))
      throw refusal(entry.name, std::to_string(each.size()) + " values normalise " + described(entry), "Deploy it again.");
  entry.always = kind == "arrays" && !(entry.mean.empty() && entry.deviation.empty());
  return entry;
}

std::string described(const Entry& entry) {
  return entry.name + ": " + name_of(entry.type) + " (" + words(entry.shape) + ")";
}

Taken take(const Entry& entry, const edge_tensor& given) {
  if (!given.values || (!given.shape && given.dimensions)) throw refusal(entry.name, "was given no values", "Give " + described(entry) + ".");
  const std::span<const std::int64_t> shape(given.shape, given.dimensions);
  const bool alone = std::equal(shape.begin(), shape.end(), entry.shape.begin(), entry.shape.end());
  const bool several = shape.size() == entry.shape.size() + 1 && shape[0] > 0 &&
                       std::equal(shape.begin() + 1, shape.end(), entry.shape.begin(), entry.shape.end());
  if (given.type < EDGE_FLOAT32 || given.type > EDGE_BOOL || !(alone || several) || !may_be(given.type, entry))
    throw unfit(entry, given);
  Taken taken{{entry.type, {}, {}}, {alone ? 1 : shape[0]}, {}, alone};
  taken.shape.insert(taken.shape.end(), entry.shape.begin(), entry.shape.end());
  const auto count = static_cast<std::size_t>(count_of(taken.shape));
  if (is_same(given.type, entry.type) && !is_normalised(entry, given.type)) {
    const auto* bytes = static_cast<const std::byte*>(given.values);
    taken.view = {entry.type, taken.shape, {bytes, count * size_of(entry.type)}};
  } else {
    taken.made.bytes = converted(entry, given, count);
    taken.view = {entry.type, taken.shape, taken.made.bytes};
  }
  return taken;
}

std::vector<const edge_tensor*> bound(std::span<const Entry> entries, std::span<const edge_tensor> given) {
  std::vector<const edge_tensor*> found(entries.size(), nullptr);
  std::size_t next = 0;
  bool fits = given.size() == entries.size();
  for (const edge_tensor& each : given) {
    std::size_t place = next;
    if (each.name)
      for (place = 0; place < entries.size() && entries[place].name != each.name;) ++place;
    else
      ++next;
    if (place >= entries.size() || found[place]) {
      fits = false;
      break;
    }
    found[place] = &each;
  }
  if (fits) return found;
  std::string wanted;
  for (const Entry& entry : entries) wanted += (wanted.empty() ? "" : "; ") + described(entry);
  throw refusal("edge_call", "was given " + std::to_string(given.size()) + " inputs, or names that are none of its own",
                "Give each of these once: " + wanted + ".");
}

}  // namespace edge
