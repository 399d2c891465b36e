/* A memory of words and of what an index holds of each: what lexicon.c keeps, learnt.c adds, read.c finds and given.c tells. */
#ifndef LOCALSEARCH_LEXICON_H
#define LOCALSEARCH_LEXICON_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

enum { KINDS = 0x10000, NO_MEMORY = -2 };

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
  uint32_t at, length;
  uint32_t seen[ROLES];
  uint32_t noted, termed;
  uint32_t term[LANGUAGES];
} Form;

#define ASKED UINT32_MAX

/* A word, or by another `kind` what is no single word: its characters in `keys`, and the first eight here, where they are
 * compared; its terms in `strings`, each with a blank after it, and from `forms` on in `numbers` its forms, role by role. Of
 * one that is not learnt there are no terms and forms. `seen` is the last text that had it, `asked` the last reading that
 * did not know it. */
typedef struct {
  uint64_t start[2];
  uint32_t length, kind, learnt, asked;
  uint32_t terms, terms_length;
  uint32_t forms, number[ROLES];
  uint32_t seen, at;
} Word;

typedef struct {
  uint32_t hash, number; /* 1 + that of an entry; 0 is free */
} Slot;

typedef struct {
  Slot *slots;
  uint32_t mask, used;
} Table;

/* A word that is not learnt, and its characters, which are told only with `Learnt`. */
typedef struct {
  const uint8_t *key;
  int64_t length;
  uint32_t number, kind;
} Unknown;

/* Words from `first` to `end` in `found`, with LINE_END after each line of what is told about another text; none of a text
 * that was `refused`. */
typedef struct {
  size_t first, end;
  uint32_t refused, empty;
} Text;

#define LINE_END UINT32_MAX

typedef struct {
  uint8_t kinds[KINDS];
  uint64_t seed;
  Table words, forms;
  Buffer word, form, keys, strings, numbers;        /* what is remembered */
  Buffer wide, texts, found, unknown;               /* what was read */
  Buffer asked[LANGUAGES], questions, list[ROLES], pending, ascii; /* what is learnt */
  Buffer pairs, out[ROLES], sorted, given, ends;    /* what is told */
  Parts pieces, forms_of_one;
  uint32_t stamps, reading;
} Lexicon;

/* Room for so many bytes more; NULL without memory. No buffer outgrows the numbers of 32 bits that lead into it. */
INLINE uint8_t *more(Buffer *buffer, size_t count) {
  if (buffer->used + count > buffer->room) {
    size_t room = 2 * (buffer->used + count) + 256;
    uint8_t *bytes = buffer->used + count > INT32_MAX ? NULL : realloc(buffer->bytes, room);
    if (!bytes) return NULL;
    buffer->bytes = bytes;
    buffer->room = room;
  }
  uint8_t *place = buffer->bytes + buffer->used;
  buffer->used += count;
  return place;
}

INLINE int add(Buffer *buffer, const void *what, size_t count) {
  if (!count) return 1; /* a buffer that holds nothing yet has no place */
  uint8_t *place = more(buffer, count);
  if (place) memcpy(place, what, count);
  return place != NULL;
}

/* Appends a string and a blank. */
INLINE int append(Buffer *out, const uint8_t *string, size_t length) {
  uint8_t *place = more(out, length + 1);
  if (!place) return 0;
  memcpy(place, string, length);
  place[length] = ' ';
  return 1;
}

INLINE uint64_t eight(const void *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

INLINE Form *form_at(const Lexicon *lexicon, int64_t number) { return (Form *)lexicon->form.bytes + number; }
INLINE Word *word_at(const Lexicon *lexicon, int64_t number) { return (Word *)lexicon->word.bytes + number; }
INLINE const uint8_t *string_of(const Lexicon *lexicon, const Form *form) { return lexicon->strings.bytes + form->at; }

/* The number of a form, which is made where it is new; -1 without memory. */
int64_t lexicon_form(Lexicon *lexicon, const char *string, size_t length);

/* The number of a word, which is made, but not learnt, where it is new; -1 without memory. What stands after its end may be
 * read up to three characters. */
int64_t lexicon_word(Lexicon *lexicon, uint32_t kind, const uint16_t *text, size_t length);

#endif
