/* A memory of words and of what an index holds of each, so that texts are taken apart with it in one pass.
 *
 * Texts and strings are UTF-8, words here UTF-16. Not for two threads at once.
 */
#include "lexicon.h"

/* The seed makes it a secret which words meet in one slot. */
INLINE uint64_t mix(uint64_t hash, uint64_t next) {
  hash = (hash ^ next) * 0x9fb21c651e98df25u;
  return hash ^ (hash >> 32);
}

INLINE void set(Table *table, Slot slot) {
  uint32_t at = slot.hash & table->mask;
  while (table->slots[at].number) at = (at + 1) & table->mask;
  table->slots[at] = slot;
}

static int grow(Table *table) {
  Table grown = {.mask = table->mask ? 2 * table->mask + 1 : 1023, .used = table->used};
  grown.slots = calloc((size_t)grown.mask + 1, sizeof *grown.slots);
  if (!grown.slots) return 0;
  for (uint32_t i = 0; table->slots && i <= table->mask; i++)
    if (table->slots[i].number) set(&grown, table->slots[i]);
  free(table->slots);
  *table = grown;
  return 1;
}

/* Whether there is a slot for one more entry, made if need be: none is added without. */
static int ready(Table *table) { return 2 * (table->used + 1) <= table->mask || grow(table); }

/* Gives a new entry, which was added last, its slot. Returns its number. */
static int64_t enter(Table *table, uint64_t hash) {
  set(table, (Slot){(uint32_t)hash, ++table->used});
  return table->used - 1;
}

static uint64_t hash_of(uint64_t seed, const char *string, size_t length) {
  uint64_t hash = seed, rest = 0;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) hash = mix(hash, eight(string + at));
  memcpy(&rest, string + at, length - at);
  return mix(mix(hash, rest), length);
}

int64_t lexicon_form(Lexicon *lexicon, const char *string, size_t length) {
  uint64_t hash = hash_of(lexicon->seed, string, length);
  const Table *table = &lexicon->forms;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at].number; at = (at + 1) & table->mask) {
    if (table->slots[at].hash != (uint32_t)hash) continue;
    const Form *form = form_at(lexicon, table->slots[at].number - 1);
    if (form->length == length && !memcmp(string_of(lexicon, form), string, length)) return table->slots[at].number - 1;
  }
  Form made = {.at = (uint32_t)lexicon->strings.used, .length = (uint32_t)length};
  if (!ready(&lexicon->forms) || !add(&lexicon->strings, string, length)) return -1;
  if (!add(&lexicon->form, &made, sizeof made)) return -1;
  return enter(&lexicon->forms, hash);
}

/* Four characters of a word; zeros in place of those after its end. */
INLINE uint64_t four(const uint16_t *text, size_t length, size_t at) {
  if (at + 4 <= length) return eight(text + at);
  return at < length ? eight(text + at) & ((1ull << 16 * (length - at)) - 1) : 0;
}

/* Whether two words are the same after their first eight characters. */
static int same(const uint8_t *key, const uint16_t *text, size_t length) {
  for (size_t at = 8; at < length; at += 4)
    if (eight(key + 2 * at) != four(text, length, at)) return 0;
  return 1;
}

/* A key is as long as whole fours, so that it is compared by them. */
static int64_t make(Lexicon *lexicon, uint64_t hash, Word word, const uint16_t *text) {
  word.at = (uint32_t)lexicon->keys.used;
  for (size_t at = 0; at < word.length; at += 4) {
    uint64_t next = four(text, word.length, at);
    if (!add(&lexicon->keys, &next, sizeof next)) return -1;
  }
  if (!ready(&lexicon->words) || !add(&lexicon->word, &word, sizeof word)) return -1;
  return enter(&lexicon->words, hash);
}

int64_t lexicon_word(Lexicon *lexicon, uint32_t kind, const uint16_t *text, size_t length) {
  Word made = {.start = {four(text, length, 0), four(text, length, 4)}, .length = (uint32_t)length, .kind = kind};
  uint64_t hash = mix(mix(lexicon->seed + kind, made.start[0]), made.start[1]);
  for (size_t at = 8; at < length; at += 4) hash = mix(hash, four(text, length, at));
  hash = mix(hash, length);
  const Table *table = &lexicon->words;
  for (uint32_t at = (uint32_t)hash & table->mask; table->slots[at].number; at = (at + 1) & table->mask) {
    if (table->slots[at].hash != (uint32_t)hash) continue;
    const Word *word = word_at(lexicon, table->slots[at].number - 1);
    if (word->start[0] == made.start[0] && word->start[1] == made.start[1] && word->length == length &&
        word->kind == kind && same(lexicon->keys.bytes + word->at, text, length))
      return table->slots[at].number - 1;
  }
  return make(lexicon, hash, made, text);
}

EXPORTED void localsearch_lexicon_end(Lexicon *lexicon) {
  if (!lexicon) return;
  Buffer *buffers[] = {&lexicon->word, &lexicon->form, &lexicon->keys, &lexicon->strings, &lexicon->numbers,
                       &lexicon->wide, &lexicon->texts, &lexicon->found, &lexicon->unknown, &lexicon->questions, &lexicon->pending,
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
  if (grow(&lexicon->words) && grow(&lexicon->forms)) return lexicon;
  localsearch_lexicon_end(lexicon);
  return NULL;
}

/* Bytes of what is remembered; more than there can be of what has counted its texts and words too far. */
EXPORTED int64_t localsearch_lexicon_size(const Lexicon *lexicon) {
  if (lexicon->stamps > UINT32_MAX / 2) return INT64_MAX;
  return (int64_t)(lexicon->word.used + lexicon->form.used + lexicon->keys.used + lexicon->strings.used +
                   lexicon->numbers.used);
}
