/* What is no single word of a text: amounts, names that begin with a dot or a minus, signs, chains, words that lines divide. */
#ifndef LOCALSEARCH_ACROSS_H
#define LOCALSEARCH_ACROSS_H

#include <stdint.h>

/* What a character is: bits that the caller tells of each up to U+FFFF. EDGE is what may begin or hold together what is no
 * single word. */
enum { WORD = 1, DIGIT = 2, SPECIAL = 4, SIGN = 8, JOINER = 16, GROUPING = 32, SPACE = 64, EDGE = 128 };

/* The numbers of `ACROSS` in localsearch/text/plain.py. */
enum { SINGLE, AMOUNT, ONE_SIGN, DOTTED, DASHED, CHAIN, BROKEN };

/* A text up to `end`, the kinds of characters, and where the last chain and the last divided word ended. Before its start
 * and from its end on stand line feeds, as many as are looked at. */
typedef struct {
  const uint8_t *kinds;
  const uint16_t *text;
  int64_t end, chained, broken;
} Reader;

typedef struct {
  int64_t start, end;
} Stretch;

static inline __attribute__((always_inline)) uint32_t kind(const Reader *reader, int64_t at) {
  return reader->kinds[reader->text[at]];
}

static inline __attribute__((always_inline)) int64_t run_end(const Reader *reader, int64_t at) {
  while (kind(reader, at) & WORD) at++;
  return at;
}

static inline __attribute__((always_inline)) int64_t digits_end(const Reader *reader, int64_t at) {
  while (kind(reader, at) & DIGIT) at++;
  return at;
}

/* Whether an amount begins with the digit at `at`, and where. */
int across_amount(const Reader *reader, int64_t at, Stretch *found);

/* What kind there is at an EDGE of a text besides a sign, and where; SINGLE where there is none. */
int across_edge(Reader *reader, int64_t at, Stretch *found);

#endif
