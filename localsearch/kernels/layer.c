/* One layer of a BERT-family encoder in 8 bits, for AVX-512 with VNNI.
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

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LOG2E 1.44269504f
#define UNROLL _Pragma("GCC unroll 16")

enum { LANES = 16, PANEL = 64, ROWS = 6, QUERIES = 6, BLOCK = 48 };
enum epilogue { STORE, ADD, GELU };

/* Rows of unsigned bytes: value = scale * (byte - zero). */
typedef struct {
  uint8_t *bytes;
  float *scales;
  int32_t *zeros;
  int length;
} Rows;

/* 2^x by a polynomial of degree 4 on half a binade to either side of zero; relative error < 4e-6. */
INLINE __m512 power_of_two(__m512 x) {
  __m512 n = _mm512_roundscale_ps(x, 8), r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(0.0095701013f), r, _mm512_set1_ps(0.055917858f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.24024744f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.69312179f));
  return _mm512_scalef_ps(_mm512_fmadd_ps(p, r, _mm512_set1_ps(0.99999928f)), n);
}

/* x * Phi(x) = max(x, 0) - |x| * (1 - Phi(|x|)), with erf of Abramowitz and Stegun 7.1.25, |error| < 2.5e-5. */
INLINE __m512 gelu(__m512 x) {
  __m512 size = _mm512_abs_ps(x), z = _mm512_mul_ps(size, _mm512_set1_ps(0.70710678f));
  __m512 t = _mm512_rcp14_ps(_mm512_fmadd_ps(z, _mm512_set1_ps(0.47047f), _mm512_set1_ps(1.f)));
  __m512 p = _mm512_fmadd_ps(t, _mm512_set1_ps(0.5f * 0.7478556f), _mm512_set1_ps(0.5f * -0.0958798f));
  p = _mm512_mul_ps(_mm512_fmadd_ps(p, t, _mm512_set1_ps(0.5f * 0.3480242f)), t);
  __m512 exponent = _mm512_mul_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-LOG2E));
  __m512 tail = _mm512_mul_ps(p, power_of_two(exponent));
  return _mm512_fnmadd_ps(size, tail, _mm512_max_ps(x, _mm512_setzero_ps()));
}

/* One panel of 64 columns of out = rows * weights + bias. ADD adds what `out` held, GELU is applied to the sum.
 * While it is computed, the next panel's weights are fetched, `step` bytes for every four of a row. */
typedef struct {
  const Rows *rows;
  const Dense *dense;
  float *out;
  int column;
  const int8_t *ahead;
  int step;
} Panel;

/* From the sums of `count` rows, in registers, to `out`. */
INLINE void finish(__m512i sums[ROWS][4], int count, enum epilogue how, const Panel *panel, int row) {
  const Dense *dense = panel->dense;
  const Rows *rows = panel->rows;
  UNROLL for (int j = 0; j < 4; j++) {
    int at = panel->column + LANES * j;
    __m512i weights = _mm512_loadu_si512(dense->sums + at);
    __m512 scales = _mm512_loadu_ps(dense->scales + at), bias = _mm512_loadu_ps(dense->bias + at);
    UNROLL for (int r = 0; r < count; r++) {
      __m512i zero = _mm512_mullo_epi32(weights, _mm512_set1_epi32(rows->zeros[row + r]));
      __m512 scale = _mm512_mul_ps(scales, _mm512_set1_ps(rows->scales[row + r]));
      __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(sums[r][j], zero)), scale, bias);
      float *to = panel->out + (size_t)(row + r) * dense->columns + at;
      if (how == GELU) value = gelu(value);
      if (how == ADD) value = _mm512_add_ps(value, _mm512_loadu_ps(to));
      _mm512_storeu_ps(to, value);
    }
  }
}

INLINE void multiply(int count, enum epilogue how, const Panel *panel, int row) {
  __m512i sums[ROWS][4];
  UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < 4; j++) sums[r][j] = _mm512_setzero_si512();
  const int length = panel->rows->length, step = panel->step;
  const int8_t *weight = panel->dense->weight + (size_t)panel->column * length;
  const int8_t *ahead = panel->ahead + (size_t)(row / ROWS) * (length / 4) * step;
  const uint8_t *bytes = panel->rows->bytes + (size_t)row * length;
  for (int k = 0; k < length; k += 4, weight += 4 * PANEL, ahead += step) {
    __m512i w[4];
    _mm_prefetch((const char *)ahead, _MM_HINT_T1);
    UNROLL for (int j = 0; j < 4; j++) w[j] = _mm512_loadu_si512(weight + PANEL * j);
    UNROLL for (int r = 0; r < count; r++) {
      int32_t four;
      memcpy(&four, bytes + (size_t)r * length + k, 4);
      __m512i x = _mm512_set1_epi32(four);
      UNROLL for (int j = 0; j < 4; j++) sums[r][j] = _mm512_dpbusd_epi32(sums[r][j], x, w[j]);
    }
  }
  finish(sums, count, how, panel, row);
}

INLINE void product(enum epilogue how, const Rows *rows, int count, const Dense *dense, float *out) {
  const int step = 4 * PANEL / ((count + ROWS - 1) / ROWS);
  for (int column = 0; column < dense->columns; column += PANEL) {
    const int8_t *ahead = dense->weight + (size_t)(column + PANEL) * rows->length;
    const Panel panel = {rows, dense, out, column, ahead, step};
    int row = 0;
    for (; row + ROWS <= count; row += ROWS) multiply(ROWS, how, &panel, row);
    for (; row + 2 <= count; row += 2) multiply(2, how, &panel, row);
    for (; row < count; row++) multiply(1, how, &panel, row);
  }
}

/* Bring rows to unsigned bytes, each with its own range, which includes zero. */
static void quantize(const float *x, int count, Rows *rows) {
  for (int r = 0; r < count; r++, x += rows->length) {
    __m512 low = _mm512_setzero_ps(), high = low;
    for (int i = 0; i < rows->length; i += LANES) {
      __m512 v = _mm512_loadu_ps(x + i);
      low = _mm512_min_ps(low, v);
      high = _mm512_max_ps(high, v);
    }
    float least = _mm512_reduce_min_ps(low), scale = fmaxf((_mm512_reduce_max_ps(high) - least) / 255.f, 1e-20f);
    rows->scales[r] = scale;
    rows->zeros[r] = (int32_t)lrintf(-least / scale);
    __m512 inverse = _mm512_set1_ps(1.f / scale);
    __m512i zero = _mm512_set1_epi32(rows->zeros[r]);
    for (int i = 0; i < rows->length; i += LANES) {
      __m512i v = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + i), inverse));
      v = _mm512_max_epi32(_mm512_add_epi32(v, zero), _mm512_setzero_si512());
      _mm_storeu_si128((__m128i *)(rows->bytes + (size_t)r * rows->length + i), _mm512_cvtusepi32_epi8(v));
    }
  }
}

static void normalize(float *x, int count, int width, const Norm *norm, float epsilon) {
  for (int r = 0; r < count; r++, x += width) {
    __m512 sum = _mm512_setzero_ps(), squares = sum;
    for (int i = 0; i < width; i += LANES) sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + i));
    __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / width);
    for (int i = 0; i < width; i += LANES) {
      __m512 v = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean);
      squares = _mm512_fmadd_ps(v, v, squares);
    }
    __m512 inverse = _mm512_set1_ps(1.f / sqrtf(_mm512_reduce_add_ps(squares) / width + epsilon));
    for (int i = 0; i < width; i += LANES) {
      __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), mean), inverse);
      v = _mm512_fmadd_ps(v, _mm512_loadu_ps(norm->gain + i), _mm512_loadu_ps(norm->shift + i));
      _mm512_storeu_ps(x + i, v);
    }
  }
}

/* One head of one text. Keys lie across: (size / 4, padded, 4) signed bytes, padded to whole registers. */
typedef struct {
  int8_t *keys;
  float *key_scales;
  int32_t *key_sums; /* -128 times the sum of a key's bytes: what the queries' zero point adds */
  float *values, *scores;
  int tokens, padded, size, stride;
} Head;

/* The scale that brings `size` floats to -127..127. */
INLINE float largest(const float *x, int size) {
  __m512 most = _mm512_setzero_ps();
  for (int i = 0; i < size; i += LANES) most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
  return fmaxf(_mm512_reduce_max_ps(most) / 127.f, 1e-20f);
}

INLINE __m128i signed_bytes(const float *x, float scale) {
  return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(1.f / scale))));
}

static void take_keys(Head *head, const float *key) {
  const int padded = head->padded;
  int32_t *across = (int32_t *)head->keys;
  for (int j = 0; j < head->tokens; j++, key += head->stride) {
    float scale = largest(key, head->size);
    __m512i sum = _mm512_setzero_si512();
    for (int i = 0; i < head->size; i += LANES) {
      __m128i bytes = signed_bytes(key + i, scale);
      sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(bytes));
      int32_t four[4];
      _mm_storeu_si128((__m128i *)four, bytes);
      UNROLL for (int k = 0; k < 4; k++) across[(size_t)(i / 4 + k) * padded + j] = four[k];
    }
    head->key_scales[j] = scale * LOG2E;
    head->key_sums[j] = -128 * _mm512_reduce_add_epi32(sum);
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

/* Scores of `count` queries with `registers` * 16 keys from `at`. */
INLINE void score(int count, int registers, const Head *head, const uint8_t *queries, const float *scales, int at) {
  __m512i sums[QUERIES][4];
  UNROLL for (int j = 0; j < registers; j++) {
    __m512i start = _mm512_loadu_si512(head->key_sums + at + LANES * j);
    UNROLL for (int r = 0; r < count; r++) sums[r][j] = start;
  }
  for (int k = 0; k < head->size; k += 4) {
    __m512i keys[4];
    const int8_t *from = head->keys + (size_t)k * head->padded + 4 * at;
    UNROLL for (int j = 0; j < registers; j++) keys[j] = _mm512_loadu_si512(from + PANEL * j);
    UNROLL for (int r = 0; r < count; r++) {
      int32_t four;
      memcpy(&four, queries + (size_t)r * head->size + k, 4);
      __m512i query = _mm512_set1_epi32(four);
      UNROLL for (int j = 0; j < registers; j++) sums[r][j] = _mm512_dpbusd_epi32(sums[r][j], query, keys[j]);
    }
  }
  UNROLL for (int j = 0; j < registers; j++) {
    __m512 key_scales = _mm512_loadu_ps(head->key_scales + at + LANES * j);
    UNROLL for (int r = 0; r < count; r++) {
      __m512 value = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][j]), _mm512_mul_ps(key_scales, _mm512_set1_ps(scales[r])));
      _mm512_storeu_ps(head->scores + (size_t)r * head->padded + at + LANES * j, value);
    }
  }
}

/* Scores become e^(score - largest), nothing in the padding; `inverse` is one over their sum. */
INLINE void soften(int count, const Head *head, float *inverse) {
  const int last = (head->tokens - 1) / LANES * LANES;
  const __mmask16 tail = (__mmask16)(0xffffu >> (LANES - (head->tokens - last)));
  for (int r = 0; r < count; r++) {
    float *s = head->scores + (size_t)r * head->padded;
    _mm512_storeu_ps(s + last, _mm512_mask_mov_ps(_mm512_set1_ps(-1e30f), tail, _mm512_loadu_ps(s + last)));
    __m512 most = _mm512_loadu_ps(s), sum = _mm512_setzero_ps();
    for (int i = LANES; i <= last; i += LANES) most = _mm512_max_ps(most, _mm512_loadu_ps(s + i));
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (int i = 0; i <= last; i += LANES) {
      __m512 e = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(s + i), most));
      _mm512_storeu_ps(s + i, e);
      sum = _mm512_add_ps(sum, e);
    }
    inverse[r] = 1.f / _mm512_reduce_add_ps(sum);
  }
}

/* The values' mean under the softened scores. */
INLINE void mix(int count, const Head *head, const float *inverse, float *out, int width) {
  for (int d = 0; d < head->size; d += 2 * LANES) {
    __m512 sums[QUERIES][2];
    UNROLL for (int r = 0; r < count; r++) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
    const float *values = head->values + d;
    for (int j = 0; j < head->tokens; j++, values += head->size) {
      __m512 left = _mm512_loadu_ps(values), right = _mm512_loadu_ps(values + LANES);
      UNROLL for (int r = 0; r < count; r++) {
        __m512 weight = _mm512_set1_ps(head->scores[(size_t)r * head->padded + j]);
        sums[r][0] = _mm512_fmadd_ps(weight, left, sums[r][0]);
        sums[r][1] = _mm512_fmadd_ps(weight, right, sums[r][1]);
      }
    }
    UNROLL for (int r = 0; r < count; r++) UNROLL for (int j = 0; j < 2; j++)
      _mm512_storeu_ps(out + (size_t)r * width + d + LANES * j, _mm512_mul_ps(sums[r][j], _mm512_set1_ps(inverse[r])));
  }
}

INLINE void attend_few(int count, const Head *head, const float *query, uint8_t *queries, float *out, int width) {
  float scales[QUERIES], inverse[QUERIES];
  for (int r = 0; r < count; r++, query += head->stride) {
    scales[r] = largest(query, head->size);
    for (int i = 0; i < head->size; i += LANES) {
      __m128i bytes = _mm_xor_si128(signed_bytes(query + i, scales[r]), _mm_set1_epi8(-128)); /* adds 128 */
      _mm_storeu_si128((__m128i *)(queries + (size_t)r * head->size + i), bytes);
    }
  }
  int at = 0;
  for (; at + 4 * LANES <= head->padded; at += 4 * LANES) score(count, 4, head, queries, scales, at);
  for (; at < head->padded; at += LANES) score(count, 1, head, queries, scales, at);
  soften(count, head, inverse);
  mix(count, head, inverse, out, width);
}

/* out (tokens, width) from queries, keys and values side by side (tokens, 3 * width). */
static void attend(const Layer *layer, const float *parts, Head *head, uint8_t *queries, float *out) {
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
  uint8_t *queries;
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
  rows.bytes = take(scratch, used, (size_t)count * length);
  rows.scales = take(scratch, used, sizeof(float) * count);
  rows.zeros = take(scratch, used, sizeof(int32_t) * count);
  return rows;
}

static size_t lay_out(const Layer *layer, int tokens, char *scratch, Room *room) {
  const int size = layer->width / layer->heads, padded = (tokens + LANES - 1) / LANES * LANES;
  const size_t text = sizeof(float) * tokens * layer->width;
  size_t used = 0;
  room->parts = take(scratch, &used, 3 * text);
  room->mixed = take(scratch, &used, text);
  room->inner = take(scratch, &used, sizeof(float) * BLOCK * layer->inner);
  room->queries = take(scratch, &used, (size_t)QUERIES * size);
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

size_t layer_scratch(const Layer *layer, int tokens) {
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

void layer_run(const Layer *layer, float *x, int tokens, char *scratch) {
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
