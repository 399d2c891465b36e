/* Run the kernels of one path over numbers made from a seed: the nodes of walks, an empty line, and a layer's output. */
#include "../../localsearch/kernels/layer.h"
#include "../../localsearch/kernels/walk.h"

#include <stdio.h>
#include <stdlib.h>

#define NAMED_(name, path) name##_##path
#define NAMED(name, path) NAMED_(name, path)

extern LayerScratch NAMED(layer_scratch, PATH_NAME);
extern LayerRun NAMED(layer_run, PATH_NAME);
extern WalkGraph NAMED(walk_graph, PATH_NAME);

enum { WIDTH = 128, INNER = 192, HEADS = 4, TOKENS = 131, NODES = 400, LINKS = 8, SIZE = 100, FOUND = 10 };

static uint32_t state = 7;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u, state >> 8; }
static float small(void) { return (float)(next() % 2001) / 1000.f - 1.f; }

static float *floats(int count, float scale) {
  float *made = malloc(sizeof(float) * count);
  for (int i = 0; i < count; i++) made[i] = scale * small();
  return made;
}

/* Packed as layer.h says, with each column's sum. */
static Dense dense(int rows, int columns) {
  int8_t *weight = malloc((size_t)rows * columns);
  int32_t *sums = calloc(columns, sizeof *sums);
  for (int p = 0; p < columns / 64; p++)
    for (int g = 0; g < rows / 4; g++)
      for (int c = 0; c < 64; c++)
        for (int k = 0; k < 4; k++) {
          int8_t one = (int8_t)((int)(next() % 255) - 127);
          weight[(((size_t)p * (rows / 4) + g) * 64 + c) * 4 + k] = one;
          sums[64 * p + c] += one;
        }
  float *scales = floats(columns, 0.0005f);
  for (int i = 0; i < columns; i++) scales[i] += 0.001f;
  return (Dense){weight, sums, scales, floats(columns, 0.1f), rows, columns};
}

static Norm norm(void) { return (Norm){floats(WIDTH, 1.f), floats(WIDTH, 0.2f)}; }

static void walks(void) {
  static uint8_t codes[NODES * SIZE];
  static Link links[NODES * LINKS];
  static Start starts[NODES + 1];
  const int32_t levels[] = {0, LINKS};
  int32_t found[FOUND];
  for (int i = 0; i < NODES * SIZE; i++) codes[i] = (uint8_t)next();
  for (int i = 0; i < NODES; i++) {
    for (int j = 0; j < LINKS; j++) links[LINKS * i + j] = j ? (int)(next() % NODES) : (i + 1) % NODES;
    starts[i + 1] = (uint64_t)LINKS * (i + 1);
  }
  for (int query = 0; query < 20; query++) {
    int count = NAMED(walk_graph, PATH_NAME)(codes, SIZE, links, NODES * LINKS, starts, levels, 0, query, NODES,
                                             codes + query * SIZE, 0, 50, FOUND, found);
    for (int i = 0; i < count; i++) printf("%d ", found[i]);
    printf("\n");
  }
}

int main(void) {
  walks();
  Layer layer = {dense(WIDTH, 3 * WIDTH), dense(WIDTH, WIDTH), dense(WIDTH, INNER), dense(INNER, WIDTH),
                 norm(), norm(), WIDTH, INNER, HEADS, 1e-12f};
  float *x = floats(TOKENS * WIDTH, 1.f);
  char *scratch = aligned_alloc(64, (NAMED(layer_scratch, PATH_NAME)(&layer, TOKENS) + 63) / 64 * 64);
  NAMED(layer_run, PATH_NAME)(&layer, x, TOKENS, scratch);
  printf("\n");
  for (int i = 0; i < TOKENS * WIDTH; i++) printf("%.5f ", x[i]);
  return 0;
}
