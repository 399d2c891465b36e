/* What an index is given of the texts that were read: terms in order, plain words, and words worth telling.
 *
 * Texts come by twos, the second of each being what is told about the first: its words are given with a mark.
 */
#include "lexicon.h"

/* FILLER and MARK of localsearch/lexical/stream.py: no term, and what the words about a document begin with. */
enum { FILLER = '=', MARK = '~' };

/* A plain word in `lexicon->out`, and the number by which its first eight bytes are in order. */
typedef struct {
  uint64_t prefix;
  uint32_t at, length;
} Plain;

static uint64_t prefix_of(const uint8_t *string, size_t length) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; i++) prefix = prefix << 8 | (i < length ? string[i] : 0);
  return prefix;
}

static int add_plain(Lexicon *lexicon, const uint8_t *string, uint32_t length, int marked) {
  Buffer *out = &lexicon->out[PLAIN];
  Plain plain = {.at = (uint32_t)out->used, .length = length + (uint32_t)marked};
  uint8_t mark = MARK;
  if ((marked && !add(out, &mark, 1)) || !append(out, string, length)) return 0;
  plain.prefix = prefix_of(out->bytes + plain.at, plain.length);
  return add(&lexicon->sorted, &plain, sizeof plain);
}

/* Appends a form to a role, unless this text has had it there. */
INLINE int append_once(Lexicon *lexicon, Form *form, int role, uint32_t stamp) {
  if (form->seen[role] == stamp) return 1;
  form->seen[role] = stamp;
  return append(&lexicon->out[role], string_of(lexicon, form), form->length);
}

static int give_marked_terms(Lexicon *lexicon, const Word *word) {
  const uint32_t *number = (const uint32_t *)lexicon->numbers.bytes + word->forms;
  for (uint32_t i = 0; i < word->number[TERM]; i++) {
    const Form *form = form_at(lexicon, *number++);
    uint8_t mark = MARK;
    if (!add(&lexicon->given, &mark, 1) || !append(&lexicon->given, string_of(lexicon, form), form->length)) return 0;
  }
  return 1;
}

/* Gives what is worth telling of a word that the text has not had, and keeps its plain forms for `give_plain`. */
static int tell(Lexicon *lexicon, const Word *word, uint32_t stamp, uint32_t told) {
  Form *forms = (Form *)lexicon->form.bytes;
  const uint32_t *number = (const uint32_t *)lexicon->numbers.bytes + word->forms;
  for (uint32_t i = 0; i < word->number[TERM]; i++) forms[*number++].seen[TERM] = stamp;
  for (uint32_t i = 0; i < word->number[TOLD]; i++)
    if (!append_once(lexicon, forms + *number++, TOLD, told)) return 0;
  return !word->number[PLAIN] || add(&lexicon->pairs, number, 4 * (size_t)word->number[PLAIN]);
}

/* Adds the plain forms whose stem is no term of the text. */
static int give_plain(Lexicon *lexicon, uint32_t stamp, int marked) {
  Form *forms = (Form *)lexicon->form.bytes;
  const uint32_t *number = (const uint32_t *)lexicon->pairs.bytes;
  for (size_t i = 0; i + 1 < lexicon->pairs.used / 4; i += 2) {
    Form *form = forms + number[i];
    if (forms[number[i + 1]].seen[TERM] == stamp || form->seen[PLAIN] == stamp) continue;
    form->seen[PLAIN] = stamp;
    if (!add_plain(lexicon, string_of(lexicon, form), form->length, marked)) return 0;
  }
  return 1;
}

/* Gives a word of a text; a LINE_END as a filler. How many terms; -1 without memory. */
INLINE int64_t give_word(Lexicon *lexicon, uint32_t number, uint32_t stamp, uint32_t told, int marked) {
  uint8_t filler = FILLER;
  if (number == LINE_END) return append(&lexicon->given, &filler, 1) ? 1 : -1;
  Word *word = word_at(lexicon, number);
  int given = marked ? give_marked_terms(lexicon, word)
                     : add(&lexicon->given, lexicon->strings.bytes + word->terms, word->terms_length);
  if (!given || (word->seen != stamp && !tell(lexicon, word, stamp, told))) return -1;
  word->seen = stamp;
  return word->number[TERM];
}

/* Gives the terms of a text, and adds its plain words and those worth telling that were not `told`. Returns how many
 * terms; -1 without memory. */
static int64_t give_text(Lexicon *lexicon, const Text *text, uint32_t told, int marked) {
  const uint32_t *found = (const uint32_t *)lexicon->found.bytes;
  uint32_t stamp = ++lexicon->stamps;
  int64_t count = 0;
  lexicon->pairs.used = 0;
  for (size_t i = text->first; i < text->end; i++) {
    int64_t terms = give_word(lexicon, found[i], stamp, told, marked);
    if (terms < 0) return -1;
    count += terms;
  }
  return give_plain(lexicon, stamp, marked) ? count : -1;
}

INLINE int is_before(const uint8_t *strings, const Plain *one, const Plain *other) {
  if (one->prefix != other->prefix) return one->prefix < other->prefix;
  uint32_t length = one->length < other->length ? one->length : other->length;
  int order = memcmp(strings + one->at, strings + other->at, length);
  return order ? order < 0 : one->length < other->length;
}

/* Puts plain words in order, over shrinking gaps. */
static void sort(const uint8_t *strings, Plain *plain, size_t count) {
  size_t gap = 1;
  while (gap < count / 3) gap = 3 * gap + 1;
  for (; gap; gap /= 3)
    for (size_t i = gap; i < count; i++) {
      Plain moved = plain[i];
      size_t at = i;
      for (; at >= gap && is_before(strings, &moved, plain + at - gap); at -= gap) plain[at] = plain[at - gap];
      plain[at] = moved;
    }
}

/* Gives the plain words in order, then fillers, so many together. */
static int give_sorted(Lexicon *lexicon, int64_t count) {
  const uint8_t *strings = lexicon->out[PLAIN].bytes;
  Plain *plain = (Plain *)lexicon->sorted.bytes;
  int64_t words = (int64_t)(lexicon->sorted.used / sizeof *plain);
  uint8_t filler = FILLER;
  sort(strings, plain, (size_t)words);
  for (int64_t i = 0; i < words; i++)
    if (!append(&lexicon->given, strings + plain[i].at, plain[i].length)) return 0;
  for (; words < count; words++)
    if (!append(&lexicon->given, &filler, 1)) return 0;
  return 1;
}

/* Ends a string that was given, without the blank after its last word. */
static int end_string(Lexicon *lexicon, size_t start) {
  if (lexicon->given.used > start) lexicon->given.used--;
  int64_t end = (int64_t)lexicon->given.used;
  return add(&lexicon->ends, &end, sizeof end);
}

/* Gives three strings of a text and what is told about it: terms, plain words, words worth telling. 0 without memory. */
static int give(Lexicon *lexicon, const Text *text, const Text *about) {
  size_t start = lexicon->given.used;
  uint32_t told = ++lexicon->stamps;
  for (int role = 0; role < ROLES; role++) lexicon->out[role].used = 0;
  lexicon->sorted.used = 0;
  int64_t count = give_text(lexicon, text, told, 0), more = give_text(lexicon, about, told, 1);
  if (count < 0 || more < 0 || !end_string(lexicon, start)) return 0;
  if (!about->empty && !add_plain(lexicon, (const uint8_t *)"", 0, 1)) return 0; /* the mark alone: something is told about it */
  start = lexicon->given.used;
  if (!give_sorted(lexicon, count + more) || !end_string(lexicon, start)) return 0;
  start = lexicon->given.used;
  return add(&lexicon->given, lexicon->out[TOLD].bytes, lexicon->out[TOLD].used) && end_string(lexicon, start);
}

typedef struct {
  const uint8_t *strings;
  const int64_t *ends; /* of three strings for each two texts that were read; -1 for the first of those that were refused */
  int64_t length, count;
} Given;

/* Gives what an index is given of the texts that were read and whose words are learnt. NO_MEMORY, or 0. */
EXPORTED int32_t localsearch_lexicon_give(Lexicon *lexicon, Given *given) {
  const Text *texts = (const Text *)lexicon->texts.bytes;
  int64_t none[] = {-1, -1, -1};
  lexicon->given.used = lexicon->ends.used = 0;
  for (size_t i = 0; i + 1 < lexicon->texts.used / sizeof *texts; i += 2) {
    if (texts[i].refused || texts[i + 1].refused) {
      if (!add(&lexicon->ends, none, sizeof none)) return NO_MEMORY;
    } else if (!give(lexicon, texts + i, texts + i + 1)) {
      return NO_MEMORY;
    }
  }
  given->strings = lexicon->given.bytes;
  given->ends = (const int64_t *)lexicon->ends.bytes;
  given->length = (int64_t)lexicon->given.used;
  given->count = (int64_t)(lexicon->ends.used / 8);
  return 0;
}
