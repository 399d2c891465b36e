/* One layer of a BERT-family encoder in 8 bits, compiled once for each path of simd.h.
 *
 * Between two products everything stays in the second-level cache: a block of rows goes through the whole of the
 * feed-forward part before the next block starts, GELU is applied to sums still in registers, and attention holds the
 * scores of a few queries at a time. Activations are brought to 8 bits row by row with the row's own range, so a
 * token's rounding does not depend on its neighbours; queries and keys likewise, head by head. Weights are symmetric
 * with one scale per column. Sums are exact in 32 bits.
 *
 * Sizes: width, inner and 3 * width are multiples of 64, the head size of 32.
 */
#include "layer.h"

#include "simd.h"

#include <math.h>

#define LOG2E 1.44269504f

enum { PANEL = 64, COLUMNS = TILE * LANES, QUERIES = 6, BLOCK = 48, PADDING = 16 };
enum epilogue { STORE, ADD, GELU };

/* Rows in 8 bits: value = scale * (number - zero). */
typedef struct {
  Number *numbers;
  float *scales;
  int32_t *zeros;
  int length;
} Rows;

/* 2^x by a polynomial of degree 4 on half a binade to either side of zero; relative error < 4e-6. */
INLINE F power_of_two(F x) {
  F n = whole(x), r = x - n;
  F p = fused(all(0.0095701013f), r, all(0.055917858f));
  p = fused(p, r, all(0.24024744f));
  p = fused(p, r, all(0.69312179f));
  return times_power(fused(p, r, all(0.99999928f)), n);
}

/* x * Phi(x) = max(x, 0) - |x| * (1 - Phi(|x|)), with erf of Abramowitz and Stegun 7.1.25, |error| < 2.5e-5. */
INLINE F gelu(F x) {
  F size = size_of(x), z = size * all(0.70710678f);
  F t = inverse_of(fused(z, all(0.47047f), all(1.f)));
  F p = fused(t, all(0.5f * 0.7478556f), all(0.5f * -0.0958798f));
  p = fused(p, t, all(0.5f * 0.3480242f)) * t;
  F tail = p * power_of_two(z * z * all(-LOG2E));
  return fused(-size, tail, larger(x, all(0.f)));
}

/* COLUMNS columns of out = rows * weights + bias. ADD adds what `out` held, GELU is applied to the sum.
 * While they are computed, the next columns' weights are fetched, `step` bytes for every four of a row. */
typedef struct {
  const Rows *rows;
  const Dense *dense;
  float *out;
  int column;
  const int8_t *ahead;
  int step;
} Panel;

/* From the sums of `count` rows, in registers, to `out`. */
INLINE void finish(Four sums[ROWS][TILE], int count, enum epilogue how, const Panel *panel, int row) {
  const Dense *dense = panel->dense;
  const Rows *rows = panel->rows;
  UNROLL for (int j = 0; j < TILE; j++) {
    int at = panel->column + LANES * j;
    I weights = load_integers(dense->sums + at);
    F scales = load(dense->scales + at), bias = load(dense->bias + at);
    UNROLL for (int r = 0; r < count; r++) {
      I zero = weights * all_integers(rows->zeros[row + r]);
      F value = fused(floats(total(sums[r][j]) - zero), scales * all(rows->scales[row + r]), bias);
      float *to = panel->out + (size_t)(row + r) * dense->columns + at;
      if (how == GELU) value = gelu(value);
      if (how == ADD) value = value + load(to);
      store(to, value);
    }
  }
}

INLINE void multiply(int count, enum epilogue how, const Panel *panel, int row) {
  Four sums[ROWS][TILE];
  UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < TILE; j++) sums[r][j] = (Four){0};
  const int length = panel->rows->length, step = panel->step, column = panel->column;
  const int8_t *weight = panel->dense->weight + (size_t)(column / PANEL * PANEL) * length + 4 * (column % PANEL);
  const int8_t *ahead = panel->ahead + (size_t)(row / ROWS) * (length / 4) * step;
  const Number *numbers = panel->rows->numbers + (size_t)row * length;
  for (int k = 0; k < length; k += 4, weight += 4 * PANEL, ahead += step) {
    Four w[TILE];
    if (COLUMNS == PANEL) prefetch_far(ahead);
    UNROLL for (int j = 0; j < TILE; j++) w[j] = four_weights(weight + 4 * LANES * j);
    UNROLL for (int r = 0; r < count; r++) {
      I x = four_numbers(numbers + (size_t)r * length + k);
      UNROLL for (int j = 0; j < TILE; j++) sums[r][j] = dot(sums[r][j], x, w[j]);
    }
  }
  finish(sums, count, how, panel, row);
}

INLINE void product(enum epilogue how, const Rows *rows, int count, const Dense *dense, float *out) {
  const int step = 4 * PANEL / ((count + ROWS - 1) / ROWS);
  for (int column = 0; column < dense->columns; column += COLUMNS) {
    const int8_t *ahead = dense->weight + (size_t)(column + PANEL) * rows->length;
    const Panel panel = {rows, dense, out, column, ahead, step};
    int row = 0;
    for (; row + ROWS <= count; row += ROWS) multiply(ROWS, how, &panel, row);
    for (; row + 2 <= count; row += 2) multiply(2, how, &panel, row);
    for (; row < count; row++) multiply(1, how, &panel, row);
  }
}

/* Bring rows to 8 bits, each with its own range, which includes zero. */
static void quantize(const float *x, int count, Rows *rows) {
  for (int r = 0; r < count; r++, x += rows->length) {
    F low = all(0.f), high = low;
    for (int i = 0; i < rows->length; i += LANES) {
      F v = load(x + i);
      low = smaller(low, v);
      high = larger(high, v);
    }
    float least = -largest_of(-low), scale = fmaxf((largest_of(high) - least) / 255.f, 1e-20f);
    rows->scales[r] = scale;
    rows->zeros[r] = LOW + (int32_t)lrintf(-least / scale);
    F inverse = all(1.f / scale);
    I zero = all_integers(rows->zeros[r]);
    Number *to = rows->numbers + (size_t)r * rows->length;
    for (int i = 0; i < rows->length; i += LANES)
      store_numbers(to + i, within(nearest(load(x + i) * inverse) + zero, LOW, LOW + 255));
  }
}

static void normalize(float *x, int count, int width, const Norm *norm, float epsilon) {
  for (int r = 0; r < count; r++, x += width) {
    F sum = all(0.f), squares = sum;
    for (int i = 0; i < width; i += LANES) sum = sum + load(x + i);
    F mean = all(sum_of(sum) / width);
    for (int i = 0; i < width; i += LANES) {
      F v = load(x + i) - mean;
      squares = fused(v, v, squares);
    }
    F inverse = all(1.f / sqrtf(sum_of(squares) / width + epsilon));
    for (int i = 0; i < width; i += LANES) {
      F v = (load(x + i) - mean) * inverse;
      store(x + i, fused(v, load(norm->gain + i), load(norm->shift + i)));
    }
  }
}

/* One head of one text. Keys lie across: (size / 4, padded, 4) signed bytes, padded to whole registers. */
typedef struct {
  int8_t *keys;
  float *key_scales;
  int32_t *key_sums; /* what the queries' zero point adds, taken away: -QUERY_ZERO times the sum of a key's bytes */
  float *values, *scores;
  int tokens, padded, size, stride;
} Head;

/* Queries and keys are symmetric: a query about this number, a key about 0. */
enum { QUERY_ZERO = LOW + 128, MOST = 127 };

/* The scale that brings `size` floats to -MOST..MOST. */
INLINE float scale_of(const float *x, int size) {
  F largest = all(0.f);
  for (int i = 0; i < size; i += LANES) largest = larger(largest, size_of(load(x + i)));
  return fmaxf(largest_of(largest) / MOST, 1e-20f);
}

INLINE I scaled(const float *x, float scale) {
  return within(nearest(load(x) * all(1.f / scale)), -MOST, MOST);
}

static void take_keys(Head *head, const float *key) {
  const int padded = head->padded;
  int32_t *across = (int32_t *)head->keys;
  for (int j = 0; j < head->tokens; j++, key += head->stride) {
    float scale = scale_of(key, head->size);
    I sum = all_integers(0);
    for (int i = 0; i < head->size; i += LANES) {
      I numbers = scaled(key + i, scale);
      int32_t four[LANES / 4];
      store_bytes((int8_t *)four, numbers);
      sum = sum + numbers;
      UNROLL for (int k = 0; k < LANES / 4; k++) across[(size_t)(i / 4 + k) * padded + j] = four[k];
    }
    head->key_scales[j] = scale * LOG2E;
    head->key_sums[j] = -QUERY_ZERO * __builtin_reduce_add(sum);
  }
  for (int j = head->tokens; j < padded; j++) {
    for (int k = 0; k < head->size / 4; k++) across[(size_t)k * padded + j] = 0;
    head->key_scales[j] = 0.f;
    head->key_sums[j] = 0;
  }
}

static void take_values(Head *head, const float *value) {
  for (int j = 0; j < head->tokens; j++, value += head->stride)
    memcpy(head->values + (size_t)j * head->size, value, sizeof(float) * head->size);
}

/* Scores of `count` queries with `registers` * LANES keys from `at`. */
INLINE void score(int count, int registers, const Head *head, const Number *queries, const float *scales, int at) {
  Four sums[QUERIES][TILE];
  UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < registers; j++) sums[r][j] = (Four){0};
  for (int k = 0; k < head->size; k += 4) {
    Four keys[TILE];
    const int8_t *from = head->keys + (size_t)k * head->padded + 4 * at;
    UNROLL for (int j = 0; j < registers; j++) keys[j] = four_weights(from + 4 * LANES * j);
    UNROLL for (int r = 0; r < count; r++) {
      I query = four_numbers(queries + (size_t)r * head->size + k);
      UNROLL for (int j = 0; j < registers; j++) sums[r][j] = dot(sums[r][j], query, keys[j]);
    }
  }
  UNROLL for (int j = 0; j < registers; j++) {
    I zero = load_integers(head->key_sums + at + LANES * j);
    F key_scales = load(head->key_scales + at + LANES * j);
    UNROLL for (int r = 0; r < count; r++)
      store(head->scores + (size_t)r * head->padded + at + LANES * j,
            floats(total(sums[r][j]) + zero) * (key_scales * all(scales[r])));
  }
}

/* Scores become e^(score - largest), nothing in the padding; `inverse` is one over their sum. */
INLINE void soften(int count, const Head *head, float *inverse) {
  for (int r = 0; r < count; r++) {
    float *s = head->scores + (size_t)r * head->padded;
    for (int i = head->tokens; i < head->padded; i++) s[i] = -1e30f;
    F most = load(s), sum = all(0.f);
    for (int i = LANES; i < head->padded; i += LANES) most = larger(most, load(s + i));
    most = all(largest_of(most));
    for (int i = 0; i < head->padded; i += LANES) {
      F e = power_of_two(load(s + i) - most);
      store(s + i, e);
      sum = sum + e;
    }
    inverse[r] = 1.f / sum_of(sum);
  }
}

/* The values' mean under the softened scores. */
INLINE void mix(int count, const Head *head, const float *inverse, float *out, int width) {
  for (int d = 0; d < head->size; d += 2 * LANES) {
    F sums[QUERIES][2];
    UNROLL for (int r = 0; r < count; r++) sums[r][0] = sums[r][1] = all(0.f);
    const float *values = head->values + d;
    for (int j = 0; j < head->tokens; j++, values += head->size) {
      F left = load(values), right = load(values + LANES);
      UNROLL for (int r = 0; r < count; r++) {
        F weight = all(head->scores[(size_t)r * head->padded + j]);
        sums[r][0] = fused(weight, left, sums[r][0]);
        sums[r][1] = fused(weight, right, sums[r][1]);
      }
    }
    UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < 2; j++)
      store(out + (size_t)r * width + d + LANES * j, sums[r][j] * all(inverse[r]));
  }
}

INLINE void attend_few(int count, const Head *head, const float *query, Number *queries, float *out, int width) {
  float scales[QUERIES], inverse[QUERIES];
  for (int r = 0; r < count; r++, query += head->stride) {
    scales[r] = scale_of(query, head->size);
    for (int i = 0; i < head->size; i += LANES)
      store_numbers(queries + (size_t)r * head->size + i, scaled(query + i, scales[r]) + all_integers(QUERY_ZERO));
  }
  int at = 0;
  for (; at + COLUMNS <= head->padded; at += COLUMNS) score(count, TILE, head, queries, scales, at);
  for (; at < head->padded; at += LANES) score(count, 1, head, queries, scales, at);
  soften(count, head, inverse);
  mix(count, head, inverse, out, width);
}

/* out (tokens, width) from queries, keys and values side by side (tokens, 3 * width). */
static void attend(const Layer *layer, const float *parts, Head *head, Number *queries, float *out) {
  const int width = layer->width;
  for (int h = 0; h < layer->heads; h++, parts += head->size, out += head->size) {
    take_keys(head, parts + width);
    take_values(head, parts + 2 * width);
    int row = 0;
    for (; row + QUERIES <= head->tokens; row += QUERIES)
      attend_few(QUERIES, head, parts + (size_t)row * head->stride, queries, out + (size_t)row * width, width);
    for (; row < head->tokens; row++)
      attend_few(1, head, parts + (size_t)row * head->stride, queries, out + (size_t)row * width, width);
  }
}

/* What a run needs beside the text; laid out at `scratch`, or only counted where that is null. */
typedef struct {
  float *parts, *mixed, *inner;
  Number *queries;
  Rows outer_rows, inner_rows;
  Head head;
} Room;

static void *take(char *scratch, size_t *used, size_t bytes) {
  void *at = scratch ? scratch + *used : 0;
  *used += (bytes + 63) / 64 * 64;
  return at;
}

static Rows take_rows(char *scratch, size_t *used, int count, int length) {
  Rows rows = {.length = length};
  rows.numbers = take(scratch, used, sizeof(Number) * count * length);
  rows.scales = take(scratch, used, sizeof(float) * count);
  rows.zeros = take(scratch, used, sizeof(int32_t) * count);
  return rows;
}

static size_t lay_out(const Layer *layer, int tokens, char *scratch, Room *room) {
  const int size = layer->width / layer->heads, padded = (tokens + PADDING - 1) / PADDING * PADDING;
  const size_t text = sizeof(float) * tokens * layer->width;
  size_t used = 0;
  room->parts = take(scratch, &used, 3 * text);
  room->mixed = take(scratch, &used, text);
  room->inner = take(scratch, &used, sizeof(float) * BLOCK * layer->inner);
  room->queries = take(scratch, &used, sizeof(Number) * QUERIES * size);
  room->outer_rows = take_rows(scratch, &used, tokens, layer->width);
  room->inner_rows = take_rows(scratch, &used, BLOCK, layer->inner);
  Head head = {.tokens = tokens, .padded = padded, .size = size, .stride = 3 * layer->width};
  head.keys = take(scratch, &used, (size_t)size * padded);
  head.key_scales = take(scratch, &used, sizeof(float) * padded);
  head.key_sums = take(scratch, &used, sizeof(int32_t) * padded);
  head.values = take(scratch, &used, sizeof(float) * size * padded);
  head.scores = take(scratch, &used, sizeof(float) * QUERIES * padded);
  room->head = head;
  return used;
}

size_t ON_PATH(layer_scratch)(const Layer *layer, int tokens) {
  Room room;
  return lay_out(layer, tokens, 0, &room);
}

/* Attention's output, then the feed-forward part, for one block of rows. */
static void finish_block(const Layer *layer, Room *room, const float *mixed, float *x, int count) {
  quantize(mixed, count, &room->outer_rows);
  product(ADD, &room->outer_rows, count, &layer->output, x);
  normalize(x, count, layer->width, &layer->attention, layer->epsilon);
  quantize(x, count, &room->outer_rows);
  product(GELU, &room->outer_rows, count, &layer->up, room->inner);
  quantize(room->inner, count, &room->inner_rows);
  product(ADD, &room->inner_rows, count, &layer->down, x);
  normalize(x, count, layer->width, &layer->result, layer->epsilon);
}

void ON_PATH(layer_run)(const Layer *layer, float *x, int tokens, char *scratch) {
  Room room;
  lay_out(layer, tokens, scratch, &room);
  quantize(x, tokens, &room.outer_rows);
  product(STORE, &room.outer_rows, tokens, &layer->query_key_value, room.parts);
  attend(layer, room.parts, &room.head, room.queries, room.mixed);
  for (int row = 0; row < tokens; row += BLOCK) {
    int count = tokens - row < BLOCK ? tokens - row : BLOCK;
    size_t at = (size_t)row * layer->width;
    finish_block(layer, &room, room.mixed + at, x + at, count);
  }
}
