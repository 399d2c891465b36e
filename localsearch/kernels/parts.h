/* A word of ASCII taken apart: what localsearch/text/pieces.py and plain.py say of it. */
#ifndef LOCALSEARCH_PARTS_H
#define LOCALSEARCH_PARTS_H

#include <stddef.h>
#include <stdint.h>

enum { LONGEST = 64 }; /* characters of a term or a form */

/* Small letters at `at` of the bytes of Parts; whether grammar may have changed them. */
typedef struct {
  uint32_t at, length;
  int inflected;
} Part;

/* Parts of a word one after the other, and room that is kept from one word to the next. */
typedef struct {
  char *bytes, *scratch;
  Part *part;
  size_t used, room, count, space, scratch_room;
} Parts;

void parts_end(Parts *parts);

/* The pieces of a word as the lexicon finds one, `pieces` of pieces.py, each cut to LONGEST. 0 without memory. */
int parts_pieces(Parts *parts, const char *word, size_t length);

/* The plain forms of a word, `variants` of plain.py, in its order and some more than once. 0 without memory. */
int parts_forms(Parts *parts, const char *word, size_t length);

/* The plain forms of what is no single word, by its kind of across.h: `ACROSS` of plain.py. 0 without memory. */
int parts_across(Parts *parts, uint32_t kind, const char *text, size_t length);

#endif
