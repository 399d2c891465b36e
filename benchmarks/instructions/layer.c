/* Run one layer of all-MiniLM-L6-v2's shape over a text as often as the first argument says, with weights made from a seed;
 * print the fewest microseconds of processor time that it took. */
#include "../../localsearch/kernels/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NAMED_(name, path) name##_##path
#define NAMED(name, path) NAMED_(name, path)

extern LayerScratch NAMED(layer_scratch, PATH_NAME);
extern LayerRun NAMED(layer_run, PATH_NAME);

enum { WIDTH = 384, INNER = 1536, HEADS = 12, TOKENS = 128 };

static uint32_t state = 7;
static int next(void) { return state = state * 1664525u + 1013904223u, (int)(state >> 8 & 0xffff); }

static float *floats(int count, float scale) {
  float *made = malloc(sizeof(float) * count);
  for (int i = 0; i < count; i++) made[i] = scale * ((float)(next() % 2001) / 1000.f - 1.f);
  return made;
}

static Dense dense(int rows, int columns) {
  int8_t *weight = malloc((size_t)rows * columns);
  for (int i = 0; i < rows * columns; i++) weight[i] = (int8_t)(next() % 255 - 127);
  float *scales = floats(columns, 0.0005f);
  for (int i = 0; i < columns; i++) scales[i] += 0.001f;
  return (Dense){weight, calloc(columns, sizeof(int32_t)), scales, floats(columns, 0.1f), rows, columns};
}

static Norm norm(void) { return (Norm){floats(WIDTH, 1.f), floats(WIDTH, 0.2f)}; }

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1e6 + t.tv_nsec * 1e-3;
}

int main(int count, char **arguments) {
  Layer layer = {dense(WIDTH, 3 * WIDTH), dense(WIDTH, WIDTH), dense(WIDTH, INNER), dense(INNER, WIDTH),
                 norm(), norm(), WIDTH, INNER, HEADS, 1e-12f};
  float *x = floats(TOKENS * WIDTH, 1.f), *text = malloc(sizeof(float) * TOKENS * WIDTH);
  char *scratch = aligned_alloc(64, (NAMED(layer_scratch, PATH_NAME)(&layer, TOKENS) + 63) / 64 * 64);
  double best = 1e12;
  for (int i = 0; count > 1 && i < atoi(arguments[1]); i++) {
    memcpy(text, x, sizeof(float) * TOKENS * WIDTH);
    double began = now();
    NAMED(layer_run, PATH_NAME)(&layer, text, TOKENS, scratch);
    double took = now() - began;
    if (took < best) best = took;
  }
  printf("%.0f\n", best);
  return 0;
}
