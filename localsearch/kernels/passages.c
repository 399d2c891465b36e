/* Puts units of a text together to passages: `_sections`, `_groups` and `_pack` of localsearch/extract/chunk.py. Sums are
 * made in the order in which Python makes them.
 */
#include "units.h"

#include <math.h>

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* `text[start:end]`, the block it starts in, and how many names of the heading of that are above all of it. */
typedef struct {
  int32_t start, end, block, depth;
} Passage;

/* Units from `first` to before `last` under one heading, or what is common to those of several. */
typedef struct {
  int32_t first, last, fixed, depth;
  const int32_t *heading;
  double cost;
} Section;

typedef struct {
  const Unit *units;
  const Block *blocks;
  double limit, overlap;
  Passage *found;
  int32_t count;
} Packing;

INLINE double smaller(double a, double b) { return b < a ? b : a; }
INLINE int32_t fewer(int32_t a, int32_t b) { return b < a ? b : a; }

static double total(const Unit *units, int32_t first, int32_t last) {
  double sum = 0;
  for (int32_t i = first; i < last; i++) sum += units[i].cost;
  return sum;
}

/* Where the passage begins whose first new unit is at `at`. */
static int32_t with_overlap(const Packing *packing, int32_t first, int32_t at) {
  const Unit *units = packing->units;
  double room = smaller(packing->overlap, packing->limit - units[at].cost);
  int32_t start = at;
  while (start > first && packing->blocks[units[start - 1].block].repeats) {
    room -= units[start - 1].cost;
    if (room < 0) break;
    start--;
  }
  return start;
}

/* Where the passage ends that begins with `start` and has its first new unit at `at`; its cost. */
static int32_t passage_end(const Packing *packing, const Section *group, int32_t at, double goal, double *cost) {
  const Unit *units = packing->units;
  int32_t end = at;
  for (; end < group->last; end++) {
    double more = *cost + units[end].cost;
    int opens = end == group->first || units[end].block != units[end - 1].block;
    if (end > at && (more > packing->limit || *cost + units[end].cost / 2 > goal || (opens && *cost > 0.8 * goal))) break;
    *cost = more;
  }
  return end;
}

static void pack(Packing *packing, const Section *group) {
  const Unit *units = packing->units;
  double left = total(units, group->first, group->last);
  int32_t start = group->first - 1;
  for (int32_t at = group->first; at < group->last;) {
    start = with_overlap(packing, start + 1, at);
    double cost = total(units, start, at), repeated = cost;
    double parts = ceil(left / (packing->limit - repeated));
    int32_t end = passage_end(packing, group, at, repeated + left / (parts > 1 ? parts : 1), &cost);
    left -= cost - repeated;
    packing->found[packing->count++] = (Passage){units[start].start, units[end - 1].end, units[start].block, group->depth};
    at = end;
  }
}

static int32_t common(const Section *a, const Section *b) {
  int32_t shared = 0, most = fewer(a->depth, b->depth);
  while (shared < most && a->heading[shared] == b->heading[shared]) shared++;
  return shared;
}

static int may_join(const Section *held, const Section *next, double limit) {
  if (held->fixed != next->fixed || held->cost + next->cost > limit) return 0;
  if (smaller(held->cost, next->cost) > limit / 3) return 0;
  return common(held, next) >= fewer(held->depth, next->depth) - 1;
}

/* The section that begins with the unit at `first`. */
static Section section_at(const Packing *packing, const int32_t *headings, int32_t first, int32_t count) {
  const Unit *units = packing->units;
  const Block *block = &packing->blocks[units[first].block];
  int32_t last = first + 1;
  while (last < count && packing->blocks[units[last].block].section == block->section) last++;
  double cost = total(units, first, last);
  return (Section){first, last, block->fixed, block->depth, headings + block->heading, cost};
}

/* The passages of all units, of which there is room for as many. Returns their number; REFUSED where a unit is over the
 * limit. */
EXPORTED int32_t localsearch_passages(const Unit *units, int32_t count, const Block *blocks, const int32_t *headings,
                                      double limit, double overlap, Passage *found) {
  for (int32_t i = 0; i < count; i++)
    if (units[i].long_one) return REFUSED;
  Packing packing = {units, blocks, limit, overlap, found, 0};
  Section held = {0};
  for (int32_t at = 0; at < count;) {
    Section next = section_at(&packing, headings, at, count);
    at = next.last;
    if (held.last && may_join(&held, &next, limit)) {
      held.depth = common(&held, &next);
      held.cost += next.cost;
      held.last = next.last;
    } else {
      if (held.last) pack(&packing, &held);
      held = next;
    }
  }
  if (held.last) pack(&packing, &held);
  return packing.count;
}
