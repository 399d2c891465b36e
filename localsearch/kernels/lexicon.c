/* A memory of words and of what an index holds of each, so that texts are taken apart with it in one pass.
 *
 * Texts are UTF-16, strings that come out UTF-8, with one blank between each two. Not for two threads at once.
 */
#include "lexicon.h"

/* The seed makes it a secret which words meet in one slot. */
INLINE uint64_t mix(uint64_t hash, uint64_t next) {
  hash = (hash ^ next) * 0x9fb21c651e98df25u;
  return hash ^ (hash >> 32);
}

INLINE uint64_t eight(const void *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

static int grow(Table *table, const uint8_t *entries, size_t size) {
  uint32_t mask = table->mask ? 2 * table->mask + 1 : 1023;
  uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);
  if (!slots) return 0;
  for (uint32_t i = 0; i < table->used; i++) {
    uint32_t at = (uint32_t)eight(entries + i * size) & mask; /* the hash is the first member of both */
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

int64_t lexicon_form(Lexicon *lexicon, const char *string, size_t length) {
  uint64_t hash = lexicon->seed;
  for (size_t i = 0; i < length; i++) hash = mix(hash, (uint8_t)string[i]);
  const Table *table = &lexicon->forms;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
    const Form *form = form_at(lexicon, table->slots[at] - 1);
    if (form->hash == hash && form->length == length && !memcmp(string_of(lexicon, form), string, length))
      return table->slots[at] - 1;
  }
  Form made = {.hash = hash, .at = (uint32_t)lexicon->strings.used, .length = (uint32_t)length};
  if (!add(&lexicon->strings, string, length) || !add(&lexicon->form, &made, sizeof made)) return -1;
  if (!enter(&lexicon->forms, &lexicon->form, sizeof made, hash)) return -1;
  return lexicon->forms.used - 1;
}

/* Four characters of a word; zeros in place of those after its end. */
INLINE uint64_t four(const uint16_t *text, size_t left) {
  return left >= 4 ? eight(text) : eight(text) & ((1ull << 16 * left) - 1);
}

INLINE int same(const uint8_t *key, const uint16_t *text, size_t length) {
  for (size_t at = 0; at < length; at += 4)
    if (eight(key + 2 * at) != four(text + at, length - at)) return 0;
  return 1;
}

/* A key is as long as whole fours, so that it is compared by them. */
static int64_t make(Lexicon *lexicon, uint64_t hash, uint32_t kind, const uint16_t *text, size_t length) {
  Word word = {.hash = hash, .at = (uint32_t)lexicon->keys.used, .length = (uint32_t)length, .kind = kind};
  for (size_t at = 0; at < length; at += 4) {
    uint64_t next = four(text + at, length - at);
    if (!add(&lexicon->keys, &next, sizeof next)) return -1;
  }
  if (!add(&lexicon->word, &word, sizeof word) || !enter(&lexicon->words, &lexicon->word, sizeof word, hash)) return -1;
  return lexicon->words.used - 1;
}

int64_t lexicon_word(Lexicon *lexicon, uint32_t kind, const uint16_t *text, size_t length) {
  uint64_t hash = lexicon->seed + kind;
  for (size_t at = 0; at < length; at += 4) hash = mix(hash, four(text + at, length - at));
  hash = mix(hash, length);
  const Table *table = &lexicon->words;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at]; at = (at + 1) & table->mask) {
    const Word *word = word_at(lexicon, table->slots[at] - 1);
    if (word->hash == hash && word->length == length && word->kind == kind &&
        same(lexicon->keys.bytes + word->at, text, length))
      return table->slots[at] - 1;
  }
  return make(lexicon, hash, kind, text, length);
}

EXPORTED void localsearch_lexicon_end(Lexicon *lexicon) {
  if (!lexicon) return;
  Buffer *buffers[] = {&lexicon->word, &lexicon->form, &lexicon->keys, &lexicon->strings, &lexicon->numbers,
                       &lexicon->texts, &lexicon->found, &lexicon->unknown, &lexicon->questions, &lexicon->pending,
                       &lexicon->ascii, &lexicon->pairs, &lexicon->sorted, &lexicon->given, &lexicon->ends};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->bytes);
  for (int language = 0; language < LANGUAGES; language++) free(lexicon->asked[language].bytes);
  for (int role = 0; role < ROLES; role++) {
    free(lexicon->list[role].bytes);
    free(lexicon->out[role].bytes);
  }
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

/* Bytes of what is remembered; more than there can be of what has counted its texts and words too far. */
EXPORTED int64_t localsearch_lexicon_size(const Lexicon *lexicon) {
  if (lexicon->stamps > UINT32_MAX / 2) return INT64_MAX;
  return (int64_t)(lexicon->word.used + lexicon->form.used + lexicon->keys.used + lexicon->strings.used +
                   lexicon->numbers.used);
}
