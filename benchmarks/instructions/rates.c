/* How many multiply-adds a second one core does at best with registers of 256 bits, in billions, by instruction: nothing is
 * loaded and no result waits for another, so no kernel can do more. */
#include <immintrin.h>
#include <stdio.h>
#include <time.h>

enum { ROUNDS = 4000000, SUMS = 12, TRIES = 5 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

#define ALL(ONE) ONE(0) ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6) ONE(7) ONE(8) ONE(9) ONE(10) ONE(11)

/* PRODUCTS multiply-adds by one run of the instructions, for each of the sums; the best of the tries. */
#define RATE(NAME, PRODUCTS, INSTRUCTIONS)                                                                  \
  {                                                                                                         \
    double best = 1e9;                                                                                      \
    for (int attempt = 0; attempt < TRIES; attempt++) {                                                     \
      double began = now();                                                                                 \
      for (int i = 0; i < ROUNDS; i++) { ALL(INSTRUCTIONS) }                                                \
      double took = now() - began;                                                                          \
      if (took < best) best = took;                                                                         \
    }                                                                                                       \
    printf("%s %.1f\n", NAME, (double)(PRODUCTS)*SUMS * ROUNDS / best / 1e9);                               \
  }

#define FMA(k) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(sums[k]) : "x"(x));
#define WORDS(k) __asm__ volatile("vpmaddwd %1, %1, %%ymm15\n vpaddd %%ymm15, %0, %0" : "+x"(sums[k]) : "x"(x) : "ymm15");
#define BYTES(k)                                                                                            \
  __asm__ volatile("vpmaddubsw %1, %1, %%ymm15\n vpmaddubsw %1, %1, %%ymm14\n vpaddw %%ymm14, %%ymm15, %%ymm15\n" \
                   "vpmaddwd %1, %%ymm15, %%ymm15\n vpaddd %%ymm15, %0, %0"                                 \
                   : "+x"(sums[k]) : "x"(x) : "ymm14", "ymm15");
#define VNNI(k) __asm__ volatile("%{vex%} vpdpbusd %1, %1, %0" : "+x"(sums[k]) : "x"(x));

int main(int count, char **arguments) {
  (void)arguments;
  __m256i sums[SUMS], x = _mm256_set1_epi8(1);
  for (int i = 0; i < SUMS; i++) sums[i] = _mm256_setzero_si256();
  RATE("fp32", 8, FMA)
  RATE("16-bit", 16, WORDS)
  RATE("7-bit", 64, BYTES)
  if (count > 1) RATE("avx_vnni", 32, VNNI)
  return 0;
}
