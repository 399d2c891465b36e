/* The walk through a hierarchical graph of near neighbours (HNSW) over vectors of bytes, compiled once for each
 * path of simd.h.
 *
 * Malkov and Yashunin, https://arxiv.org/abs/1603.09320, algorithms 2 and 5, over the graph that FAISS builds and keeps
 * (faiss/impl/HNSW.h). Such a walk mostly waits for memory: what a node links to lies anywhere. So everything that will
 * be compared is asked for before the first of it is compared, and so are the links of the nodes that are next in turn.
 * A link that leads nowhere, in a damaged file, is not followed.
 */
#include "simd.h"

#include "walk.h"

#include <stdlib.h>

#define VISITED INT32_MIN

enum { LINE = 64, MOST_LINKS = 2048, AHEAD = 2 };

/* `codes` has a row of `width` bytes for each node. The links of a node begin at starts[node] of `total`; of those,
 * level l has the places from levels[l] to levels[l + 1], unused ones at the end being -1. */
typedef struct {
  const uint8_t *codes;
  size_t width;
  const Link *links;
  size_t total;
  const Start *starts;
  const int32_t *levels;
  int32_t top, entry, nodes;
} Graph;

/* The sign bit of `node` is set once its links have been followed. */
typedef struct {
  int32_t node, distance;
} Near;

/* In ascending order of distance, at most `room`; there is a place more, for the one that falls out. */
typedef struct {
  Near *items;
  int count, room;
} List;

/* One search: `near` are the nearest seen, `kept` the nearest of those that are allowed. */
typedef struct {
  const Graph *graph;
  const uint8_t *query, *allowed;
  uint64_t *seen;
  List near, kept;
} Walk;

#if defined(__AVX512VNNI__)

INLINE __mmask64 rest(size_t bytes) { return bytes < LINE ? ((__mmask64)1 << bytes) - 1 : ~(__mmask64)0; }

/* Squared Euclidean distance of two rows. */
INLINE int32_t distance(const uint8_t *a, const uint8_t *b, size_t width) {
  __m512i sum = _mm512_setzero_si512(), zero = _mm512_setzero_si512();
  for (size_t i = 0; i < width; i += LINE) {
    __mmask64 mask = rest(width - i);
    __m512i x = _mm512_maskz_loadu_epi8(mask, a + i), y = _mm512_maskz_loadu_epi8(mask, b + i);
    __m512i apart = _mm512_or_si512(_mm512_subs_epu8(x, y), _mm512_subs_epu8(y, x));
    __m512i low = _mm512_unpacklo_epi8(apart, zero), high = _mm512_unpackhi_epi8(apart, zero);
    sum = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(sum, low, low), high, high);
  }
  return _mm512_reduce_add_epi32(sum);
}

#else

typedef uint8_t Row __attribute__((vector_size(4 * LANES)));

/* `sum` and the squares of the differences of two registers of bytes. */
INLINE I squares(I sum, const uint8_t *a, const uint8_t *b) {
  Row x, y;
  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  Row apart = __builtin_elementwise_max(x, y) - __builtin_elementwise_min(x, y);
#if defined(__AVX2__)
  __m256i low = _mm256_unpacklo_epi8((__m256i)apart, _mm256_setzero_si256());
  __m256i high = _mm256_unpackhi_epi8((__m256i)apart, _mm256_setzero_si256());
  return sum + (I)_mm256_madd_epi16(low, low) + (I)_mm256_madd_epi16(high, high);
#else
  return (I)vdotq_u32((uint32x4_t)sum, (uint8x16_t)apart, (uint8x16_t)apart);
#endif
}

/* Squared Euclidean distance of two rows. */
INLINE int32_t distance(const uint8_t *a, const uint8_t *b, size_t width) {
  I sum = all_integers(0);
  size_t i = 0;
  for (; i + sizeof(Row) <= width; i += sizeof(Row)) sum = squares(sum, a + i, b + i);
  if (i < width) {
    uint8_t left[2][sizeof(Row)] = {0};
    memcpy(left[0], a + i, width - i);
    memcpy(left[1], b + i, width - i);
    sum = squares(sum, left[0], left[1]);
  }
  return __builtin_reduce_add(sum);
}

#endif

INLINE const uint8_t *row(const Graph *graph, int32_t node) { return graph->codes + (size_t)node * graph->width; }

INLINE Near measured(const Walk *walk, int32_t node) {
  return (Near){node, distance(walk->query, row(walk->graph, node), walk->graph->width)};
}

INLINE void fetch(const void *from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += LINE) prefetch((const char *)from + i);
}

/* The links of a node on a level, and how many places they have. */
INLINE const Link *links_of(const Graph *graph, int32_t node, int level, int *places) {
  uint64_t start = graph->starts[node], stop = graph->starts[node + 1];
  int low = graph->levels[level], high = graph->levels[level + 1];
  int fits = start <= stop && stop <= graph->total && stop - start >= (uint64_t)high && high - low <= MOST_LINKS;
  *places = fits ? high - low : 0;
  return graph->links + start + low;
}

/* Those of a node's links that lead somewhere, and not to what was seen already; they are seen now, and on their way
 * from memory. Above the lowest level nothing counts as seen. */
INLINE int follow(Walk *walk, int32_t node, int level, int32_t *found) {
  int places, count = 0;
  const Link *links = links_of(walk->graph, node, level, &places);
  for (int i = 0; i < places && links[i] >= 0; i++) {
    int32_t next = links[i];
    if (next >= walk->graph->nodes) continue;
    if (level == 0) {
      uint64_t bit = 1ull << (next & 63);
      if (walk->seen[next >> 6] & bit) continue;
      walk->seen[next >> 6] |= bit;
    }
    fetch(row(walk->graph, next), walk->graph->width);
    found[count++] = next;
  }
  return count;
}

/* The nearest node that steps to ever nearer ones reach, from the entry down to the level above the lowest. */
static Near descend(Walk *walk) {
  int32_t found[MOST_LINKS];
  Near best = measured(walk, walk->graph->entry);
  for (int level = walk->graph->top; level > 0; level--) {
    for (int32_t from = -1; from != best.node;) {
      from = best.node;
      int count = follow(walk, from, level, found);
      for (int i = 0; i < count; i++) {
        Near one = measured(walk, found[i]);
        if (one.distance < best.distance) best = one;
      }
    }
  }
  return best;
}

/* Take one into a list; returns where it stands, or the list's room if it is too far away. */
INLINE int insert(List *list, Near one) {
  int low = 0, high = list->count;
  if (high && high == list->room && one.distance >= list->items[high - 1].distance) return list->room;
  while (low < high) {
    int middle = (low + high) / 2;
    if (list->items[middle].distance <= one.distance) low = middle + 1;
    else high = middle;
  }
  memmove(list->items + low + 1, list->items + low, (size_t)(list->count - low) * sizeof(Near));
  list->items[low] = one;
  if (list->count < list->room) list->count++;
  return low;
}

INLINE int take(Walk *walk, Near one) {
  if (walk->allowed && (walk->allowed[one.node >> 3] >> (one.node & 7) & 1)) insert(&walk->kept, one);
  return insert(&walk->near, one);
}

/* Ask for the links of the nodes whose turn is next, from this place on. */
INLINE void look_ahead(const Walk *walk, int from) {
  int places;
  for (int i = from, asked = 0; i < walk->near.count && asked < AHEAD; i++) {
    if (walk->near.items[i].node & VISITED) continue;
    const Link *links = links_of(walk->graph, walk->near.items[i].node, 0, &places);
    fetch(links, (size_t)places * sizeof *links);
    asked++;
  }
}

/* Follow the nearest node not yet followed, until all that are near enough have been. */
static void explore(Walk *walk) {
  int32_t found[MOST_LINKS];
  for (int next = 0; next < walk->near.count;) {
    Near *nearest = walk->near.items + next++;
    if (nearest->node & VISITED) continue;
    int count = follow(walk, nearest->node, 0, found);
    nearest->node |= VISITED;
    look_ahead(walk, next);
    for (int i = 0; i < count; i++) {
      int at = take(walk, measured(walk, found[i]));
      if (at < next) next = at;
    }
  }
}

int ON_PATH(walk_graph)(WALK) {
  Graph graph = {codes, width, links, total, starts, levels, top, entry, nodes};
  uint64_t *seen = calloc(((size_t)nodes + 63) / 64, sizeof *seen);
  Near *room = malloc(((size_t)ef_search + wanted + 2) * sizeof *room);
  int count = -1;
  if (seen && room) {
    Walk walk = {&graph, query, allowed, seen, {room, 0, ef_search}, {room + ef_search + 1, 0, wanted}};
    Near first = descend(&walk);
    seen[first.node >> 6] |= 1ull << (first.node & 63);
    take(&walk, first);
    explore(&walk);
    const List *best = allowed ? &walk.kept : &walk.near;
    count = best->count < wanted ? best->count : wanted;
    for (int i = 0; i < count; i++) found[i] = best->items[i].node & INT32_MAX;
  }
  free(seen);
  free(room);
  return count;
}
