/* The regular expressions of localsearch/text/plain.py and numbers.py for what is no single word, one function each. None
 * of them has a choice that it could regret, so that each is read once from its start.
 */
#include "across.h"

#define INLINE static inline __attribute__((always_inline))

enum { LONGEST_RUN = 24, MOST_RUNS = 3 };

INLINE int between(uint32_t c, uint32_t first, uint32_t last) { return c - first <= last - first; }

/* A letter: what is of a word and no digit or underscore. */
INLINE int letter(const Reader *reader, int64_t at) {
  return (kind(reader, at) & (WORD | DIGIT)) == WORD && reader->text[at] != '_';
}

INLINE int apostrophe(uint32_t c) { return c == '\'' || c == 0x2019; }

INLINE int digit_after(const Reader *reader, int64_t at) { return (kind(reader, at + 1) & DIGIT) != 0; }

/* Whether an amount may end before `at`. */
static int ends(const Reader *reader, int64_t at) {
  uint32_t c = reader->text[at], now = kind(reader, at);
  if (now & WORD) return 0;
  return !((now & (GROUPING | SPACE) || c == ':' || c == '/' || c == '-') && digit_after(reader, at));
}

INLINE int three_digits(const Reader *reader, int64_t at) {
  return (kind(reader, at) & kind(reader, at + 1) & kind(reader, at + 2) & DIGIT) != 0;
}

/* Where an amount ends that is grouped by three, `at` being the end of its first digits; 0 where it is none. */
static int64_t grouped(const Reader *reader, int64_t start, int64_t at) {
  uint32_t group = reader->text[at];
  if (!between(reader->text[start], '1', '9') || at - start > 3 || !(kind(reader, at) & GROUPING)) return 0;
  int64_t first = at;
  while (reader->text[at] == group && three_digits(reader, at + 1)) at += 4;
  if (at == first) return 0;
  uint32_t c = reader->text[at];
  if ((c == '.' || c == ',') && c != group && digit_after(reader, at)) {
    int64_t end = digits_end(reader, at + 1);
    if (ends(reader, end)) return end;
  }
  return ends(reader, at) ? at : 0;
}

int across_amount(const Reader *reader, int64_t at, Stretch *found) {
  uint32_t before = reader->text[at - 1], kinds = kind(reader, at - 1);
  if (kinds & WORD || before == '.' || before == ',' || before == '-' || apostrophe(before)) return 0;
  if (kinds & SPACE && kind(reader, at - 2) & DIGIT) return 0;
  int64_t end = digits_end(reader, at + 1);
  found->start = at;
  found->end = grouped(reader, at, end);
  if (found->end) return 1;
  if ((reader->text[end] != '.' && reader->text[end] != ',') || !digit_after(reader, end)) return 0;
  found->end = digits_end(reader, end + 1);
  return ends(reader, found->end);
}

/* DOTTED. */
static int dotted(const Reader *reader, int64_t at, Stretch *found) {
  if (kind(reader, at - 1) & WORD || reader->text[at - 1] == '.' || !letter(reader, at + 1)) return 0;
  *found = (Stretch){at, run_end(reader, at + 1)};
  return 1;
}

INLINE int minus(uint32_t c) { return c == '-' || c == 0x2212; }

/* Where a run ends that is not too long for what begins with its minus; 0 where it is. */
static int64_t short_run_end(const Reader *reader, int64_t at) {
  int64_t end = run_end(reader, at);
  return end > at && end - at <= LONGEST_RUN ? end : 0;
}

/* DASHED. */
static int dashed(const Reader *reader, int64_t at, Stretch *found) {
  if (kind(reader, at - 1) & WORD || minus(reader->text[at - 1])) return 0;
  int64_t start = at + 1 + (reader->text[at + 1] == '-'), end;
  if (reader->text[start] == '_' || !(end = short_run_end(reader, start))) return 0;
  for (int runs = 0; runs < MOST_RUNS; runs++) {
    uint32_t c = reader->text[end];
    int64_t next = c == '.' || c == ',' || c == '-' ? short_run_end(reader, end + 1) : 0;
    if (!next) break;
    end = next;
  }
  *found = (Stretch){at, end};
  return 1;
}

INLINE int hebrew(uint32_t c) { return between(c, 0x5d0, 0x5ea); }

/* Whether a sign holds two runs together, as in _CHAIN. */
static int links(const Reader *reader, int64_t at) {
  uint32_t c = reader->text[at];
  if (c == '"') return hebrew(reader->text[at - 1]) && hebrew(reader->text[at + 1]);
  int any = c == '.' || apostrophe(c) || c == 0x2018;
  if (kind(reader, at - 1) & kind(reader, at + 1) & DIGIT) return any || c == ',' || c == ';';
  any = any || c == ':' || c == 0xb7 || c == 0x2027 || c == 0x5f4 || c == 0x5f3;
  return any && letter(reader, at - 1) && letter(reader, at + 1);
}

/* The chain of runs that the sign at `at` is in; the signs of single words make none. */
static int chain(Reader *reader, int64_t at, Stretch *found) {
  if (at < reader->chained || !links(reader, at)) return 0;
  int64_t start = at, end = at;
  while (start > reader->chained && (kind(reader, start - 1) & WORD || links(reader, start - 1))) start--;
  do end = run_end(reader, end + 1);
  while (links(reader, end));
  *found = (Stretch){start, end};
  reader->chained = end;
  return 1;
}

/* _BROKEN: `at` is the hyphen. */
static int broken(Reader *reader, int64_t at, Stretch *found) {
  int64_t start = at, next = at + 1 + (reader->text[at + 1] == '\r');
  if (next >= reader->end || reader->text[next] != '\n') return 0;
  do next++;
  while (reader->text[next] == ' ' || reader->text[next] == '\t');
  if (next >= reader->end || !letter(reader, next)) return 0;
  while (start > reader->broken && letter(reader, start - 1)) start--;
  if (start == at) return 0;
  while (letter(reader, next)) next++;
  *found = (Stretch){start, next};
  reader->broken = next;
  return 1;
}

int across_edge(Reader *reader, int64_t at, Stretch *found) {
  uint32_t c = reader->text[at];
  if (c == '.') return dotted(reader, at, found) ? DOTTED : SINGLE;
  if ((c == '-' || c == 0x2010) && broken(reader, at, found)) return BROKEN;
  if (minus(c)) return dashed(reader, at, found) ? DASHED : SINGLE;
  return chain(reader, at, found) ? CHAIN : SINGLE;
}
