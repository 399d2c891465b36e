/* A memory of words and of what an index holds of each, and texts taken apart with it in one pass.
 *
 * What is a word is PLAIN_WORD of localsearch/text/pieces.py; what each character is, the caller tells. Text that needs
 * more than this, with a mark or a script without spaces, or a character beyond U+FFFF, is refused. Strings that come
 * out are UTF-8, with one blank between each two. Not for two threads at once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* What a character is: bits of `kinds`. */
enum { WORD = 1, DIGIT = 2, SPECIAL = 4, SIGN = 8, JOINER = 16, GROUPING = 32, MIDDLE = 64, KINDS = 0x10000 };
/* What a text may hold that no single word does: bits of `Taken.across`. */
enum { AMOUNTS = 1, SIGNS = 2, DOTTED = 4, DASHED = 8, CHAINS = 16 };
/* What `localsearch_lexicon_take` returns besides the number of words that are not known. */
enum { REFUSED = -1, NO_MEMORY = -2 };

typedef struct {
  uint8_t *bytes;
  size_t used, room;
} Buffer;

/* What the forms of a word are: terms; everything worth telling; and what its own terms do not tell, each before its stem. */
enum { TERM, TOLD, PLAIN, ROLES };

/* The languages in which a form has a term: that of the texts, and the default one, by which every query looks. */
enum { OWN, COMMON, LANGUAGES };

/* A string, kept once; `seen` is the last text that had it in each role, `noted` and `termed` the last word that had it as
 * a form and as a term. `term` is 1 + the number of its term, 0 while nobody has told it, ASKED once it is asked for. */
typedef struct {
  uint64_t hash;
  uint32_t at, length;
  uint32_t seen[ROLES];
  uint32_t noted, termed;
  uint32_t term[LANGUAGES];
} Form;

#define ASKED UINT32_MAX

/* A word: its characters in `keys`, its terms in `strings`, and from `forms` on in `numbers` its forms, role by role. */
typedef struct {
  uint64_t hash;
  uint32_t at, length;
  uint32_t terms, terms_length, count;
  uint32_t forms, number[ROLES];
  uint32_t seen;
} Word;

typedef struct {
  uint32_t *slots; /* 1 + the number of an entry; 0 is free */
  uint32_t mask, used;
} Table;

typedef struct {
  const uint8_t *strings; /* a line each: terms in order, what is worth telling, and what the terms do not tell, each once */
  int32_t length;
  int32_t count; /* of terms */
  int32_t across;
  const int32_t *unknown; /* pairs of where a word that is not known starts and ends */
} Taken;

typedef struct {
  uint8_t kinds[KINDS];
  uint64_t seed;
  Table words, forms;
  Buffer word, form, keys, strings, numbers, out[ROLES], told, plain, unknown;
  Buffer asked[LANGUAGES], questions, list[ROLES], ascii;
  Parts pieces, forms_of_one;
  uint32_t text, learnt;
} Lexicon;

INLINE uint8_t *more(Buffer *buffer, size_t count) {
  if (buffer->used + count > buffer->room) {
    size_t room = 2 * (buffer->used + count) + 256;
    uint8_t *bytes = realloc(buffer->bytes, room);
    if (!bytes) return NULL;
    buffer->bytes = bytes;
    buffer->room = room;
  }
  uint8_t *place = buffer->bytes + buffer->used;
  buffer->used += count;
  return place;
}

static int add(Buffer *buffer, const void *what, size_t count) {
  if (!count) return 1; /* a buffer that holds nothing yet has no place */
  uint8_t *place = more(buffer, count);
  if (place) memcpy(place, what, count);
  return place != NULL;
}

/* The seed makes it a secret which words meet in one slot. */
INLINE uint64_t mix(uint64_t hash, uint64_t next) {
  hash = (hash ^ next) * 0x9fb21c651e98df25u;
  return hash ^ (hash >> 32);
}

static int grow(Table *table, const uint8_t *entries, size_t size) {
  uint32_t mask = table->mask ? 2 * table->mask + 1 : 1023;
  uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);
  if (!slots) return 0;
  for (uint32_t i = 0; i < table->used; i++) {
    uint64_t hash;
    memcpy(&hash, entries + i * size, sizeof hash); /* the first member of both */
    uint32_t at = (uint32_t)hash & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = i + 1;
  }
  free(table->slots);
  table->slots = slots;
  table->mask = mask;
  return 1;
}

/* Gives a new entry, which was added last, its slot. */
static int enter(Table *table, const Buffer *entries, size_t size, uint64_t hash) {
  table->used++;
  if (2 * table->used > table->mask) return grow(table, entries->bytes, size);
  uint32_t at = (uint32_t)hash & table->mask;
  while (table->slots[at]) at = (at + 1) & table->mask;
  table->slots[at] = table->used;
  return 1;
}

static Word *known(const Lexicon *lexicon, uint64_t hash, const uint32_t *text, uint32_t length) {
  const Table *table = &lexicon->words;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
    Word *word = (Word *)lexicon->word.bytes + table->slots[at] - 1;
    const uint32_t *key = (const uint32_t *)lexicon->keys.bytes + word->at;
    if (word->hash == hash && word->length == length && !memcmp(key, text, 4 * (size_t)length)) return word;
  }
  return NULL;
}

INLINE uint64_t hash_of(const Lexicon *lexicon, const uint32_t *text, uint32_t length) {
  uint64_t hash = lexicon->seed;
  for (uint32_t i = 0; i < length; i++) hash = mix(hash, text[i]);
  return hash;
}

/* The number of a form, which is made where it is new; -1 without memory. */
static int64_t form_of(Lexicon *lexicon, const char *string, uint32_t length) {
  uint64_t hash = lexicon->seed;
  for (uint32_t i = 0; i < length; i++) hash = mix(hash, (uint8_t)string[i]);
  const Table *table = &lexicon->forms;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
    const Form *form = (const Form *)lexicon->form.bytes + table->slots[at] - 1;
    if (form->hash == hash && form->length == length && !memcmp(lexicon->strings.bytes + form->at, string, length))
      return table->slots[at] - 1;
  }
  Form made = {.hash = hash, .at = (uint32_t)lexicon->strings.used, .length = length};
  if (!add(&lexicon->strings, string, length) || !add(&lexicon->form, &made, sizeof made)) return -1;
  if (!enter(&lexicon->forms, &lexicon->form, sizeof made, hash)) return -1;
  return lexicon->forms.used - 1;
}

EXPORTED void localsearch_lexicon_end(Lexicon *lexicon) {
  if (!lexicon) return;
  Buffer *buffers[] = {&lexicon->word, &lexicon->form, &lexicon->keys, &lexicon->strings, &lexicon->numbers,
                       &lexicon->out[TERM], &lexicon->out[TOLD], &lexicon->out[PLAIN], &lexicon->told, &lexicon->plain,
                       &lexicon->unknown, &lexicon->asked[OWN], &lexicon->asked[COMMON], &lexicon->questions,
                       &lexicon->list[TERM], &lexicon->list[TOLD], &lexicon->list[PLAIN], &lexicon->ascii};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->bytes);
  parts_end(&lexicon->pieces);
  parts_end(&lexicon->forms_of_one);
  free(lexicon->words.slots);
  free(lexicon->forms.slots);
  free(lexicon);
}

/* An empty memory; NULL without memory of the machine. */
EXPORTED Lexicon *localsearch_lexicon_begin(const uint8_t *kinds, uint64_t seed) {
  Lexicon *lexicon = calloc(1, sizeof *lexicon);
  if (!lexicon) return NULL;
  memcpy(lexicon->kinds, kinds, KINDS);
  lexicon->seed = seed;
  if (grow(&lexicon->words, NULL, sizeof(Word)) && grow(&lexicon->forms, NULL, sizeof(Form))) return lexicon;
  localsearch_lexicon_end(lexicon);
  return NULL;
}

/* Bytes of what is remembered. */
EXPORTED int64_t localsearch_lexicon_size(const Lexicon *lexicon) {
  return (int64_t)(lexicon->word.used + lexicon->form.used + lexicon->keys.used + lexicon->strings.used +
                   lexicon->numbers.used);
}

/* Remembers a word, `count` terms of it, what is worth telling, and its plain forms each before its stem; each list has a
 * blank between two. 0 without memory. */
EXPORTED int32_t localsearch_lexicon_put(Lexicon *lexicon, const uint32_t *text, int32_t length, const char *terms,
                                         int32_t terms_length, int32_t count, const char *told, const char *plain) {
  Word word = {.hash = hash_of(lexicon, text, (uint32_t)length), .length = (uint32_t)length};
  if (known(lexicon, word.hash, text, word.length)) return 1;
  const char *lists[ROLES] = {terms, told, plain};
  word.forms = (uint32_t)(lexicon->numbers.used / 4);
  for (int role = 0; role < ROLES; role++) {
    for (const char *at = lists[role]; *at; at += *at == ' ') {
      const char *end = at + strcspn(at, " ");
      int64_t form = form_of(lexicon, at, (uint32_t)(end - at));
      uint32_t number = (uint32_t)form;
      if (form < 0 || !add(&lexicon->numbers, &number, 4)) return 0;
      word.number[role]++;
      at = end;
    }
  }
  word.at = (uint32_t)(lexicon->keys.used / 4);
  word.terms = (uint32_t)lexicon->strings.used;
  word.terms_length = (uint32_t)terms_length;
  word.count = (uint32_t)count;
  return add(&lexicon->keys, text, 4 * (size_t)length) && add(&lexicon->strings, terms, (size_t)terms_length) &&
         add(&lexicon->word, &word, sizeof word) && enter(&lexicon->words, &lexicon->word, sizeof word, word.hash);
}

/* The number of a form of a word of ASCII; -1 without memory. */
static int64_t form_of_part(Lexicon *lexicon, const Parts *parts, size_t i) {
  return form_of(lexicon, parts->bytes + parts->part[i].at, parts->part[i].length);
}

INLINE Form *form_at(const Lexicon *lexicon, int64_t number) { return (Form *)lexicon->form.bytes + number; }

static int has_letter(const uint8_t *string, uint32_t length) {
  for (uint32_t i = 0; i < length; i++)
    if ((uint8_t)((string[i] | 32) - 'a') < 26) return 1;
  return 0;
}

/* `is_name` of pieces.py. */
static int is_name(const uint8_t *string, uint32_t length) {
  for (uint32_t i = 0; i < length; i++)
    if ((uint8_t)(string[i] - '0') < 10 || strchr("._+#", string[i])) return 1;
  return 0;
}

static int is_number_of_ascii(const uint8_t *string, uint32_t length) {
  for (uint32_t i = 0; i < length; i++)
    if ((uint8_t)(string[i] - '0') >= 10) return 0;
  return 1;
}

/* `worth_suggesting` of analyzer.py. */
static int worth_telling(const uint8_t *string, uint32_t length) {
  return length >= 3 && length <= 40 && !is_number_of_ascii(string, length);
}

enum { UNTOLD = -2 };

/* The term of a form in a language, `_term_of` of analyzer.py in the default one; UNTOLD where it has to be asked for, -1
 * without memory. What is a name or has no letter is its own. */
static int64_t term_of(Lexicon *lexicon, int64_t number, int language) {
  Form *form = form_at(lexicon, number);
  const uint8_t *string = lexicon->strings.bytes + form->at;
  if (is_name(string, form->length) || !has_letter(string, form->length)) return number;
  if (form->term[language] && form->term[language] != ASKED) return (int64_t)form->term[language] - 1;
  if (form->term[language] == ASKED) return UNTOLD;
  form->term[language] = ASKED;
  uint32_t question[] = {(uint32_t)number, (uint32_t)language};
  uint8_t *place = more(&lexicon->asked[language], (size_t)form->length + 1);
  if (!place || !add(&lexicon->questions, question, sizeof question)) return -1;
  memcpy(place, string, form->length);
  place[form->length] = ' ';
  return UNTOLD;
}

/* Puts the forms of a word of ASCII into `lexicon->list`: its terms, what is worth telling, and its plain forms each
 * before its term. `same` is whether the text's language has the terms of the default one. UNTOLD, -1, or 0. */
static int64_t forms_of_word(Lexicon *lexicon, const char *word, size_t length, int same) {
  if (!parts_pieces(&lexicon->pieces, word, length) || !parts_forms(&lexicon->forms_of_one, word, length)) return -1;
  for (int role = 0; role < ROLES; role++) lexicon->list[role].used = 0;
  uint32_t stamp = ++lexicon->learnt;
  int untold = 0;
  for (size_t i = 0; i < lexicon->pieces.count; i++) {
    int64_t form = form_of_part(lexicon, &lexicon->pieces, i);
    int64_t term = form < 0 || !lexicon->pieces.part[i].inflected ? form : term_of(lexicon, form, same ? COMMON : OWN);
    uint32_t number = (uint32_t)term;
    if (term == -1) return -1;
    if (term == UNTOLD) untold = 1;
    else if (!add(&lexicon->list[TERM], &number, 4)) return -1;
    else form_at(lexicon, term)->termed = stamp;
  }
  for (size_t i = 0; i < lexicon->forms_of_one.count; i++) {
    int64_t form = form_of_part(lexicon, &lexicon->forms_of_one, i);
    if (form < 0) return -1;
    Form *one = form_at(lexicon, form);
    if (one->noted == stamp) continue;
    one->noted = stamp;
    int64_t term = term_of(lexicon, form, COMMON);
    uint32_t pair[] = {(uint32_t)form, (uint32_t)term};
    if (term == -1) return -1;
    if (term == UNTOLD) {
      untold = 1;
      continue;
    }
    one = form_at(lexicon, form);
    if (worth_telling(lexicon->strings.bytes + one->at, one->length) && !add(&lexicon->list[TOLD], pair, 4)) return -1;
    if (form_at(lexicon, term)->termed != stamp && !add(&lexicon->list[PLAIN], pair, sizeof pair)) return -1;
  }
  return untold ? UNTOLD : 0;
}

/* Remembers a word whose forms are in `lexicon->list`. 0 without memory. */
static int remember(Lexicon *lexicon, const uint32_t *text, uint32_t length) {
  Word word = {.hash = hash_of(lexicon, text, length), .length = length};
  word.forms = (uint32_t)(lexicon->numbers.used / 4);
  for (int role = 0; role < ROLES; role++) {
    Buffer *list = &lexicon->list[role];
    word.number[role] = (uint32_t)(list->used / 4);
    if (!add(&lexicon->numbers, list->bytes, list->used)) return 0;
  }
  word.at = (uint32_t)(lexicon->keys.used / 4);
  word.terms = (uint32_t)lexicon->strings.used;
  word.count = word.number[TERM];
  for (uint32_t i = 0; i < word.count; i++) {
    Form form = *form_at(lexicon, ((const uint32_t *)lexicon->list[TERM].bytes)[i]);
    uint8_t *place = more(&lexicon->strings, (size_t)form.length + (i > 0));
    if (!place) return 0;
    if (i) *place++ = ' ';
    memcpy(place, lexicon->strings.bytes + form.at, form.length);
  }
  word.terms_length = (uint32_t)(lexicon->strings.used - word.terms);
  return add(&lexicon->keys, text, 4 * (size_t)length) && add(&lexicon->word, &word, sizeof word) &&
         enter(&lexicon->words, &lexicon->word, sizeof word, word.hash);
}

typedef struct {
  const uint8_t *asked[LANGUAGES]; /* forms whose terms are to be told, with a blank after each */
  int32_t lengths[LANGUAGES];
  const int32_t *unknown; /* as in `Taken`: those that are none of ASCII */
  int32_t left;
} Learnt;

/* Remembers the words of ASCII that `localsearch_lexicon_take` has just not known in a text. Returns how many terms have to
 * be told first, after which it is to be called again; NO_MEMORY. */
EXPORTED int32_t localsearch_lexicon_learn(Lexicon *lexicon, const uint32_t *text, int32_t same, Learnt *learnt) {
  size_t kept = 0, count = lexicon->unknown.used / 8;
  lexicon->questions.used = 0;
  for (int language = 0; language < LANGUAGES; language++) lexicon->asked[language].used = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t place[2];
    memcpy(place, lexicon->unknown.bytes + 8 * i, sizeof place);
    const uint32_t *word = text + place[0];
    uint32_t length = (uint32_t)(place[1] - place[0]), at = 0;
    lexicon->ascii.used = 0;
    uint8_t *ascii = more(&lexicon->ascii, length);
    if (!ascii) return NO_MEMORY;
    for (; at < length && word[at] < 0x80; at++) ascii[at] = (uint8_t)word[at];
    int64_t done = UNTOLD;
    if (at == length) {
      if (known(lexicon, hash_of(lexicon, word, length), word, length)) continue;
      done = forms_of_word(lexicon, (const char *)ascii, length, same);
      if (done == -1 || (!done && !remember(lexicon, word, length))) return NO_MEMORY;
    }
    if (done) memcpy(lexicon->unknown.bytes + 8 * kept++, place, sizeof place);
  }
  lexicon->unknown.used = 8 * kept;
  for (int language = 0; language < LANGUAGES; language++) {
    learnt->asked[language] = lexicon->asked[language].bytes;
    learnt->lengths[language] = (int32_t)lexicon->asked[language].used;
  }
  learnt->unknown = (const int32_t *)lexicon->unknown.bytes;
  learnt->left = (int32_t)kept;
  return (int32_t)(lexicon->questions.used / 8);
}

/* Tells the terms that were asked for in each language, in that order with a blank after each. Returns how many were told;
 * NO_MEMORY. */
EXPORTED int32_t localsearch_lexicon_tell(Lexicon *lexicon, const char *own, const char *common) {
  const char *terms[] = {own, common};
  int32_t told = 0;
  for (size_t i = 0; i < lexicon->questions.used / 8; i++) {
    uint32_t question[2];
    memcpy(question, lexicon->questions.bytes + 8 * i, sizeof question);
    const char *at = terms[question[1]], *end = strchr(at, ' ');
    if (!end || end == at) break;
    int64_t term = form_of(lexicon, at, (uint32_t)(end - at));
    if (term < 0) return NO_MEMORY;
    form_at(lexicon, question[0])->term[question[1]] = (uint32_t)term + 1;
    terms[question[1]] = end + 1;
    told++;
  }
  for (size_t i = (size_t)told; i < lexicon->questions.used / 8; i++) {
    uint32_t question[2];
    memcpy(question, lexicon->questions.bytes + 8 * i, sizeof question);
    form_at(lexicon, question[0])->term[question[1]] = 0;
  }
  lexicon->questions.used = 0;
  return told;
}

/* Appends a string after a blank. */
INLINE int append(Buffer *out, const uint8_t *string, uint32_t length) {
  uint8_t *place = more(out, (size_t)length + 1);
  if (!place) return 0;
  *place = ' ';
  memcpy(place + 1, string, length);
  return 1;
}

/* Appends a form, unless this text has had it in this role. */
INLINE int append_once(Lexicon *lexicon, Form *form, int role) {
  if (form->seen[role] == lexicon->text) return 1;
  form->seen[role] = lexicon->text;
  return append(&lexicon->out[role], lexicon->strings.bytes + form->at, form->length);
}

/* Appends the terms of a word and what is worth telling of it, and keeps its plain forms for `tell_plain`. */
static int tell(Lexicon *lexicon, Word *word) {
  if (word->count && !append(&lexicon->out[TERM], lexicon->strings.bytes + word->terms, word->terms_length)) return 0;
  if (word->seen == lexicon->text) return 1;
  word->seen = lexicon->text;
  Form *forms = (Form *)lexicon->form.bytes;
  const uint32_t *number = (const uint32_t *)lexicon->numbers.bytes + word->forms;
  for (uint32_t i = 0; i < word->number[TERM]; i++) forms[*number++].seen[TERM] = lexicon->text;
  for (uint32_t i = 0; i < word->number[TOLD]; i++)
    if (!append_once(lexicon, forms + *number++, TOLD)) return 0;
  return !word->number[PLAIN] || add(&lexicon->plain, number, 4 * (size_t)word->number[PLAIN]);
}

/* Appends the plain forms whose stem is no term of the text. */
static int tell_plain(Lexicon *lexicon) {
  Form *forms = (Form *)lexicon->form.bytes;
  const uint32_t *number = (const uint32_t *)lexicon->plain.bytes;
  for (size_t i = 0; i + 1 < lexicon->plain.used / 4; i += 2)
    if (forms[number[i + 1]].seen[TERM] != lexicon->text && !append_once(lexicon, forms + number[i], PLAIN)) return 0;
  return 1;
}

typedef struct {
  const uint8_t *kinds;
  const uint32_t *text;
  int32_t length;
} Text;

INLINE int between(uint32_t c, uint32_t first, uint32_t last) { return c - first <= last - first; }

INLINE uint32_t kind(const Text *text, int32_t at) {
  return at >= 0 && at < text->length ? text->kinds[text->text[at]] : 0;
}

/* What the sign at a place, which is no part of a word, may begin or hold together. */
INLINE int across(const Text *text, int32_t at) {
  uint32_t c = text->text[at], now = text->kinds[c], before = kind(text, at - 1), after = kind(text, at + 1);
  int found = 0;
  if (now & GROUPING && before & after & DIGIT &&
      (c == '.' || c == ',' || kind(text, at + 2) & kind(text, at + 3) & DIGIT))
    found |= AMOUNTS;
  if (now & MIDDLE && before & after & WORD) found |= CHAINS;
  if (c == '.' && !(before & WORD) && after & WORD) found |= DOTTED;
  if ((c == '-' || c == 0x2212) && !(before & WORD) &&
      (after & WORD || (at + 1 < text->length && text->text[at + 1] == '-')))
    found |= DASHED;
  return found;
}

/* Whether a stretch is digits, points and commas: as a word it is asked whether it is an amount. */
INLINE int is_number(const Text *text, int32_t at, int32_t end) {
  while (at < end && (kind(text, at) & DIGIT || text->text[at] == '.' || text->text[at] == ',')) at++;
  return at == end;
}

/* Whether no amount begins in a word, which one does at its start or after a hyphen that is none of ASCII. */
INLINE int may_not_begin_amount(const Text *text, int32_t at, int32_t end) {
  if (kind(text, at) & DIGIT) return 0;
  while (at < end && !between(text->text[at], 0x2010, 0x2011) && text->text[at] < 0xff00) at++;
  return at == end;
}

/* Where the word ends that begins at `start`. */
INLINE int32_t end_of(const Text *text, int32_t start, int *found) {
  int32_t at = start;
  int own = 0;
  while (kind(text, at) & WORD) at++;
  for (;;) {
    if (kind(text, at) & JOINER && kind(text, at + 1) & WORD) {
      own |= across(text, at++);
      while (kind(text, at) & WORD) at++;
    } else if (at < text->length && text->text[at] == ',' &&
               kind(text, at - 1) & kind(text, at + 1) & kind(text, at + 2) & kind(text, at + 3) & DIGIT) {
      own |= across(text, at++);
      while (kind(text, at) & DIGIT) at++;
    } else {
      break;
    }
  }
  int32_t end = at;
  if (at + 1 < text->length && text->text[at] == '+' && text->text[at + 1] == '+') end = at + 2;
  else if (at < text->length && text->text[at] == '#') end = at + 1;
  if (own & AMOUNTS && (may_not_begin_amount(text, start, at) || (end == at && is_number(text, start, at)))) own &= ~AMOUNTS;
  *found |= own;
  return end;
}

/* Takes a text apart. Returns the number of its words that are not known, each as often as it stands there: they are to
 * be put in, and the text taken apart again; only with 0 is the rest of `taken` told. */
EXPORTED int32_t localsearch_lexicon_take(Lexicon *lexicon, const uint32_t *characters, int32_t length, Taken *taken) {
  Text text = {lexicon->kinds, characters, length};
  uint32_t seen = 0;
  for (int32_t i = 0; i < length; i++) {
    if (characters[i] >= KINDS) return REFUSED;
    seen |= lexicon->kinds[characters[i]];
  }
  if (seen & SPECIAL) return REFUSED;
  if (!++lexicon->text) return NO_MEMORY; /* as many texts as there are numbers */
  for (int role = 0; role < ROLES; role++) lexicon->out[role].used = 0;
  lexicon->plain.used = lexicon->unknown.used = 0;
  int found = seen & SIGN ? SIGNS : 0;
  int32_t count = 0, unknown = 0;
  for (int32_t at = 0; at < length;) {
    if (!(lexicon->kinds[characters[at]] & WORD)) {
      found |= across(&text, at++);
      continue;
    }
    int32_t start = at;
    at = end_of(&text, at, &found);
    Word *word = known(lexicon, hash_of(lexicon, characters + start, (uint32_t)(at - start)), characters + start,
                       (uint32_t)(at - start));
    if (!word) {
      int32_t place[] = {start, at};
      if (!add(&lexicon->unknown, place, sizeof place)) return NO_MEMORY;
      unknown++;
    } else if (!unknown) {
      if (!tell(lexicon, word)) return NO_MEMORY;
      count += (int32_t)word->count;
    }
  }
  if (!tell_plain(lexicon)) return NO_MEMORY;
  lexicon->told.used = 0;
  for (int role = 0; role < ROLES; role++) {
    const Buffer *out = &lexicon->out[role];
    if (role && !add(&lexicon->told, "\n", 1)) return NO_MEMORY;
    if (out->used && !add(&lexicon->told, out->bytes + 1, out->used - 1)) return NO_MEMORY; /* without the first blank */
  }
  taken->strings = lexicon->told.bytes;
  taken->length = (int32_t)lexicon->told.used;
  taken->count = count;
  taken->across = found;
  taken->unknown = (const int32_t *)lexicon->unknown.bytes;
  return unknown;
}
