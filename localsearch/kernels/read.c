/* Texts read: which words they hold, and what is no single word.
 *
 * What is a word is PLAIN_WORD of localsearch/text/pieces.py; what each character is, the caller tells. Text that needs
 * more than this, with a mark or a script without spaces, or a character beyond U+FFFF, is refused.
 */
#include "across.h"
#include "lexicon.h"

/* Adds what stands at a stretch to what was found, and to what is unknown unless it is learnt or has just been added. */
static int find(Lexicon *lexicon, const Reader *reader, uint32_t kind, Stretch at) {
  int64_t found = lexicon_word(lexicon, kind, reader->text + at.start, (size_t)(at.end - at.start));
  uint32_t number = (uint32_t)found;
  if (found < 0 || !add(&lexicon->found, &number, sizeof number)) return 0;
  Word *word = word_at(lexicon, number);
  if (word->learnt || word->asked == lexicon->reading) return 1;
  word->asked = lexicon->reading;
  Unknown unknown = {.number = number, .kind = kind};
  return add(&lexicon->unknown, &unknown, sizeof unknown);
}

static int find_edge(Lexicon *lexicon, Reader *reader, int64_t at) {
  Stretch stretch = {at, at + 1};
  if ((kind(reader, at) & (SIGN | WORD)) == SIGN && !find(lexicon, reader, ONE_SIGN, stretch)) return 0;
  int found = across_edge(reader, at, &stretch);
  return found == SINGLE || find(lexicon, reader, (uint32_t)found, stretch);
}

/* Finds the amount that may begin with a run. */
INLINE int find_amount(Lexicon *lexicon, const Reader *reader, int64_t at) {
  Stretch stretch;
  return !(kind(reader, at) & DIGIT && across_amount(reader, at, &stretch)) || find(lexicon, reader, AMOUNT, stretch);
}

/* Whether a comma stands between the thousands of a number. */
INLINE int is_glue(const Reader *reader, int64_t at) {
  return reader->text[at] == ',' &&
         kind(reader, at - 1) & kind(reader, at + 1) & kind(reader, at + 2) & kind(reader, at + 3) & DIGIT;
}

/* Finds the word that begins at `*at`, and what begins in it; `*at` is where it ends. 0 without memory. */
INLINE int find_word(Lexicon *lexicon, Reader *reader, int64_t *at) {
  Stretch word = {*at, *at};
  if (!find_amount(lexicon, reader, word.end)) return 0;
  for (word.end = run_end(reader, word.end);;) {
    if (kind(reader, word.end) & JOINER && kind(reader, word.end + 1) & WORD) {
      if (!find_amount(lexicon, reader, ++word.end)) return 0;
      word.end = run_end(reader, word.end);
    } else if (is_glue(reader, word.end)) {
      if (!find_edge(lexicon, reader, word.end)) return 0;
      word.end = digits_end(reader, word.end + 1);
    } else {
      break;
    }
  }
  if (reader->text[word.end] == '+' && reader->text[word.end + 1] == '+') word.end += 2;
  else if (reader->text[word.end] == '#') word.end++;
  *at = word.end;
  return find(lexicon, reader, SINGLE, word);
}

static int end_line(Lexicon *lexicon, const Reader *reader, int64_t at) {
  uint32_t end = LINE_END;
  return reader->text[at - 1] == '\n' || add(&lexicon->found, &end, sizeof end);
}

/* Finds all words from `at` on, and where lines end that are not empty if these are of account. */
static int find_all(Lexicon *lexicon, Reader *reader, int64_t at, int lines) {
  while (at < reader->end) {
    uint32_t now = kind(reader, at);
    if (now & WORD) {
      if (!find_word(lexicon, reader, &at)) return 0;
      continue;
    }
    if (now & EDGE && !find_edge(lexicon, reader, at)) return 0;
    if (lines && reader->text[at] == '\n' && !end_line(lexicon, reader, at)) return 0;
    at++;
  }
  return !lines || end_line(lexicon, reader, at);
}

static uint32_t is_refused(const Reader *reader, int64_t at) {
  uint32_t seen = 0;
  for (; at < reader->end; at++) seen |= kind(reader, at);
  return (seen & SPECIAL) != 0;
}

enum { HALF = 0xd800, AFTER = 4 };

/* Writes a character of UTF-8; one beyond U+FFFF, and what is none, as half of one, which is SPECIAL. Returns its end. */
static const uint8_t *write_one(uint16_t *out, const uint8_t *at, const uint8_t *end) {
  uint32_t first = *at;
  int64_t left = end - at;
  *out = first < 0x80 ? (uint16_t)first : HALF;
  if (first < 0xc0 || left < 2) return at + 1;
  if (first < 0xe0) *out = (uint16_t)((first & 0x1f) << 6 | (at[1] & 0x3f));
  if (first < 0xe0 || left < 3) return at + 2;
  if (first < 0xf0) *out = (uint16_t)(first << 12 | (at[1] & 0x3f) << 6 | (at[2] & 0x3f));
  return at + (first < 0xf0 || left < 4 ? 3 : 4);
}

/* Writes UTF-8 as UTF-16, of which it has no more units than bytes. Returns where it ends. */
static uint16_t *write_wide(uint16_t *out, const uint8_t *at, const uint8_t *end) {
  for (;;) {
    for (; end - at >= 16 && !((eight(at) | eight(at + 8)) & 0x8080808080808080u); at += 16, out += 16)
      for (int i = 0; i < 16; i++) out[i] = at[i];
    if (at >= end) return out;
    at = write_one(out++, at, end);
  }
}

/* Reads one text that stands in `wide`; one as long as its bytes is of ASCII, and none of its characters is SPECIAL. */
static int read_one(Lexicon *lexicon, Reader *reader, int64_t start, int ascii, int lines) {
  Text one = {.first = lexicon->found.used / 4, .empty = reader->end == start};
  one.refused = !ascii && is_refused(reader, start);
  if (!one.refused && !find_all(lexicon, reader, start, lines)) return 0;
  one.end = lexicon->found.used / 4;
  return add(&lexicon->texts, &one, sizeof one);
}

/* Reads `count` texts of UTF-8, each from one of `borders` to the next, every second one being told about the one before.
 * Returns how many words there are that are not learnt; NO_MEMORY. */
EXPORTED int64_t localsearch_lexicon_read(Lexicon *lexicon, const uint8_t *text, const int64_t *borders, int64_t count) {
  lexicon->wide.used = lexicon->texts.used = lexicon->found.used = lexicon->unknown.used = 0;
  lexicon->reading++;
  uint16_t *wide = (uint16_t *)more(&lexicon->wide, 2 * (size_t)(borders[count] + count + 1 + AFTER));
  if (!wide) return NO_MEMORY;
  wide[0] = '\n';
  for (int64_t i = 0, start = 1; i < count; i++) {
    int64_t length = borders[i + 1] - borders[i];
    int64_t end = write_wide(wide + start, text + borders[i], text + borders[i + 1]) - wide;
    for (int j = 0; j < AFTER; j++) wide[end + j] = '\n';
    Reader reader = {lexicon->kinds, wide, end, start, start};
    if (!read_one(lexicon, &reader, start, end - start == length, i % 2)) return NO_MEMORY;
    start = end + 1;
  }
  return (int64_t)(lexicon->unknown.used / sizeof(Unknown));
}
