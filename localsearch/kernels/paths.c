/* The choice between the paths of simd.h, when the program runs: the fastest that the processor and the system allow.
 *
 * LOCALSEARCH_PATH names one to take instead; one that cannot run here counts as none. Compiled for the plainest
 * processor, as operator.c is.
 */
#include "paths.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define DECLARE(path)                         \
  extern LayerScratch layer_scratch_##path;   \
  extern LayerRun layer_run_##path;           \
  extern WalkGraph walk_graph_##path;

#define PATH_OF(path) {#path, layer_scratch_##path, layer_run_##path, walk_graph_##path}

#if defined(__x86_64__)

#include <cpuid.h>

DECLARE(avx512_vnni)
DECLARE(avx_vnni)
DECLARE(avx2)
DECLARE(emulated_vnni)

/* Fastest first; the last is for tests and taken only by its name. */
static const Path paths[] = {PATH_OF(avx512_vnni), PATH_OF(avx_vnni), PATH_OF(avx2), PATH_OF(emulated_vnni)};
enum { AVX512_VNNI, AVX_VNNI, AVX2, EMULATED_VNNI, PATHS };

/* Registers that the system keeps for a program: bits of XCR0, Intel's manual volume 1, 13.3. */
enum { KEEPS_AVX = 0x6, KEEPS_AVX512 = 0xe6 };

static unsigned kept_registers(void) {
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int all_of(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/* Bits of Intel's manual, volume 2, CPUID. */
static int runs(int which) {
  unsigned a, b, c, d, more_a, more_b, more_c, more_d, last_a, last;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !all_of(c, bit_OSXSAVE | bit_FMA | bit_AVX)) return 0;
  if (!__get_cpuid_count(7, 0, &more_a, &more_b, &more_c, &more_d)) return 0;
  unsigned registers = kept_registers();
  if (!all_of(registers, KEEPS_AVX) || !all_of(more_b, bit_AVX2 | bit_BMI | bit_BMI2)) return 0;
  if (which == AVX512_VNNI)
    return all_of(registers, KEEPS_AVX512) && all_of(more_c, bit_AVX512VNNI) &&
           all_of(more_b, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL);
  if (which == AVX_VNNI) return __get_cpuid_count(7, 1, &last_a, &last, &c, &d) && all_of(last_a, bit_AVXVNNI);
  return 1;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

DECLARE(neon)

static const Path paths[] = {PATH_OF(neon)};
enum { NEON, PATHS, EMULATED_VNNI = PATHS };
enum { DOT_PRODUCT = 1 << 20 }; /* HWCAP_ASIMDDP */

static int runs(int which) { return which == NEON && (getauxval(AT_HWCAP) & DOT_PRODUCT); }

#endif

static const Path *chosen;
static pthread_once_t choice = PTHREAD_ONCE_INIT;

static void choose(void) {
  const char *wanted = getenv("LOCALSEARCH_PATH");
  for (int i = 0; i < PATHS && !chosen; i++) {
    int asked = wanted && *wanted ? !strcmp(wanted, paths[i].name) : i != EMULATED_VNNI;
    if (asked && runs(i)) chosen = &paths[i];
  }
}

const Path *path_in_use(void) {
  pthread_once(&choice, choose);
  return chosen;
}

#define EXPORTED __attribute__((visibility("default")))

/* The name of the path in use, NULL where there is none. */
EXPORTED const char *localsearch_path(void) { return path_in_use() ? path_in_use()->name : 0; }

/* As walk_graph of walk.h, on the path in use. */
EXPORTED int localsearch_walk(WALK) {
  return path_in_use()->walk_graph(codes, width, links, total, starts, levels, top, entry, nodes, query, allowed,
                                   ef_search, wanted, found);
}
