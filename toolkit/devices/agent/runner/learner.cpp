#include "learner.hpp"

#include <algorithm>
#include <cmath>

#include "clock.hpp"
#include "failure.hpp"
#include "prototype.hpp"
#include "timing.hpp"

namespace runner {

namespace {

// Cross-validation in five folds where that takes no longer than this, else in three.
constexpr double kPatienceS = 30.0;
constexpr double kAdamEps = 1e-8;

double deviation(const std::vector<float>& values) {
  double sum = 0, squares = 0;
  for (float value : values) sum += value;
  const double mean = sum / static_cast<double>(values.size());
  for (float value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

Tensor single(double value) { return {{}, {static_cast<float>(value)}}; }

// First moments, second moments, two bias corrections.
std::vector<Tensor> fresh_state(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> state;
  for (int moment = 0; moment < 2; ++moment)
    for (const Tensor& each : parameters) state.push_back({each.shape, std::vector<float>(each.values.size(), 0)});
  state.push_back(single(0));
  state.push_back(single(0));
  return state;
}

}  // namespace

Training::Training(Learner& learner, std::vector<Tensor> parameters, const Rows& rows, std::uint64_t stream)
    : learner_(learner),
      parameters_(std::move(parameters)),
      state_(fresh_state(parameters_)),
      labels_(learner.one_hot(rows)),
      random_(learner.spec_.at("seed").get<std::uint64_t>(), stream) {}

double Training::step() {
  const Tensor x = learner_.jittered(random_);
  const std::int64_t started = now_ns();
  const double loss = learner_.step(x, labels_, learner_.spec_.at("lr").get<double>(), parameters_, state_).loss;
  learner_.step_ms_.push_back(static_cast<double>(now_ns() - started) / 1e6);
  return loss;
}

Learner::Learner(const Json& spec) : spec_(spec) {
  const auto folder = spec.at("release").get<std::string>();
  manifest_ = read_manifest(folder);
  tensors_ = load_tensors(folder, nullptr);
  names_ = manifest_.at("train").at("trainables").get<std::vector<std::string>>();
  classes_ = static_cast<std::int64_t>(manifest_.at("classes").size());
  const Tensors support = read_tensors(spec.at("support").get<std::string>());
  x_ = support.at("x");
  const auto labels = support.integers.find("y");
  if (labels == support.integers.end()) throw Failure("KeyError", support.path + " has no tensor 'y'");
  y_ = labels->second;
  if (y_.empty() || x_.shape.empty() || x_.shape[0] != static_cast<std::int64_t>(y_.size()))
    throw Failure("ValueError", support.path + ": x and y are not as many, or none");
  for (std::int64_t label : y_)
    if (label < 0 || label >= classes_)
      throw Failure("ValueError", support.path + ": label " + std::to_string(label) + " of " +
                                      std::to_string(classes_) + " classes");
  jitter_ = spec.at("jitter").get<double>() * deviation(x_.values);
  features_ = features_of_support(folder);
  programs_.push_back(program_path(folder, manifest_, "train"));
  program_ = std::make_unique<Program>(programs_.back(), std::vector<Hole>{});
}

Tensor Learner::features_of_support(const std::string& folder) {
  const auto infer = load_inference(folder, manifest_, tensors_);
  programs_.push_back(program_path(folder, manifest_, "infer"));
  Tensor features{{x_.shape[0], 0}, {}};
  Shape shape;
  for (std::int64_t i = 0; i < x_.shape[0]; ++i) {
    const View one[] = {example(x_, i, shape)};
    infer->call(one);
    const View out = infer->output(1);
    features.shape[1] = static_cast<std::int64_t>(out.values.size());
    features.values.insert(features.values.end(), out.values.begin(), out.values.end());
  }
  return features;
}

std::vector<Tensor> Learner::start(const Rows& rows) const {
  std::vector<Tensor> parameters;
  for (const std::string& name : names_) parameters.push_back(tensors_.at(name));
  if (manifest_.at("head").at("start") == "prototype") {
    Head head = prototype_head(features_, y_, rows, classes_);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      if (names_[i] == "head.weight") parameters[i] = head.weight;
      if (names_[i] == "head.bias") parameters[i] = head.bias;
    }
  }
  return parameters;
}

Tensor Learner::logits(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> unmoved = parameters, state = fresh_state(parameters);
  return step(x_, one_hot(Rows(y_.size(), true)), 0.0, unmoved, state).logits;
}

int Learner::affordable_folds() {
  const std::vector<Tensor> parameters = start(Rows(y_.size(), true));
  logits(parameters);  // the first call warms up
  const std::int64_t started = now_ns();
  logits(parameters);
  const double seconds = static_cast<double>(now_ns() - started) / 1e9 * spec_.at("steps").get<double>();
  return 6 * seconds <= kPatienceS ? 5 : 3;
}

std::int64_t Learner::trained_values() const {
  std::int64_t count = 0;
  for (const std::string& name : names_) count += static_cast<std::int64_t>(tensors_.at(name).values.size());
  return count;
}

Json Learner::step_ms() const { return step_ms_.empty() ? Json() : Json(percentile(step_ms_, 50)); }

Learner::Stepped Learner::step(const Tensor& x, const Tensor& labels, double lr, std::vector<Tensor>& parameters,
                               std::vector<Tensor>& state) {
  const Tensor rate = single(lr), eps = single(kAdamEps);
  std::vector<View> inputs = {view(x), view(labels), view(rate), view(eps)};
  for (const Tensor& each : parameters) inputs.push_back(view(each));
  for (const Tensor& each : state) inputs.push_back(view(each));
  program_->call(inputs);
  const View loss = program_->output(0), logits = program_->output(1);
  // Copied: the next call overwrites what the program's outputs are read from.
  std::size_t next = 2;
  for (std::vector<Tensor>* group : {&parameters, &state})
    for (Tensor& each : *group) {
      const View out = program_->output(next++);
      if (out.values.size() != each.values.size())
        throw Failure("ValueError", "the train step gives " + std::to_string(out.values.size()) + " values where " +
                                        std::to_string(each.values.size()) + " went in");
      std::copy(out.values.begin(), out.values.end(), each.values.begin());
    }
  return {loss.values[0], {Shape(logits.shape.begin(), logits.shape.end()),
                           std::vector<float>(logits.values.begin(), logits.values.end())}};
}

// Labels as rows of the identity; a row of zeros takes its example out of the loss.
Tensor Learner::one_hot(const Rows& rows) const {
  Tensor labels{{x_.shape[0], classes_}, std::vector<float>(y_.size() * classes_, 0)};
  for (std::size_t n = 0; n < y_.size(); ++n)
    if (rows[n]) labels.values[n * classes_ + y_[n]] = 1;
  return labels;
}

Tensor Learner::jittered(Normal& random) const {
  Tensor x = x_;
  for (float& value : x.values) value += static_cast<float>(jitter_) * random.next();
  return x;
}

}  // namespace runner
