/* What an index holds of a word, learnt: of words of ASCII here, but for their terms, which the caller tells; of others by
 * the caller.
 */
#include "across.h"
#include "lexicon.h"

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

/* Whether a form is its own term: a name, or what has no letter. */
static int is_own_term(const Lexicon *lexicon, const Form *form) {
  const uint8_t *string = string_of(lexicon, form);
  return is_name(string, form->length) || !has_letter(string, form->length);
}

/* Asks for the term of a form in a language, unless it is known or asked for. 0 without memory. */
static int ask(Lexicon *lexicon, uint32_t number, uint32_t language) {
  Form *form = form_at(lexicon, number);
  if (form->term[language]) return 1;
  if (is_own_term(lexicon, form)) {
    form->term[language] = number + 1;
    return 1;
  }
  uint32_t question[] = {number, language};
  if (!append(&lexicon->asked[language], string_of(lexicon, form), form->length)) return 0;
  if (!add(&lexicon->questions, question, sizeof question)) return 0;
  form->term[language] = ASKED;
  return 1;
}

/* A word whose terms were asked for; its pieces and forms follow it in `pending`, a piece as 2 * its form + whether it has
 * a term. */
typedef struct {
  Unknown unknown;
  uint32_t pieces, forms;
} Pending;

static int add_pieces(Lexicon *lexicon, uint32_t language) {
  for (size_t i = 0; i < lexicon->pieces.count; i++) {
    Part part = lexicon->pieces.part[i];
    int64_t form = lexicon_form(lexicon, lexicon->pieces.bytes + part.at, part.length);
    uint32_t piece = 2 * (uint32_t)form + (part.inflected != 0);
    if (form < 0 || !add(&lexicon->pending, &piece, sizeof piece)) return 0;
    if (part.inflected && !ask(lexicon, (uint32_t)form, language)) return 0;
  }
  return 1;
}

/* Adds each form once. */
static int add_forms(Lexicon *lexicon) {
  uint32_t stamp = ++lexicon->stamps;
  for (size_t i = 0; i < lexicon->forms_of_one.count; i++) {
    Part part = lexicon->forms_of_one.part[i];
    int64_t found = lexicon_form(lexicon, lexicon->forms_of_one.bytes + part.at, part.length);
    uint32_t form = (uint32_t)found;
    if (found < 0) return 0;
    if (form_at(lexicon, form)->noted == stamp) continue;
    form_at(lexicon, form)->noted = stamp;
    if (!add(&lexicon->pending, &form, sizeof form) || !ask(lexicon, form, COMMON)) return 0;
  }
  return 1;
}

/* Makes the pieces and the forms of what is in `lexicon->ascii`; what is no single word has no pieces. 0 without memory. */
static int make_parts(Lexicon *lexicon, uint32_t kind) {
  const char *word = (const char *)lexicon->ascii.bytes;
  size_t length = lexicon->ascii.used;
  lexicon->pieces.count = 0;
  if (kind != SINGLE) return parts_across(&lexicon->forms_of_one, kind, word, length);
  return parts_pieces(&lexicon->pieces, word, length) && parts_forms(&lexicon->forms_of_one, word, length);
}

/* Takes apart what is in `lexicon->ascii` and asks for its terms. 0 without memory. */
static int take_apart(Lexicon *lexicon, const Unknown *unknown, uint32_t language) {
  size_t start = lexicon->pending.used;
  Pending pending = {.unknown = *unknown};
  if (!make_parts(lexicon, unknown->kind)) return 0;
  if (!add(&lexicon->pending, &pending, sizeof pending) || !add_pieces(lexicon, language)) return 0;
  size_t middle = lexicon->pending.used;
  if (!add_forms(lexicon)) return 0;
  pending.pieces = (uint32_t)((middle - start - sizeof pending) / 4);
  pending.forms = (uint32_t)((lexicon->pending.used - middle) / 4);
  memcpy(lexicon->pending.bytes + start, &pending, sizeof pending);
  return 1;
}

/* Whether a word is of ASCII; if so, it is written to `lexicon->ascii`. -1 without memory. */
static int is_ascii(Lexicon *lexicon, const Word *word) {
  const uint8_t *key = lexicon->keys.bytes + word->at;
  lexicon->ascii.used = 0;
  uint8_t *ascii = more(&lexicon->ascii, word->length);
  if (!ascii) return -1;
  for (uint32_t at = 0; at < word->length; at++) {
    if (key[2 * at + 1] || key[2 * at] >= 0x80) return 0;
    ascii[at] = key[2 * at];
  }
  return 1;
}

typedef struct {
  const uint8_t *asked[LANGUAGES]; /* forms whose terms are to be told, with a blank after each */
  int64_t lengths[LANGUAGES];
  const Unknown *unknown; /* once these are told: what the caller is to put in */
  int64_t left;
} Learnt;

static void tell_left(Lexicon *lexicon, Learnt *learnt) {
  Unknown *unknown = (Unknown *)lexicon->unknown.bytes;
  learnt->unknown = unknown;
  learnt->left = (int64_t)(lexicon->unknown.used / sizeof *unknown);
  for (int64_t i = 0; i < learnt->left; i++) {
    const Word *word = word_at(lexicon, unknown[i].number);
    unknown[i].key = lexicon->keys.bytes + word->at;
    unknown[i].length = 2 * (int64_t)word->length;
  }
}

/* Takes the terms that were asked for, in that order with a blank after each; what has none may be asked for again. */
static int take_terms(Lexicon *lexicon, const char *own, const char *common) {
  const char *terms[] = {own, common};
  int done = 1;
  for (size_t i = 0; i < lexicon->questions.used / 8; i++) {
    uint32_t question[2];
    memcpy(question, lexicon->questions.bytes + 8 * i, sizeof question);
    const char *at = terms[question[1]], *end = strchr(at, ' ');
    int64_t term = end && end > at ? lexicon_form(lexicon, at, (size_t)(end - at)) : -1;
    if (end && end > at && term < 0) done = 0;
    form_at(lexicon, question[0])->term[question[1]] = (uint32_t)(term + 1);
    if (end) terms[question[1]] = end + 1;
  }
  lexicon->questions.used = 0;
  return done;
}

/* Begins to learn what `localsearch_lexicon_read` has just not known. `same` is whether the texts' language has
 * the terms of the default one. Returns how many terms have to be told; NO_MEMORY. */
EXPORTED int64_t localsearch_lexicon_learn(Lexicon *lexicon, int32_t same, Learnt *learnt) {
  size_t kept = 0;
  take_terms(lexicon, "", ""); /* those that were asked for and never told */
  lexicon->pending.used = 0;
  for (int language = 0; language < LANGUAGES; language++) lexicon->asked[language].used = 0;
  for (size_t at = 0; at < lexicon->unknown.used; at += sizeof(Unknown)) {
    Unknown unknown;
    memcpy(&unknown, lexicon->unknown.bytes + at, sizeof unknown);
    int ascii = is_ascii(lexicon, word_at(lexicon, unknown.number));
    if (ascii < 0 || (ascii && !take_apart(lexicon, &unknown, same ? COMMON : OWN))) return NO_MEMORY;
    if (ascii) continue;
    memcpy(lexicon->unknown.bytes + kept, &unknown, sizeof unknown);
    kept += sizeof unknown;
  }
  lexicon->unknown.used = kept;
  for (int language = 0; language < LANGUAGES; language++) {
    learnt->asked[language] = lexicon->asked[language].bytes;
    learnt->lengths[language] = (int64_t)lexicon->asked[language].used;
  }
  return (int64_t)(lexicon->questions.used / 8);
}

/* Puts the terms of a word into `lexicon->list`. Whether all are told; -1 without memory. */
static int list_terms(Lexicon *lexicon, const uint32_t *pieces, uint32_t count, uint32_t language, uint32_t stamp) {
  for (uint32_t i = 0; i < count; i++) {
    uint32_t form = pieces[i] / 2, term = pieces[i] % 2 ? form_at(lexicon, form)->term[language] - 1 : form;
    if (term == UINT32_MAX) return 0;
    if (!add(&lexicon->list[TERM], &term, sizeof term)) return -1;
    form_at(lexicon, term)->termed = stamp;
  }
  return 1;
}

/* Puts what is worth telling of a word into `lexicon->list`, and its plain forms each before its term. As `list_terms`. */
static int list_forms(Lexicon *lexicon, const uint32_t *forms, uint32_t count, uint32_t stamp) {
  for (uint32_t i = 0; i < count; i++) {
    const Form *form = form_at(lexicon, forms[i]);
    uint32_t pair[] = {forms[i], form->term[COMMON] - 1};
    if (pair[1] == UINT32_MAX) return 0;
    if (worth_telling(string_of(lexicon, form), form->length) && !add(&lexicon->list[TOLD], pair, 4)) return -1;
    if (form_at(lexicon, pair[1])->termed != stamp && !add(&lexicon->list[PLAIN], pair, sizeof pair)) return -1;
  }
  return 1;
}

/* Remembers of a word what is in `lexicon->list`. 0 without memory. */
static int remember(Lexicon *lexicon, uint32_t number) {
  Word *word = word_at(lexicon, number);
  word->forms = (uint32_t)(lexicon->numbers.used / 4);
  word->terms = (uint32_t)lexicon->strings.used;
  for (int role = 0; role < ROLES; role++) {
    Buffer *list = &lexicon->list[role];
    word->number[role] = (uint32_t)(list->used / 4);
    if (!add(&lexicon->numbers, list->bytes, list->used)) return 0;
  }
  for (uint32_t i = 0; i < word->number[TERM]; i++) {
    Form form = *form_at(lexicon, ((const uint32_t *)lexicon->list[TERM].bytes)[i]);
    uint8_t *place = more(&lexicon->strings, (size_t)form.length + 1);
    if (!place) return 0;
    memcpy(place, lexicon->strings.bytes + form.at, form.length);
    place[form.length] = ' ';
  }
  word->terms_length = (uint32_t)(lexicon->strings.used - word->terms);
  word->learnt = 1;
  return 1;
}

static void clear_lists(Lexicon *lexicon) {
  for (int role = 0; role < ROLES; role++) lexicon->list[role].used = 0;
}

/* Ends what `localsearch_lexicon_learn` began, with the terms in each language. A word of which one is missing is left to
 * the caller too. NO_MEMORY, or 0. */
EXPORTED int32_t localsearch_lexicon_tell(Lexicon *lexicon, int32_t same, const char *own, const char *common,
                                          Learnt *learnt) {
  if (!take_terms(lexicon, own, common)) return NO_MEMORY;
  for (size_t at = 0; at < lexicon->pending.used;) {
    Pending pending;
    memcpy(&pending, lexicon->pending.bytes + at, sizeof pending);
    const uint32_t *pieces = (const uint32_t *)(lexicon->pending.bytes + at + sizeof pending);
    uint32_t stamp = ++lexicon->stamps;
    clear_lists(lexicon);
    int listed = list_terms(lexicon, pieces, pending.pieces, same ? COMMON : OWN, stamp);
    if (listed == 1) listed = list_forms(lexicon, pieces + pending.pieces, pending.forms, stamp);
    if (listed < 0 || (listed && !remember(lexicon, pending.unknown.number))) return NO_MEMORY;
    if (!listed && !add(&lexicon->unknown, &pending.unknown, sizeof pending.unknown)) return NO_MEMORY;
    at += sizeof pending + 4 * ((size_t)pending.pieces + pending.forms);
  }
  tell_left(lexicon, learnt);
  return 0;
}

/* Remembers of a word its terms, what is worth telling, and its plain forms each before its stem; each list has a blank
 * between two. NO_MEMORY, or 0. */
EXPORTED int32_t localsearch_lexicon_put(Lexicon *lexicon, uint32_t number, const char *terms, const char *told,
                                         const char *plain) {
  const char *lists[ROLES] = {terms, told, plain};
  clear_lists(lexicon);
  for (int role = 0; role < ROLES; role++)
    for (const char *at = lists[role]; *at; at += *at == ' ') {
      const char *end = at + strcspn(at, " ");
      int64_t found = lexicon_form(lexicon, at, (size_t)(end - at));
      uint32_t form = (uint32_t)found;
      if (found < 0 || !add(&lexicon->list[role], &form, sizeof form)) return NO_MEMORY;
      at = end;
    }
  return remember(lexicon, number) ? 0 : NO_MEMORY;
}
