// As edge_runtime/model.py.
#include "model.hpp"

#include <limits>

#include "clock.hpp"
#include "journal.hpp"
#include "learned.hpp"
#include "messages.hpp"
#include "plain.hpp"
#include "support.hpp"
#include "threads.hpp"

namespace edge {

namespace {

// What could not be loaded is tried again after so long: it may have been mended.
constexpr std::int64_t kPatienceNs = 10'000'000'000;
// Of a release that does not say it; as edge_runtime/learning.py.
constexpr double kLearningRate = 1e-3, kJitter = 0.25, kMostSeconds = 86'400;
constexpr std::int64_t kUsualSteps = 40;

std::mutex threads_lock;
int threads_used = 0, threads_users = 0;

void require_sane(const edge_how& how) {
  if (how.steps < 0) throw refusal("edge_learn", "steps is " + std::to_string(how.steps), "Give 1 or more, or 0: as usual.");
  if (!(how.seconds >= 0 && how.seconds <= kMostSeconds))
    throw refusal("edge_learn", "seconds is " + std::to_string(how.seconds), "Give more than 0, and 86400 at most, or 0: no limit.");
}

std::int64_t usual_steps(const Json& usual) {
  const std::int64_t said = usual.contains("steps") && usual.at("steps").is_number_integer() ? usual.at("steps").get<std::int64_t>() : 0;
  return said > 0 ? said : kUsualSteps;
}

Json jitter_of(const State& state, const Json& usual) {
  if (usual.contains("jitter") && !usual.at("jitter").empty()) return usual.at("jitter");
  Json jitter = Json::object();
  for (const Entry& entry : state.told->entries) jitter[entry.name] = kJitter;
  return jitter;
}

}  // namespace

Threads::Threads(int threads) {
  const std::lock_guard<std::mutex> locked(threads_lock);
  if (threads < 1) throw refusal("edge_load", "threads is " + std::to_string(threads), "Give 1 or more.");
  if (threads_users > 0 && threads_used != threads)
    throw refusal("edge_load", "another model of this process runs with threads=" + std::to_string(threads_used), "Give as many.");
  if (threads_used != threads) {
    keep_messages();
    set_threads({{"threads", threads}});
    threads_used = threads;
  }
  ++threads_users;
}

Threads::~Threads() {
  const std::lock_guard<std::mutex> locked(threads_lock);
  --threads_users;
}

Model::Model(std::string root, int threads) : root_(std::move(root)), threads_(threads) {
  state_ = load_state(look(root_), nullptr);
  mend_lead(root_);
}

Answer Model::call(std::span<const edge_tensor> inputs) {
  const std::shared_ptr<State> state = now();
  Answer answer{state->told, 0, {}};
  answer.values = state->call(inputs, answer.examples);
  return answer;
}

std::shared_ptr<State> Model::now() {
  try {
    const Served served = look(root_);
    {
      const std::lock_guard<std::mutex> locked(reading_);
      if (served == state_->served) {
        warning_.clear();
        return state_;
      }
      if (refused_ == served && now_ns() < again_ns_) return state_;
      refused_ = served;  // until it is loaded, or mended: other threads go on meanwhile
      again_ns_ = now_ns() + kPatienceNs;
    }
    reload();
  } catch (const std::exception& error) {  // an application goes on, whatever happens to the disk
    std::string serves;
    {
      const std::lock_guard<std::mutex> locked(reading_);
      again_ns_ = now_ns() + kPatienceNs;  // to find that out may have taken long
      if (warning_ != error.what()) serves = state_->served.digest;
      warning_ = error.what();
    }
    if (!serves.empty()) note(root_, "could not take over", {{"why", error.what()}, {"still_serves", serves}});
  }
  return current();
}

bool Model::reload() {
  const std::lock_guard<std::mutex> alone(taking_over_);
  const Served served = look(root_);
  const std::shared_ptr<State> before = current();
  if (served == before->served) {
    const std::lock_guard<std::mutex> locked(reading_);
    refused_.reset();
    return false;
  }
  const std::shared_ptr<State> state = load_state(served, before.get());
  {
    const std::lock_guard<std::mutex> locked(reading_);
    state_ = state;
    refused_.reset();
    warning_.clear();
  }
  if (state->counters != before->counters) before->counters->close();
  return true;
}

std::shared_ptr<State> Model::current() {
  const std::lock_guard<std::mutex> locked(reading_);
  return state_;
}

Json Model::info() {
  Json told = now()->info();
  const std::lock_guard<std::mutex> locked(reading_);
  told["warning"] = warning_.empty() ? Json() : Json(warning_);
  return told;
}

Learned Model::learn(std::span<const edge_tensor> inputs, const edge_tensor& targets, const edge_how& how) {
  require_sane(how);
  const Alone alone = Alone::learning(root_);
  const std::shared_ptr<State> state = now();
  const Deadline deadline(how.seconds > 0 ? how.seconds : std::numeric_limits<double>::infinity());
  Tensors support = support_of(*state, inputs, targets);
  require_writable(state->served);
  const Json& learn_by = state->manifest.at("learn");
  std::vector<std::string> files;
  for (const auto& [name, file] : learn_by.at("programs").items()) files.push_back(file.get<std::string>());
  if (learn_by.contains("guard") && !learn_by.at("guard").is_null())
    files.push_back(learn_by.at("guard").at("file").get<std::string>());
  if (const Json& infer = state->manifest.at("infer"); infer.contains("layout") && infer.at("layout").is_string())
    files.push_back(infer.at("layout").get<std::string>());
  require_whole(state->served, state->manifest, files);
  const Json usual = learn_by.contains("usual") && learn_by.at("usual").is_object() ? learn_by.at("usual") : Json::object();
  const Json spec = {{"release", state->served.folder()},
                     {"seed", how.seed},
                     {"lr", kLearningRate},
                     {"classes", state->own_classes},
                     {"jitter", jitter_of(*state, usual)}};
  Learned learned;
  try {
    Learner learner(spec, std::move(support));
    const std::int64_t steps = how.steps ? how.steps : usual_steps(usual);
    const Checkpoint checkpoint(unfinished_beside(state->served.adapted()), learner.key(steps));
    const Heard nobody = [](const std::string&, const Json&) {};
    learned.outcome = edge::learn(learner, steps, deadline, nobody, [] { return std::string(); }, checkpoint);
    learned.examples = static_cast<std::int64_t>(learner.strata().size());
    if (learned.outcome.accepted) {
      const Alone changing = Alone::changing(root_);
      keep(state->served, learned.outcome.learned);
    }
    checkpoint.drop();
  } catch (const Failure& failure) {
    if (failure.kind == "EdgeRuntimeError") throw;
    throw refusal(root_, std::string("learning ended early: ") + failure.what(), "It serves what it served.");
  }
  Json said = {{"release", state->served.digest}, {"reason", learned.outcome.reason}, {"examples", learned.examples}};
  if (learned.outcome.held_out.is_object()) said.update(learned.outcome.held_out);
  note(root_, learned.outcome.accepted ? "learned" : "did not take what it learned", said);
  reload();
  return learned;
}

bool Model::undo() {
  bool left = false;
  {
    const Alone alone = Alone::learning(root_), changing = Alone::changing(root_);
    const Served served = now()->served;
    left = edge::undo(served);
    note(root_, "undid what it learned", {{"release", served.digest}, {"serves", left ? "learned" : "installed"}});
  }
  reload();
  return left;
}

}  // namespace edge
