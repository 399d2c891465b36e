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
  Unknown unknown = {at.start, at.end - at.start, number, kind};
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

/* Reads `count` texts, each from one of `borders` to before the next, every second one being told about the one before.
 * One line feed stands before each, four after the last. Returns how many words there are that are not learnt; NO_MEMORY. */
EXPORTED int64_t localsearch_lexicon_read(Lexicon *lexicon, const uint16_t *text, const int64_t *borders, int64_t count) {
  lexicon->texts.used = lexicon->found.used = lexicon->unknown.used = 0;
  lexicon->reading++;
  for (int64_t i = 0; i < count; i++) {
    Reader reader = {lexicon->kinds, text, borders[i + 1] - 1, borders[i], borders[i]};
    Text one = {.first = lexicon->found.used / 4, .empty = reader.end == borders[i]};
    one.refused = is_refused(&reader, borders[i]);
    if (!one.refused && !find_all(lexicon, &reader, borders[i], i % 2)) return NO_MEMORY;
    one.end = lexicon->found.used / 4;
    if (!add(&lexicon->texts, &one, sizeof one)) return NO_MEMORY;
  }
  return (int64_t)(lexicon->unknown.used / sizeof(Unknown));
}
