/* The few entries of ONNX Runtime's C interface that operator.c needs.
 *
 * OrtApi is a table of functions that only grows at its end, so an entry's place never changes: version 1 has 102,
 * and ReleaseCustomOpDomain is the last of them (onnxruntime_c_api.h, "struct OrtApi"). Entries not used here are
 * counted, not named. OrtCustomOp is laid out as of version 16, which brought functions that may fail.
 */
#ifndef LOCALSEARCH_ONNXRUNTIME_H
#define LOCALSEARCH_ONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define ORT_VERSION 16

typedef struct OrtStatus OrtStatus; /* null is success */
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtValue OrtValue;
typedef struct OrtShape OrtShape; /* OrtTensorTypeAndShapeInfo */
typedef struct OrtCustomOp OrtCustomOp;
typedef void (*OrtUnused)(void);

enum { ORT_FAIL = 1 };
enum { ORT_FLOAT = 1, ORT_INT8 = 3, ORT_INT32 = 6 };

typedef struct OrtApi {
  OrtStatus *(*CreateStatus)(int code, const char *message);
  OrtUnused skipped1[25];
  OrtStatus *(*CreateCustomOpDomain)(const char *name, OrtCustomOpDomain **out);
  OrtStatus *(*CustomOpDomain_Add)(OrtCustomOpDomain *domain, const OrtCustomOp *op);
  OrtStatus *(*AddCustomOpDomain)(OrtSessionOptions *options, OrtCustomOpDomain *domain);
  OrtUnused skipped29[22];
  OrtStatus *(*GetTensorMutableData)(OrtValue *value, void **out);
  OrtUnused skipped52[9];
  OrtStatus *(*GetDimensionsCount)(const OrtShape *shape, size_t *out);
  OrtStatus *(*GetDimensions)(const OrtShape *shape, int64_t *out, size_t count);
  OrtUnused skipped63[2];
  OrtStatus *(*GetTensorTypeAndShape)(const OrtValue *value, OrtShape **out);
  OrtUnused skipped66[19];
  OrtStatus *(*KernelInfoGetAttribute_float)(const OrtKernelInfo *info, const char *name, float *out);
  OrtStatus *(*KernelInfoGetAttribute_int64)(const OrtKernelInfo *info, const char *name, int64_t *out);
  OrtUnused skipped87[3];
  OrtStatus *(*KernelContext_GetInput)(const OrtKernelContext *context, size_t index, const OrtValue **out);
  OrtStatus *(*KernelContext_GetOutput)(OrtKernelContext *context, size_t index, const int64_t *dims, size_t count,
                                        OrtValue **out);
  OrtUnused skipped92[7];
  void (*ReleaseTensorTypeAndShapeInfo)(OrtShape *shape);
  OrtUnused skipped100;
  void (*ReleaseCustomOpDomain)(OrtCustomOpDomain *domain);
} OrtApi;

_Static_assert(offsetof(OrtApi, CreateCustomOpDomain) == 26 * sizeof(OrtUnused), "place 26");
_Static_assert(offsetof(OrtApi, GetTensorMutableData) == 51 * sizeof(OrtUnused), "place 51");
_Static_assert(offsetof(OrtApi, GetDimensionsCount) == 61 * sizeof(OrtUnused), "place 61");
_Static_assert(offsetof(OrtApi, GetTensorTypeAndShape) == 65 * sizeof(OrtUnused), "place 65");
_Static_assert(offsetof(OrtApi, KernelInfoGetAttribute_float) == 85 * sizeof(OrtUnused), "place 85");
_Static_assert(offsetof(OrtApi, KernelContext_GetInput) == 90 * sizeof(OrtUnused), "place 90");
_Static_assert(offsetof(OrtApi, ReleaseTensorTypeAndShapeInfo) == 99 * sizeof(OrtUnused), "place 99");
_Static_assert(offsetof(OrtApi, ReleaseCustomOpDomain) == 101 * sizeof(OrtUnused), "place 101, the last");

typedef struct OrtApiBase {
  const OrtApi *(*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

struct OrtCustomOp {
  uint32_t version;
  void *(*CreateKernel)(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info);
  const char *(*GetName)(const OrtCustomOp *op);
  const char *(*GetExecutionProviderType)(const OrtCustomOp *op);
  int (*GetInputType)(const OrtCustomOp *op, size_t index);
  size_t (*GetInputTypeCount)(const OrtCustomOp *op);
  int (*GetOutputType)(const OrtCustomOp *op, size_t index);
  size_t (*GetOutputTypeCount)(const OrtCustomOp *op);
  void (*KernelCompute)(void *kernel, OrtKernelContext *context);
  void (*KernelDestroy)(void *kernel);
  int (*GetInputCharacteristic)(const OrtCustomOp *op, size_t index);
  int (*GetOutputCharacteristic)(const OrtCustomOp *op, size_t index);
  int (*GetInputMemoryType)(const OrtCustomOp *op, size_t index);
  int (*GetVariadicInputMinArity)(const OrtCustomOp *op);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp *op);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp *op);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp *op);
  OrtStatus *(*CreateKernelV2)(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info, void **kernel);
  OrtStatus *(*KernelComputeV2)(void *kernel, OrtKernelContext *context);
};

#endif
