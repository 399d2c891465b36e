/* What units.c cuts, and passages.c puts together: as localsearch/extract/units.py tells and reads them. */
#ifndef LOCALSEARCH_UNITS_H
#define LOCALSEARCH_UNITS_H

#include <stdint.h>

enum { REFUSED = -1, NO_ROOM = -2 };

/* A block of the text, whether it ends at lines rather than sentences, and whether a passage may repeat the end of it;
 * blocks of one `section` follow each other, under one heading of `depth` numbers from `heading` on. */
typedef struct {
  int32_t start, end, lines, repeats, section, fixed, heading, depth;
} Block;

/* A stretch of the text; those of a block follow each other. `block` is the number of the block. */
typedef struct {
  int32_t start, end, block;
  int32_t long_one; /* more than the limit */
  double cost;
} Unit;

#endif
