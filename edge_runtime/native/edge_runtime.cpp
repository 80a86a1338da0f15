// The C face of a model: no exception leaves it.
#include "edge_runtime.h"

#include <pwd.h>
#include <unistd.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "model.hpp"

// By their C names; everything else stays inside the library.
#define EDGE_EXPORTED extern "C" __attribute__((visibility("default")))

struct edge_model {
  edge::Model model;
};

namespace {

using edge::refusal;

// What the last call of this thread gave.
struct Texts {
  std::string error, info;
  // The error, or a text that takes no memory.
  const char* said = "";
  std::shared_ptr<const edge::Told> told;
  edge::Answer answer;
  std::vector<const char*> classes;
  edge::Learned learned;
};

Texts& texts() {
  thread_local Texts of_this_thread;
  return of_this_thread;
}

std::string folder_of(const char* root) {
  if (!root || !*root) root = std::getenv("EDGE_DEPLOY_ROOT");
  std::string folder = root && *root ? root : "~/.edge-deploy";
  const char* home = std::getenv("HOME");
  if (const passwd* const user = home ? nullptr : getpwuid(geteuid())) home = user->pw_dir;
  if (home && (folder == "~" || folder.starts_with("~/"))) folder = home + folder.substr(1);
  char* const whole = realpath(folder.c_str(), nullptr);
  if (whole) folder = whole;
  std::free(whole);
  return folder;
}

void keep_error(const char* what) noexcept {
  Texts& kept = texts();
  try {
    kept.error = what;
    if (kept.error.find('\n') == std::string::npos) kept.error += "\nDeploy the release again.";
    kept.said = kept.error.c_str();
  } catch (const std::bad_alloc&) {
    kept.said = "edge_runtime: something failed, and there is no memory to say what\nFree some.";
  }
}

template <typename Work>
auto guarded(decltype(std::declval<Work>()()) failed, const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    texts().said = "edge_runtime: not enough memory\nFree some, or deploy a smaller model.";
  } catch (const std::exception& error) {
    keep_error(error.what());
  }
  return failed;
}

// Every public function but edge_load is given one.
edge_model& of(edge_model* model) {
  if (!model) throw refusal("edge_runtime", "was given no model", "See what edge_error said when edge_load returned NULL.");
  return *model;
}

std::span<const edge_tensor> tensors_of(const edge_tensor* inputs, size_t count) {
  if (!inputs) count = 0;
  return {inputs, count};
}

}  // namespace

EDGE_EXPORTED edge_model* edge_load(const char* root, int threads) {
  return guarded<>(nullptr, [&]() -> edge_model* { return new edge_model{edge::Model(folder_of(root), threads)}; });
}

EDGE_EXPORTED void edge_close(edge_model* model) { delete model; }

EDGE_EXPORTED const char* edge_error(void) { return texts().said; }

EDGE_EXPORTED int edge_input(edge_model* model, size_t place, edge_tensor* input) {
  return guarded(-1, [&] {
    Texts& kept = texts();
    kept.told = of(model).model.now()->told;
    if (place >= kept.told->entries.size()) return 0;
    const edge::Entry& entry = kept.told->entries[place];
    *input = {entry.name.c_str(), edge::as_given(entry.type), nullptr, entry.shape.data(), entry.shape.size()};
    return 1;
  });
}

EDGE_EXPORTED int edge_call(edge_model* model, const edge_tensor* inputs, size_t count, edge_answer* answer) {
  return guarded(-1, [&] {
    Texts& kept = texts();
    kept.answer = of(model).model.call(tensors_of(inputs, count));
    const edge::Told& told = *kept.answer.told;
    kept.classes.clear();
    for (const std::string& name : told.classes) kept.classes.push_back(name.c_str());
    *answer = {kept.answer.values.data(), kept.answer.examples, kept.answer.values.size() / kept.answer.examples,
               kept.classes.data(),       kept.classes.size(),  told.release.c_str()};
    return 0;
  });
}

EDGE_EXPORTED int edge_reload(edge_model* model) {
  return guarded(-1, [&] { return of(model).model.reload() ? 1 : 0; });
}

EDGE_EXPORTED const char* edge_info(edge_model* model) {
  return guarded<>(static_cast<const char*>(nullptr), [&]() -> const char* {
    texts().info = edge::to_text(of(model).model.info());
    return texts().info.c_str();
  });
}

EDGE_EXPORTED int edge_learn(edge_model* model, const edge_tensor* inputs, size_t count, const edge_tensor* targets,
                             const edge_how* how, edge_learned* learned) {
  return guarded(-1, [&] {
    if (!targets) throw refusal("edge_learn", "was given no targets", "Give one an example.");
    Texts& kept = texts();
    kept.learned = of(model).model.learn(tensors_of(inputs, count), *targets, how ? *how : edge_how{0, 0, 0});
    const edge::Outcome& outcome = kept.learned.outcome;
    const bool judged = !outcome.held_out.is_null();
    const auto held_out = [&](const char* name) { return judged ? outcome.held_out.at(name).get<double>() : 0.0; };
    *learned = {outcome.accepted,         outcome.reason.c_str(),   kept.learned.examples,   outcome.steps, judged,
                held_out("loss_before"), held_out("score_before"), held_out("loss_after"), held_out("score_after")};
    return 0;
  });
}

EDGE_EXPORTED int edge_undo(edge_model* model) {
  return guarded(-1, [&] { return of(model).model.undo() ? 1 : 0; });
}
