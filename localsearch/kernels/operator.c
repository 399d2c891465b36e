/* localsearch.TransformerLayer: layer.c as an operator of ONNX Runtime, registered by RegisterCustomOps.
 *
 * Inputs: x (batch, tokens, width) floats; for each of query-key-value, output, up, down: packed weight (columns / 64,
 * rows / 4, 64, 4) int8, sums (columns) int32, scales and bias (columns) floats; gain and shift (width) of the norm
 * after attention, then of the norm of the result. Attributes: heads, epsilon. Output: as x.
 */
#include "onnxruntime.h"
#include "paths.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { X = 0, DENSE = 1, NORMS = 17, INPUTS = 21, ALIGNMENT = 64 };

typedef struct {
  const OrtApi *api;
  int heads;
  float epsilon;
} Kernel;

/* A thread's room for layers, kept from run to run and grown when a longer text comes. */
typedef struct {
  size_t bytes;
  char *at;
} Scratch;

static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;

static void drop_scratch(void *value) {
  free(((Scratch *)value)->at);
  free(value);
}

static void make_key(void) { pthread_key_create(&scratch_key, drop_scratch); }

static char *scratch(size_t bytes) {
  pthread_once(&scratch_once, make_key);
  Scratch *own = pthread_getspecific(scratch_key);
  if (!own) {
    own = calloc(1, sizeof *own);
    if (!own || pthread_setspecific(scratch_key, own)) {
      free(own);
      return 0;
    }
  }
  if (own->bytes < bytes) {
    free(own->at);
    own->at = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    own->bytes = own->at ? bytes : 0;
  }
  return own->at;
}

#define TRY(call)               \
  do {                          \
    OrtStatus *failed_ = (call); \
    if (failed_) return failed_; \
  } while (0)

static OrtStatus *data_of(const OrtApi *api, const OrtKernelContext *context, size_t index, const void **out) {
  const OrtValue *value;
  TRY(api->KernelContext_GetInput(context, index, &value));
  return api->GetTensorMutableData((OrtValue *)value, (void **)out);
}

/* Dimensions of an input with exactly `count` of them. */
static OrtStatus *shape_of(const OrtApi *api, const OrtKernelContext *context, size_t index, int64_t *dims,
                           size_t count) {
  const OrtValue *value;
  OrtShape *shape;
  size_t found;
  TRY(api->KernelContext_GetInput(context, index, &value));
  TRY(api->GetTensorTypeAndShape(value, &shape));
  OrtStatus *status = api->GetDimensionsCount(shape, &found);
  if (!status && found != count) status = api->CreateStatus(ORT_FAIL, "TransformerLayer: an input has another rank");
  if (!status) status = api->GetDimensions(shape, dims, count);
  api->ReleaseTensorTypeAndShapeInfo(shape);
  return status;
}

static OrtStatus *read_dense(const OrtApi *api, const OrtKernelContext *context, size_t index, Dense *dense) {
  int64_t dims[4];
  TRY(shape_of(api, context, index, dims, 4));
  dense->columns = (int)(dims[0] * dims[2]);
  dense->rows = (int)(dims[1] * dims[3]);
  TRY(data_of(api, context, index, (const void **)&dense->weight));
  TRY(data_of(api, context, index + 1, (const void **)&dense->sums));
  TRY(data_of(api, context, index + 2, (const void **)&dense->scales));
  return data_of(api, context, index + 3, (const void **)&dense->bias);
}

static OrtStatus *read_layer(const Kernel *kernel, const OrtKernelContext *context, Layer *layer) {
  const OrtApi *api = kernel->api;
  Dense *dense[] = {&layer->query_key_value, &layer->output, &layer->up, &layer->down};
  for (size_t i = 0; i < 4; i++) TRY(read_dense(api, context, DENSE + 4 * i, dense[i]));
  const float **norms[] = {&layer->attention.gain, &layer->attention.shift, &layer->result.gain, &layer->result.shift};
  for (size_t i = 0; i < 4; i++) TRY(data_of(api, context, NORMS + i, (const void **)norms[i]));
  layer->width = layer->output.columns;
  layer->inner = layer->up.columns;
  layer->heads = kernel->heads;
  layer->epsilon = kernel->epsilon;
  return 0;
}

static OrtStatus *compute(void *own, OrtKernelContext *context) {
  const Kernel *kernel = own;
  const OrtApi *api = kernel->api;
  Layer layer;
  int64_t dims[3];
  const float *x;
  OrtValue *value;
  float *out;
  TRY(read_layer(kernel, context, &layer));
  TRY(shape_of(api, context, X, dims, 3));
  if (dims[2] != layer.width) return api->CreateStatus(ORT_FAIL, "TransformerLayer: x has another width");
  TRY(data_of(api, context, X, (const void **)&x));
  TRY(api->KernelContext_GetOutput(context, 0, dims, 3, &value));
  TRY(api->GetTensorMutableData(value, (void **)&out));
  const Path *path = path_in_use();
  char *room = scratch(path->layer_scratch(&layer, (int)dims[1]));
  if (!room) return api->CreateStatus(ORT_FAIL, "TransformerLayer: out of memory");
  const size_t text = (size_t)(dims[1] * dims[2]);
  memcpy(out, x, sizeof(float) * text * dims[0]);
  for (int64_t i = 0; i < dims[0]; i++, out += text) path->layer_run(&layer, out, (int)dims[1], room);
  return 0;
}

static OrtStatus *create(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **out) {
  (void)op;
  Kernel kernel = {.api = api};
  int64_t heads;
  TRY(api->KernelInfoGetAttribute_int64(info, "heads", &heads));
  TRY(api->KernelInfoGetAttribute_float(info, "epsilon", &kernel.epsilon));
  kernel.heads = (int)heads;
  *out = malloc(sizeof kernel);
  if (!*out) return api->CreateStatus(ORT_FAIL, "TransformerLayer: out of memory");
  memcpy(*out, &kernel, sizeof kernel);
  return 0;
}

static const char *name(const OrtCustomOp *op) { return (void)op, "TransformerLayer"; }
static const char *provider(const OrtCustomOp *op) { return (void)op, "CPUExecutionProvider"; }
static size_t inputs(const OrtCustomOp *op) { return (void)op, (size_t)INPUTS; }
static size_t outputs(const OrtCustomOp *op) { return (void)op, (size_t)1; }
static int required(const OrtCustomOp *op, size_t index) { return (void)op, (void)index, 0; }
static int memory(const OrtCustomOp *op, size_t index) { return (void)op, (void)index, 0; }
static int output_type(const OrtCustomOp *op, size_t index) { return (void)op, (void)index, ORT_FLOAT; }
static int one(const OrtCustomOp *op) { return (void)op, 1; }

static int input_type(const OrtCustomOp *op, size_t index) {
  (void)op;
  if (index < DENSE || index >= NORMS) return ORT_FLOAT;
  const int types[] = {ORT_INT8, ORT_INT32, ORT_FLOAT, ORT_FLOAT};
  return types[(index - DENSE) % 4];
}

static const OrtCustomOp transformer_layer = {
    .version = ORT_VERSION,
    .GetName = name,
    .GetExecutionProviderType = provider,
    .GetInputType = input_type,
    .GetInputTypeCount = inputs,
    .GetOutputType = output_type,
    .GetOutputTypeCount = outputs,
    .KernelDestroy = free,
    .GetInputCharacteristic = required,
    .GetOutputCharacteristic = required,
    .GetInputMemoryType = memory,
    .GetVariadicInputMinArity = one,
    .GetVariadicInputHomogeneity = one,
    .GetVariadicOutputMinArity = one,
    .GetVariadicOutputHomogeneity = one,
    .CreateKernelV2 = create,
    .KernelComputeV2 = compute,
};

/* One domain serves every session of the process; it lives as long as the process does. */
static const OrtApi *api;
static OrtCustomOpDomain *domain;
static OrtStatus *refused;
static pthread_once_t domain_once = PTHREAD_ONCE_INIT;

static void make_domain(void) {
  refused = api->CreateCustomOpDomain("localsearch", &domain);
  if (!refused) refused = api->CustomOpDomain_Add(domain, &transformer_layer);
}

__attribute__((visibility("default"))) OrtStatus *RegisterCustomOps(OrtSessionOptions *options,
                                                                    const OrtApiBase *base) {
  api = base->GetApi(ORT_VERSION);
  if (!path_in_use()) return api->CreateStatus(ORT_FAIL, "TransformerLayer: this processor runs none of its paths");
  pthread_once(&domain_once, make_domain);
  if (refused) return api->CreateStatus(ORT_FAIL, "TransformerLayer cannot be registered");
  return api->AddCustomOpDomain(options, domain);
}
