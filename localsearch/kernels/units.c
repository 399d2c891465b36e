/* Cuts blocks of a text into what is never cut, and estimates the word pieces of each: `_units` and `estimate` of
 * localsearch/extract/chunk.py, which tells the weights and the common words.
 */
#include "units.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

enum { SLOTS = 1024, LONGEST = 8 };
enum { WORDS, COMMON, LETTERS, NUMBERS, MARKS, IDEOGRAPHS, ACCENTS, ELSEWHERE, WEIGHTS };

/* Common words, at most LONGEST letters each, as the number that their letters make. */
typedef struct {
  double weights[WEIGHTS];
  uint64_t common[SLOTS];
} Estimate;

typedef struct {
  const uint32_t *text;
  int32_t end;
  int refused;
} Text;

INLINE int between(uint32_t c, uint32_t first, uint32_t last) { return c - first <= last - first; }
INLINE int digit(uint32_t c) { return between(c, '0', '9'); }
INLINE int small(uint32_t c) { return between(c, 'a', 'z'); }
INLINE int letter(uint32_t c) { return between(c | 32, 'a', 'z') && c < 128; }

/* White space as Python has it. */
INLINE int blank(uint32_t c) {
  if (c < 0x80) return c == ' ' || between(c, '\t', '\r') || between(c, 0x1c, 0x1f);
  return c == 0x85 || c == 0xa0 || c == 0x1680 || between(c, 0x2000, 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

/* What ends a sentence in Latin scripts, and what may close after it; the same of Chinese and Japanese. */
INLINE int full_stop(uint32_t c) { return c == '.' || c == '!' || c == '?' || c == 0x2026; }
INLINE int closing(uint32_t c) {
  return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201d || c == 0x2019 || c == 0xbb;
}
INLINE int wide_stop(uint32_t c) { return c == 0x3002 || c == 0xff01 || c == 0xff1f; }
INLINE int wide_closing(uint32_t c) { return c == 0x201d || c == 0x2019 || c == 0x300d || c == 0x300f || c == 0xff09; }
INLINE int ideograph(uint32_t c) {
  return between(c, 0x1100, 0x11ff) || between(c, 0x2e80, 0xa4cf) || between(c, 0xac00, 0xd7af) || between(c, 0xf900, 0xfaff) ||
         between(c, 0xfe30, 0xfe4f) || between(c, 0xff00, 0xffef);
}

INLINE int is_common(const Estimate *estimate, uint64_t word) {
  for (uint64_t at = word * 0x9fb21c651e98df25u >> 54; estimate->common[at]; at = (at + 1) % SLOTS)
    if (estimate->common[at] == word) return 1;
  return 0;
}

/* The estimate of a stretch, its sums in the order in which Python makes them. */
static double cost_of(const Estimate *estimate, Text *text, int32_t start, int32_t end) {
  int64_t count[WEIGHTS] = {0};
  for (int32_t at = start; at < end;) {
    uint32_t c = text->text[at];
    if (letter(c)) {
      uint64_t word = 0;
      int32_t from = at;
      for (; at < end && letter(text->text[at]); at++) word = word << 8 | text->text[at];
      count[WORDS]++;
      count[LETTERS] += at - from;
      count[COMMON] += at - from <= LONGEST && is_common(estimate, word);
    } else if (digit(c)) {
      while (at < end && digit(text->text[at])) at++;
      count[NUMBERS]++;
    } else {
      at++;
      if (c < 0x80) count[MARKS] += c > ' ' && c < 0x7f;
      else if (ideograph(c)) count[IDEOGRAPHS]++;
      else if (between(c, 0xc0, 0x24f)) count[ACCENTS]++;
      else count[ELSEWHERE]++;
      text->refused |= between(c, 0xd800, 0xdfff);
    }
  }
  double each[WEIGHTS]; /* each product by itself, so that no compiler joins it with a sum */
  for (int i = 0; i < WEIGHTS; i++) each[i] = estimate->weights[i] * (double)count[i];
  double pieces = each[WORDS] + each[COMMON];
  pieces += each[LETTERS];
  if (count[NUMBERS]) pieces += each[NUMBERS];
  pieces += each[MARKS];
  if (!(count[IDEOGRAPHS] + count[ACCENTS] + count[ELSEWHERE])) return pieces;
  double beyond = each[IDEOGRAPHS] + each[ACCENTS];
  beyond += each[ELSEWHERE];
  return pieces + beyond;
}

INLINE uint32_t get(const Text *text, int32_t at) { return at < text->end ? text->text[at] : 0; }

static int32_t past_blanks(const Text *text, int32_t at) {
  while (at < text->end && blank(text->text[at])) at++;
  return at;
}

/* Past white space of one line. */
static int32_t past_spaces(const Text *text, int32_t at) {
  while (at < text->end && text->text[at] != '\n' && blank(text->text[at])) at++;
  return at;
}

/* Whether it may be a digit of another script: those stand beside its letters. */
INLINE int may_be_digit(uint32_t c) {
  return c >= 0x660 && !between(c, 0x2000, 0xa61f) && !between(c, 0xac00, 0xfeff);
}

/* Whether an entry of a list begins here, after white space. */
static int is_entry(Text *text, int32_t at) {
  at = past_spaces(text, at);
  uint32_t c = get(text, at);
  if (c == '-' || c == '*' || c == '+' || c == 0x2022) {
    at++;
  } else {
    int32_t from = at;
    while (at < text->end && at - from < 3 && digit(text->text[at])) at++;
    text->refused |= at < text->end && at - from < 3 && may_be_digit(text->text[at]);
    if (at == from || (get(text, at) != '.' && get(text, at) != ')')) return 0;
    at++;
  }
  return at < text->end && text->text[at] != '\n' && blank(text->text[at]);
}

/* Where the border ends that begins with the sign at `at`; -1 where none does. */
static int32_t sentence_end(Text *text, int32_t at) {
  uint32_t c = text->text[at], before = at ? text->text[at - 1] : 0;
  int32_t next = at + 1;
  if (full_stop(c) && !full_stop(before)) {
    while (next < text->end && full_stop(text->text[next])) next++;
    while (next < text->end && closing(text->text[next])) next++;
    int32_t end = past_blanks(text, next);
    return end > next && !small(get(text, end)) ? end : -1;
  }
  if (wide_stop(c) && !wide_stop(before)) {
    while (next < text->end && wide_stop(text->text[next])) next++;
    while (next < text->end && wide_closing(text->text[next])) next++;
    return past_blanks(text, next);
  }
  if (c != '\n') return -1;
  int32_t line = past_spaces(text, next);
  if (get(text, line) == '\n') return past_blanks(text, line + 1);
  return is_entry(text, next) ? next : -1;
}

/* Where the next sign may be with which a border begins, no further than `end`. */
INLINE int32_t next_stop(const Text *text, int32_t at, int32_t end) {
  static const uint8_t stops[128] = {['\n'] = 1, ['.'] = 1, ['!'] = 1, ['?'] = 1};
  while (at < end && text->text[at] < 128 && !stops[text->text[at]]) at++;
  return at;
}

static int32_t border_end(Text *text, int32_t at, int lines) {
  uint32_t c = text->text[at];
  if (lines) return c == '\n' ? past_blanks(text, at + 1) : -1;
  return c == '\n' || full_stop(c) || wide_stop(c) ? sentence_end(text, at) : -1;
}

EXPORTED void localsearch_units_end(Estimate *estimate) { free(estimate); }

/* `common` are words with a blank after each. NULL without memory. */
EXPORTED Estimate *localsearch_units_begin(const double *weights, const char *common) {
  Estimate *estimate = calloc(1, sizeof *estimate);
  if (!estimate) return NULL;
  memcpy(estimate->weights, weights, sizeof estimate->weights);
  for (int count = 0; *common && count < SLOTS / 2; count++) {
    uint64_t word = 0, at;
    while (*common && *common != ' ') word = word << 8 | (uint8_t)*common++;
    common += *common == ' ';
    for (at = word * 0x9fb21c651e98df25u >> 54; estimate->common[at];) at = (at + 1) % SLOTS;
    estimate->common[at] = word;
  }
  return estimate;
}

/* The units of blocks, at most `room` of them; those over the limit are marked, and left to be cut. Returns their number;
 * REFUSED where Python has to look; NO_ROOM. */
EXPORTED int32_t localsearch_units(const Estimate *estimate, const uint32_t *characters, int32_t length, const Block *blocks,
                                   int32_t count, double limit, Unit *units, int32_t room) {
  int32_t found = 0;
  for (int32_t i = 0; i < count; i++) {
    if (blocks[i].start < 0 || blocks[i].end > length) return REFUSED;
    Text text = {characters, blocks[i].end, 0};
    for (int32_t start = blocks[i].start, at = start; start < blocks[i].end;) {
      int32_t end = -1;
      while ((at = next_stop(&text, at, blocks[i].end)) < blocks[i].end && (end = border_end(&text, at, blocks[i].lines)) < 0)
        at++;
      if (end < 0) end = blocks[i].end;
      int32_t low = start, high = end;
      while (low < high && blank(characters[low])) low++;
      while (low < high && blank(characters[high - 1])) high--;
      start = at = end;
      if (low == high) continue;
      if (found == room) return NO_ROOM;
      double cost = cost_of(estimate, &text, low, high);
      units[found++] = (Unit){low, high, i, cost > limit, cost};
    }
    if (text.refused) return REFUSED;
  }
  return found;
}
