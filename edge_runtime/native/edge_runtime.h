/* Call what this board serves, and let it learn: releases for ExecuTorch.
 *
 * A function that can fail says so by what it returns, and edge_error() then says why. Texts and values belong to the
 * calling thread of the system: they hold until its next call of a function of this file. Threads may share a model: one
 * call waits for the other. Nothing is printed but what the runtime says before it aborts. Link with -ledge_runtime;
 * docs/on-the-board.md has an example.
 */
#ifndef EDGE_RUNTIME_H
#define EDGE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct edge_model edge_model;

typedef enum {
  EDGE_FLOAT32,
  EDGE_INT64,
  EDGE_INT32,
  EDGE_INT16, /* of recordings: -1 to 1 */
  EDGE_UINT8, /* 0 to 1, whatever it is of */
  EDGE_INT8,
  EDGE_BOOL
} edge_type;

/* Values of the shape of one example, or with one more dimension in front of several; row by row. Where `name` is NULL
 * they are the next input's, else that one's. */
typedef struct {
  const char* name;
  edge_type type;
  const void* values;
  const int64_t* shape;
  size_t dimensions;
} edge_tensor;

/* The first output, of `examples` examples, `values_per_example` each. `classes` are those of these outputs, in the order
 * of their logits ("": of none yet), whatever is deployed meanwhile. */
typedef struct {
  const float* values;
  size_t examples;
  size_t values_per_example;
  const char* const* classes;
  size_t classes_count;
  const char* release;
} edge_answer;

/* Zeros stand for what is usual for the network, and for no limit of seconds. */
typedef struct {
  int64_t steps;
  double seconds;
  uint64_t seed;
} edge_how;

/* It serves from now on if `accepted`. What was held out: `judged` is 0 where nothing could be. */
typedef struct {
  int accepted;
  const char* reason;
  int64_t examples;
  int64_t steps;
  int judged;
  double loss_before, score_before, loss_after, score_after;
} edge_learned;

/* What is active on this board. `root`: the folder of the toolkit, NULL for $EDGE_DEPLOY_ROOT, else ~/.edge-deploy.
 * `threads` are those of the whole process: all models that are loaded have as many. NULL where nothing can be loaded. */
edge_model* edge_load(const char* root, int threads);

void edge_close(edge_model* model);

/* What failed in this thread last: where, what, and in a second line what to do. */
const char* edge_error(void);

/* The input of that place: name, type and the shape of one example (`values` is NULL). 1, or 0 where there is none, or -1. */
int edge_input(edge_model* model, size_t place, edge_tensor* input);

/* 0, or -1. A later deployment, rollback or learning is taken over before it answers; what cannot be loaded is told by
 * edge_info (`warning`), and the model goes on with what it had. */
int edge_call(edge_model* model, const edge_tensor* inputs, size_t count, edge_answer* answer);

/* 1 if it took over another state, 0 if there was none, -1 if it cannot be loaded: then it serves on. */
int edge_reload(edge_model* model);

/* JSON: release, adapted, inputs, outputs, classes, learns, preprocessing, ...; NULL where that fails. */
const char* edge_info(edge_model* model);

/* Learn anew, from these examples alone, on top of the release as installed; calls go on meanwhile. `targets`: the places
 * of classes (any integers), or what the release's target is. `how` may be NULL. 0, or -1. */
int edge_learn(edge_model* model, const edge_tensor* inputs, size_t count, const edge_tensor* targets,
               const edge_how* how, edge_learned* learned);

/* Serve what was served before the last learning: 1 if that, too, was learned, 0 if it is the release as installed, or -1. */
int edge_undo(edge_model* model);

#ifdef __cplusplus
}
#endif

#endif
