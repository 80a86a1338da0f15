#include "learner.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "clock.hpp"
#include "failure.hpp"
#include "files.hpp"
#include "percentile.hpp"
#include "sha256.hpp"

namespace edge {

namespace {

double deviation(std::span<const float> values) {
  double sum = 0, squares = 0;
  for (float value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

bool is_of_head(const std::string& name) { return name.starts_with("head."); }

Tensor single(double value) { return {{}, {static_cast<float>(value)}}; }

// `size` rows from the `first` on; what is missing is the first once more.
Rows filled(const Rows& rows, std::size_t first, std::size_t size) {
  const std::size_t last = std::min(first + size, rows.size());
  Rows part(rows.begin() + static_cast<std::ptrdiff_t>(first), rows.begin() + static_cast<std::ptrdiff_t>(last));
  part.resize(size, part.front());
  return part;
}

// One for each of the first `count` rows of a batch.
Tensor weights_of(std::size_t count, std::size_t size) {
  Tensor weights{{static_cast<std::int64_t>(size)}, std::vector<float>(size, 0)};
  std::fill_n(weights.values.begin(), count, 1.0F);
  return weights;
}

void append(std::vector<View>& views, const std::vector<Tensor>& tensors) {
  for (const Tensor& each : tensors) views.push_back(view(each));
}

// The program's next output in the place of what went in.
void replace(Tensor& tensor, const View& out) {
  const std::span<const float> values = out.floats();
  if (values.size() != tensor.values.size())
    throw Failure("ValueError", "a program gives " + std::to_string(values.size()) + " values where " +
                                    std::to_string(tensor.values.size()) + " are expected");
  std::copy(values.begin(), values.end(), tensor.values.begin());
}

}  // namespace

Training::Training(Learner& learner, std::vector<Tensor> parameters, Rows rows, std::uint64_t stream)
    : learner_(learner),
      parameters_(std::move(parameters)),
      state_(learner.fresh_state()),
      rows_(std::move(rows)),
      random_(learner.spec_.at("seed").get<std::uint64_t>(), stream) {}

double Training::step() {
  const std::vector<Array> shaken = learner_.shaken(random_);
  const std::int64_t started = now_ns();
  auto found = learner_.gradients(parameters_, rows_, {views_of(shaken), learner_.seen_.targets});
  // Adam does not move what never had a gradient.
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    if (learner_.is_still(i)) std::ranges::fill(found.sums[i].values, 0.0F);
  learner_.update(rows_.size(), found.sums, parameters_, state_);
  learner_.step_ms_.push_back(static_cast<double>(now_ns() - started) / 1e6);
  return std::accumulate(found.losses.begin(), found.losses.end(), 0.0) / static_cast<double>(found.losses.size());
}

void Training::add_to(NamedTensors& arrays, const std::string& name) const {
  std::size_t place = 0;
  for (const std::vector<Tensor>* part : {&parameters_, &state_})
    for (const Tensor& each : *part) arrays.emplace_back(name + "." + std::to_string(place++), each);
}

void Training::go_on(std::int64_t done, const Tensors& arrays, const std::string& name) {
  std::size_t place = 0;
  for (std::vector<Tensor>* part : {&parameters_, &state_})
    for (Tensor& each : *part) replace(each, view(arrays.at(name + "." + std::to_string(place++))));
  for (; done > 0; --done) learner_.shaken(random_);
}

Learner::Learner(const Json& spec, Tensors support) : spec_(spec), support_(std::move(support)) {
  const auto folder = spec.at("release").get<std::string>();
  manifest_ = read_manifest(folder);
  learn_ = manifest_.at("learn");
  if (learn_.is_null()) throw Failure("ValueError", "this release does not learn");
  tensors_ = load_tensors(folder, nullptr);
  names_ = learn_.at("trainables").get<std::vector<std::string>>();
  const bool chosen = spec.contains("method") && spec.at("method").is_string();
  method_ = chosen ? spec.at("method").get<std::string>() : "auto";
  has_cores_ = !std::ranges::all_of(names_, is_of_head);
  batch_ = learn_.at("batch").get<std::size_t>();
  most_ = learn_.at("most").get<std::size_t>();
  seen_ = seen_of(support_);
  const auto strata = support_.any("strata").integers();
  strata_.assign(strata.begin(), strata.end());
  if (seen_.targets.rows() != seen_.inputs.at(0).rows() ||
      strata_.size() != static_cast<std::size_t>(seen_.targets.rows()))
    throw Failure("ValueError", support_.path + ": inputs and targets are not as many, or none");
  for (std::size_t i = 0; i < seen_.inputs.size(); ++i) {
    const double share = spec.at("jitter").value(manifest_["inputs"][i]["name"].get<std::string>(), 0.0);
    const View& values = seen_.inputs[i];
    deviations_.push_back(values.type == Type::kFloat32 ? share * deviation(values.floats()) : 0.0);
  }
  for (const auto& [name, file] : learn_.at("programs").items()) {
    paths_.push_back(program_path(folder, file));
    programs_[name] = std::make_unique<Program>(paths_.back(), std::vector<Hole>{});
  }
  if (!learn_.at("starts").empty()) read_features(folder);
  if (learn_.contains("guard") && !learn_.at("guard").is_null()) read_guard(folder);
}

Learner::Seen Learner::seen_of(const Tensors& tensors) const {
  return {inputs_of(manifest_, tensors), tensors.any("targets." + learn_.at("target").at("name").get<std::string>())};
}

void Learner::read_guard(const std::string& folder) {
  const Json& said = learn_.at("guard");
  guarding_ = read_tensors(program_path(folder, said.at("file")));
  guard_ = seen_of(guarding_);
  const bool asked = spec_.contains("max_forgetting") && !spec_.at("max_forgetting").is_null();
  may_forget_ = (asked ? spec_ : said).at("max_forgetting").get<double>();
}

double Learner::guarded(const std::vector<Tensor>& parameters) {
  Rows rows(guards());
  std::iota(rows.begin(), rows.end(), 0);
  const Judged judged = judge(parameters, rows, *guard_);
  return std::accumulate(judged.scores.begin(), judged.scores.end(), 0.0) / static_cast<double>(rows.size());
}

std::string Learner::measure() const {
  const bool told = manifest_.contains("measure") && manifest_.at("measure").is_string();
  return told ? manifest_.at("measure").get<std::string>() : "score";
}

void Learner::read_features(const std::string& folder) {
  if (strata_.size() > most_)
    throw Failure("ValueError", std::to_string(strata_.size()) + " examples, the release starts from " +
                                    std::to_string(most_) + " at most");
  const auto infer = load_inference(folder, manifest_, tensors_);
  paths_.push_back(program_path(folder, manifest_.at("infer").at("program")));
  for (std::size_t i : everything()) {
    const std::size_t row[] = {i};
    const std::vector<Array> one = rows_of_all(seen_.inputs, row);
    infer->call(views_of(one));
    const View out = infer->output(1);
    features_.shape.assign(out.shape.begin(), out.shape.end());
    features_.values.insert(features_.values.end(), out.floats().begin(), out.floats().end());
  }
  features_.shape.at(0) = static_cast<std::int64_t>(strata_.size());
}

Rows Learner::everything() const {
  Rows rows(strata_.size());
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

bool Learner::is_still(std::size_t trainable) const { return method_ == "head" && !is_of_head(names_[trainable]); }

std::vector<Tensor> Learner::installed() const {
  std::vector<Tensor> parameters;
  for (const std::string& name : names_) parameters.push_back(tensors_.at(name));
  return parameters;
}

std::vector<Tensor> Learner::start(const Rows& rows) {
  std::vector<Tensor> parameters = installed();
  const auto starts = learn_.at("starts").get<std::vector<std::string>>();
  if (starts.empty()) return parameters;
  const Rows all = filled(everything(), 0, most_);
  Tensor weights = weights_of(0, most_);
  for (std::size_t row : rows) weights.values[row] = 1;
  const Array features = rows_of(view(features_), all), targets = rows_of(seen_.targets, all);
  const View given[] = {view(features), view(targets), view(weights)};
  program("start").call(given);
  for (std::size_t k = 0; k < starts.size(); ++k)
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (names_[i] == starts[k]) replace(parameters[i], program("start").output(k));
  return parameters;
}

Learner::Gradients Learner::gradients(const std::vector<Tensor>& parameters, const Rows& rows, const Seen& seen) {
  Gradients found;
  for (const Tensor& each : parameters) found.sums.push_back({each.shape, std::vector<float>(each.values.size(), 0)});
  for (std::size_t first = 0; first < rows.size(); first += batch_) {
    const std::size_t count = std::min(batch_, rows.size() - first);
    const Rows part = filled(rows, first, batch_);
    const std::vector<Array> chosen = rows_of_all(seen.inputs, part);
    const Array targets = rows_of(seen.targets, part);
    const Tensor weights = weights_of(count, batch_);
    std::vector<View> given = views_of(chosen);
    given.push_back(view(targets));
    given.push_back(view(weights));
    append(given, parameters);
    Program& gradient = program("gradient");
    gradient.call(given);
    const auto losses = gradient.output(0).floats().first(count);
    found.losses.insert(found.losses.end(), losses.begin(), losses.end());
    const View outputs = gradient.output(1);
    const auto values = outputs.floats().first(outputs.floats().size() / batch_ * count);
    found.outputs.shape.assign(outputs.shape.begin(), outputs.shape.end());
    found.outputs.values.insert(found.outputs.values.end(), values.begin(), values.end());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const auto more = gradient.output(2 + i).floats();
      for (std::size_t k = 0; k < more.size(); ++k) found.sums[i].values.at(k) += more[k];
    }
  }
  found.outputs.shape.at(0) = static_cast<std::int64_t>(rows.size());
  return found;
}

void Learner::update(std::size_t count, const std::vector<Tensor>& sums, std::vector<Tensor>& parameters,
                     std::vector<Tensor>& state) {
  const Tensor total = single(static_cast<double>(count)), rate = single(spec_.at("lr").get<double>());
  const Tensor eps = single(learn_.at("eps").get<double>());
  std::vector<View> given = {view(total), view(rate), view(eps)};
  append(given, sums);
  append(given, parameters);
  append(given, state);
  program("update").call(given);
  std::size_t next = 0;
  for (std::vector<Tensor>* group : {&parameters, &state})
    for (Tensor& each : *group) replace(each, program("update").output(next++));
}

Judged Learner::judge(const std::vector<Tensor>& parameters, const Rows& rows, const Seen& seen) {
  const Tensor outputs = gradients(parameters, rows, seen).outputs;
  Judged judged;
  Rows places(rows.size());
  std::iota(places.begin(), places.end(), 0);
  for (std::size_t first = 0; first < rows.size(); first += batch_) {
    const std::size_t count = std::min(batch_, rows.size() - first);
    const Array given = rows_of(view(outputs), filled(places, first, batch_));
    const Array targets = rows_of(seen.targets, filled(rows, first, batch_));
    const View both[] = {view(given), view(targets)};
    program("judge").call(both);
    const auto scores = program("judge").output(0).floats(), losses = program("judge").output(1).floats();
    const std::size_t width = losses.size() / batch_;
    for (std::size_t row = 0; row < count; ++row) {
      judged.scores.push_back(scores[row]);
      judged.losses.emplace_back(losses.begin() + row * width, losses.begin() + (row + 1) * width);
    }
  }
  return judged;
}

std::string Learner::key(std::int64_t steps) const {
  Json asked = spec_;
  // Where files lie, and how long it may take, change nothing of what is learned.
  for (const char* name : {"release", "adapted", "support", "seconds", "memory_bytes"}) asked.erase(name);
  Sha256 digest;
  const auto add = [&digest](const std::string& text) { digest.update(text.data(), text.size()); };
  add(base_name(spec_.at("release").get<std::string>()) + " " + std::to_string(steps) + " " + asked.dump());
  for (const auto& [name, tensor] : support_.floats) {
    add(name + " " + words(tensor.shape));
    digest.update(tensor.values.data(), tensor.values.size() * sizeof(float));
  }
  for (const auto& [name, array] : support_.others) {
    add(name + " " + name_of(array.type) + " " + words(array.shape));
    digest.update(array.bytes.data(), array.bytes.size());
  }
  return digest.finish();
}

double Learner::seconds_of_a_step() {
  const std::vector<Tensor> parameters = start(everything());
  gradients(parameters, everything(), seen_);  // the first call warms up
  const std::int64_t started = now_ns();
  gradients(parameters, everything(), seen_);
  return static_cast<double>(now_ns() - started) / 1e9;
}

std::int64_t Learner::trained_values() const {
  std::int64_t count = 0;
  for (const std::string& name : names_) count += static_cast<std::int64_t>(tensors_.at(name).values.size());
  return count;
}

Json Learner::step_ms() const { return step_ms_.empty() ? Json() : Json(percentile(step_ms_, 50)); }

std::vector<Tensor> Learner::fresh_state() const {
  std::vector<Tensor> state;
  for (const Json& shape : learn_.at("state")) {
    state.push_back({shape.get<Shape>(), {}});
    state.back().values.resize(static_cast<std::size_t>(count_of(state.back().shape)), 0);
  }
  return state;
}

std::vector<Array> Learner::shaken(Normal& random) const {
  std::vector<Array> inputs;
  for (std::size_t i = 0; i < seen_.inputs.size(); ++i) {
    const View& whole = seen_.inputs[i];
    inputs.push_back({whole.type, Shape(whole.shape.begin(), whole.shape.end()), {whole.bytes.begin(), whole.bytes.end()}});
    if (deviations_[i] == 0) continue;
    std::vector<float> values(whole.floats().begin(), whole.floats().end());
    for (float& value : values) value += static_cast<float>(deviations_[i]) * random.next();
    std::memcpy(inputs.back().bytes.data(), values.data(), inputs.back().bytes.size());
  }
  return inputs;
}

}  // namespace edge
