/* The thin layer of vector operations that layer.c and walk.c are written over, chosen by what the compiler may use.
 *
 * F and I are registers of LANES floats and integers; + - * / and comparisons are the compiler's own (Clang's vector
 * extensions). Only what differs between processors has a name here. An activation in 8 bits goes from LOW to LOW + 255,
 * and is kept in a Number; `dot` adds its products with four weights for each of LANES columns, exactly:
 *
 *   AVX-512 VNNI, AVX-VNNI   unsigned times signed bytes, sums of four in 32 bits
 *   NEON with dot product    signed times signed bytes, sums of four in 32 bits
 *   AVX2                     16 bits times 16 bits, sums of two in 32 bits: as many products a cycle as by `pmaddubsw`,
 *                            whose sums of two in 16 bits would want activations of 7 bits
 */
#ifndef LOCALSEARCH_SIMD_H
#define LOCALSEARCH_SIMD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")
#define NAMED_(name, path) name##_##path
#define NAMED(name, path) NAMED_(name, path)
#define ON_PATH(name) NAMED(name, PATH)

#if defined(__AVX512VNNI__)
#define PATH avx512_vnni
#elif defined(EMULATED_VNNI)
#define PATH emulated_vnni
#elif defined(__AVXVNNI__)
#define PATH avx_vnni
#elif defined(__AVX2__)
#define PATH avx2
#elif defined(__ARM_FEATURE_DOTPROD)
#define PATH neon
#else
#error "no path for this processor"
#endif

/* TILE registers of columns times ROWS rows are summed at a time: as many as there are registers for. */
#if defined(__AVX512VNNI__)
enum { LANES = 16, TILE = 4, ROWS = 6, PARTS = 1, LOW = 0 };
typedef uint8_t Number;
#elif defined(__AVXVNNI__) || defined(EMULATED_VNNI)
enum { LANES = 8, TILE = 2, ROWS = 6, PARTS = 1, LOW = 0 };
typedef uint8_t Number;
#elif defined(__AVX2__)
enum { LANES = 8, TILE = 1, ROWS = 6, PARTS = 2, LOW = 0 };
typedef int16_t Number;
#else
enum { LANES = 4, TILE = 4, ROWS = 6, PARTS = 1, LOW = -128 };
typedef int8_t Number;
#endif

typedef float F __attribute__((vector_size(4 * LANES)));
typedef int32_t I __attribute__((vector_size(4 * LANES)));
typedef Number Numbers __attribute__((vector_size(sizeof(Number) * LANES)));
typedef int8_t Bytes __attribute__((vector_size(LANES)));

/* Four weights of each of LANES columns, and their sums of products, in PARTS registers. */
typedef struct {
  I part[PARTS];
} Four;
typedef F LooseF __attribute__((aligned(4)));
typedef I LooseI __attribute__((aligned(4)));

INLINE F load(const float *from) { return *(const LooseF *)from; }
INLINE void store(float *to, F x) { *(LooseF *)to = x; }
INLINE I load_integers(const void *from) {
  I x;
  memcpy(&x, from, sizeof x);
  return x;
}
INLINE F all(float x) { return x - (F){0}; }
INLINE I all_integers(int32_t x) { return x - (I){0}; }
INLINE F fused(F a, F b, F c) { return __builtin_elementwise_fma(a, b, c); }
INLINE F larger(F a, F b) { return __builtin_elementwise_max(a, b); }
INLINE F smaller(F a, F b) { return __builtin_elementwise_min(a, b); }
INLINE F size_of(F x) { return __builtin_elementwise_abs(x); }
INLINE F floats(I x) { return __builtin_convertvector(x, F); }
INLINE I within(I x, int32_t low, int32_t high) {
  return __builtin_elementwise_min(__builtin_elementwise_max(x, all_integers(low)), all_integers(high));
}
INLINE void store_numbers(Number *to, I x) {
  Numbers narrow = __builtin_convertvector(x, Numbers);
  memcpy(to, &narrow, sizeof narrow);
}
INLINE void store_bytes(int8_t *to, I x) {
  Bytes narrow = __builtin_convertvector(x, Bytes);
  memcpy(to, &narrow, sizeof narrow);
}

#if defined(__x86_64__)
#include <immintrin.h>
INLINE void prefetch(const void *at) { _mm_prefetch((const char *)at, _MM_HINT_T0); }
INLINE void prefetch_far(const void *at) { _mm_prefetch((const char *)at, _MM_HINT_T1); }
#else
#include <arm_neon.h>
INLINE void prefetch(const void *at) { __builtin_prefetch(at, 0, 3); }
INLINE void prefetch_far(const void *at) { __builtin_prefetch(at, 0, 2); }
#endif

#if defined(__AVX512VNNI__)

INLINE I dot_four(I sum, I bytes, I weights) {
  return (I)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)bytes, (__m512i)weights);
}
INLINE I nearest(F x) { return (I)_mm512_cvtps_epi32((__m512)x); }
INLINE F whole(F x) { return (F)_mm512_roundscale_ps((__m512)x, 8); }
INLINE F times_power(F x, F n) { return (F)_mm512_scalef_ps((__m512)x, (__m512)n); }
INLINE F inverse_of(F x) { return (F)_mm512_rcp14_ps((__m512)x); }
INLINE float sum_of(F x) { return _mm512_reduce_add_ps((__m512)x); }
INLINE float largest_of(F x) { return _mm512_reduce_max_ps((__m512)x); }

#else

INLINE F whole(F x) { return __builtin_elementwise_roundeven(x); }

#if defined(__AVX2__)

INLINE I nearest(F x) { return (I)_mm256_cvtps_epi32((__m256)x); }

/* One step of Newton's on the processor's 12 bits. */
INLINE F inverse_of(F x) {
  F guess = (F)_mm256_rcp_ps((__m256)x);
  return guess * fused(-x, guess, all(2.f));
}

#if defined(__AVXVNNI__)
INLINE I dot_four(I sum, I bytes, I weights) {
  return (I)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)bytes, (__m256i)weights);
}
#elif defined(EMULATED_VNNI)
/* What dpbusd computes, by instructions of AVX2: even and odd bytes apart. For tests. */
INLINE I dot_four(I sum, I bytes, I weights) {
  __m256i x = (__m256i)bytes, w = (__m256i)weights, low = _mm256_set1_epi16(255);
  __m256i even = _mm256_madd_epi16(_mm256_and_si256(x, low), _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
  __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
  return sum + (I)even + (I)odd;
}
#endif

#else

INLINE I dot_four(I sum, I bytes, I weights) {
  return (I)vdotq_s32((int32x4_t)sum, (int8x16_t)bytes, (int8x16_t)weights);
}
INLINE I nearest(F x) { return (I)vcvtnq_s32_f32((float32x4_t)x); }
INLINE F inverse_of(F x) { return all(1.f) / x; }

#endif

/* x * 2^n for whole n, nothing below the smallest normal number. */
INLINE F times_power(F x, F n) {
  I exponent = nearest(larger(n, all(-126.f))) << 23;
  F scaled = (F)((I)x + exponent);
  return (F)((I)scaled & (n > all(-126.f)));
}

INLINE float sum_of(F x) {
  float sum = 0.f;
  UNROLL for (int i = 0; i < LANES / 2; i++) sum += x[i] + x[i + LANES / 2];
  return sum;
}

INLINE float largest_of(F x) { return __builtin_reduce_max(x); }

#endif

#if defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__) && !defined(EMULATED_VNNI)

/* Sums of two: those of a column stand beside each other, four columns to a register. */
INLINE Four four_weights(const int8_t *from) {
  __m128i low = _mm_loadu_si128((const __m128i *)from), high = _mm_loadu_si128((const __m128i *)from + 1);
  return (Four){{(I)_mm256_cvtepi8_epi16(low), (I)_mm256_cvtepi8_epi16(high)}};
}
INLINE I four_numbers(const Number *from) {
  int64_t four;
  memcpy(&four, from, sizeof four);
  return (I)_mm256_set1_epi64x(four);
}
INLINE Four dot(Four sums, I numbers, Four weights) {
  UNROLL for (int i = 0; i < PARTS; i++)
    sums.part[i] += (I)_mm256_madd_epi16((__m256i)numbers, (__m256i)weights.part[i]);
  return sums;
}
INLINE I total(Four sums) {
  __m256i pairs = _mm256_hadd_epi32((__m256i)sums.part[0], (__m256i)sums.part[1]);
  return (I)_mm256_permute4x64_epi64(pairs, 0xd8);
}

#else

INLINE Four four_weights(const int8_t *from) { return (Four){{load_integers(from)}}; }
INLINE I four_numbers(const Number *from) {
  int32_t four;
  memcpy(&four, from, sizeof four);
  return all_integers(four);
}
INLINE Four dot(Four sums, I numbers, Four weights) {
  return (Four){{dot_four(sums.part[0], numbers, weights.part[0])}};
}
INLINE I total(Four sums) { return sums.part[0]; }

#endif

#endif
