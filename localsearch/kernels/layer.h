/* One layer of a BERT-family encoder in 8 bits, for one text on one thread. See layer.c. */
#ifndef LOCALSEARCH_LAYER_H
#define LOCALSEARCH_LAYER_H

#include <stddef.h>
#include <stdint.h>

/* A product's weights, packed (columns / 64, rows / 4, 64, 4), with the sum, scale and bias of each column. */
typedef struct {
  const int8_t *weight;
  const int32_t *sums;
  const float *scales, *bias;
  int rows, columns;
} Dense;

/* A layer norm's factor and shift for each channel. */
typedef struct {
  const float *gain, *shift;
} Norm;

typedef struct {
  Dense query_key_value, output, up, down; /* the query's share is scaled by 1 / sqrt(head size) already */
  Norm attention, result;
  int width, inner, heads;
  float epsilon;
} Layer;

/* Bytes that a run needs beside the text itself, for a text of that many tokens. */
typedef size_t LayerScratch(const Layer *layer, int tokens);

/* Replace x, (tokens, width) floats, by the layer's output. `scratch` is aligned to 64 bytes. */
typedef void LayerRun(const Layer *layer, float *x, int tokens, char *scratch);

#endif
