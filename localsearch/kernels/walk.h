/* The walk through a graph of vectors of bytes. See walk.c. */
#ifndef LOCALSEARCH_WALK_H
#define LOCALSEARCH_WALK_H

#include <stddef.h>
#include <stdint.h>

/* In a mapped file numbers stand at any address. */
typedef int32_t Link __attribute__((aligned(1)));
typedef uint64_t Start __attribute__((aligned(1)));

#define WALK                                                                                                        \
  const uint8_t *codes, size_t width, const Link *links, size_t total, const Start *starts, const int32_t *levels,  \
      int32_t top, int32_t entry, int32_t nodes, const uint8_t *query, const uint8_t *allowed, int32_t ef_search,   \
      int32_t wanted, int32_t *found

/* About the `wanted` nodes nearest to the query, nearest first: how many there are, or -1 without memory. `ef_search` is
 * how many are held while walking; of `allowed`, a bit for each node, lowest first, those that are set may be found, all
 * of them where it is NULL. `ef_search` and `wanted` are at least 1, `wanted` at most `ef_search`. */
typedef int WalkGraph(WALK);

#endif
