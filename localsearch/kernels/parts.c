/* A word of ASCII taken apart: what localsearch/text/pieces.py and plain.py say of it, under the same names.
 *
 * Words are those of PLAIN_WORD: letters, digits and underscores, between which single points, apostrophes and hyphens may
 * stand, and commas between digits; then perhaps ++ or #.
 */
#include "parts.h"

#include "across.h"

#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { MOST_IN_A_ROW = 8 };

typedef struct {
  const char *at;
  size_t length;
} Span;

INLINE int digit(char c) { return c >= '0' && c <= '9'; }
INLINE int small(char c) { return c >= 'a' && c <= 'z'; }
INLINE int capital(char c) { return c >= 'A' && c <= 'Z'; }
INLINE int letter(char c) { return small(c) || capital(c); }
INLINE char lower(char c) { return capital(c) ? (char)(c - 'A' + 'a') : c; }
INLINE char get(Span text, size_t at) { return at < text.length ? text.at[at] : 0; }
INLINE int is_one_of(char c, const char *signs) { return c && strchr(signs, c) != NULL; }
INLINE Span cut(Span text, size_t from, size_t to) { return (Span){text.at + from, to - from}; }

static size_t count_of(Span text, int (*is)(char)) {
  size_t count = 0;
  for (size_t i = 0; i < text.length; i++) count += (size_t)is(text.at[i]);
  return count;
}
static int is_digit(char c) { return digit(c); }
static int is_small(char c) { return small(c); }
static int is_capital(char c) { return capital(c); }
static int is_of_name(char c) { return digit(c) || is_one_of(c, "._+#"); }

static int has(Span text, char sign) { return text.length && memchr(text.at, sign, text.length) != NULL; }
static int all_digits(Span text) { return text.length && count_of(text, is_digit) == text.length; }
static int is_lower(Span text) { return count_of(text, is_small) && !count_of(text, is_capital); }
static int is_upper(Span text) { return count_of(text, is_capital) && !count_of(text, is_small); }

static int is_flat(Span piece) {
  return is_lower(piece) || (piece.length && is_lower(cut(piece, 1, piece.length))) || is_upper(piece);
}

void parts_end(Parts *parts) {
  free(parts->bytes);
  free(parts->scratch);
  free(parts->part);
}

/* Room for all that may come of a word: what is made of it on the way is at most as long as it, four times. */
static char *begin(Parts *parts, size_t length) {
  parts->used = parts->count = 0;
  if (4 * length + 1 > parts->scratch_room) {
    char *scratch = realloc(parts->scratch, 8 * length + 1);
    if (!scratch) return NULL;
    parts->scratch = scratch;
    parts->scratch_room = 8 * length + 1;
  }
  return parts->scratch;
}

/* Appends a part in small letters, cut to LONGEST. */
static int add(Parts *parts, Span text, int inflected) {
  size_t length = text.length < LONGEST ? text.length : LONGEST;
  if (parts->used + length > parts->room) {
    char *bytes = realloc(parts->bytes, 2 * parts->room + 1024);
    if (!bytes) return 0;
    parts->bytes = bytes;
    parts->room = 2 * parts->room + 1024;
  }
  if (parts->count == parts->space) {
    Part *part = realloc(parts->part, (2 * parts->space + 32) * sizeof *part);
    if (!part) return 0;
    parts->part = part;
    parts->space = 2 * parts->space + 32;
  }
  parts->part[parts->count++] = (Part){(uint32_t)parts->used, (uint32_t)length, inflected};
  for (size_t i = 0; i < length; i++) parts->bytes[parts->used++] = lower(text.at[i]);
  return 1;
}

static Span stripped(Span text) {
  while (text.length && text.at[0] == '_') text = cut(text, 1, text.length);
  while (text.length && text.at[text.length - 1] == '_') text.length--;
  return text;
}

static int add_form(Parts *parts, Span text) {
  text = stripped(text);
  return !text.length || add(parts, text, 0);
}

typedef int (*Each)(Parts *, Span, int inflected);

static int each_form(Parts *parts, Span text, int inflected) {
  (void)inflected;
  return add_form(parts, text);
}

/* A text without some signs, written to `place`. */
static Span without(Span text, const char *signs, char *place) {
  size_t length = 0;
  for (size_t i = 0; i < text.length; i++)
    if (!is_one_of(text.at[i], signs)) place[length++] = text.at[i];
  return (Span){place, length};
}

/* The next stretch between some signs, from `*at` on; of no length where two of them meet. 0 at the end. */
static int next(Span text, const char *signs, size_t *at, Span *found) {
  if (*at > text.length) return 0;
  size_t end = *at;
  while (end < text.length && !is_one_of(text.at[end], signs)) end++;
  *found = cut(text, *at, end);
  *at = end + 1;
  return 1;
}

/* Whether a hump of pieces.py begins at `at`. */
static int is_hump(Span text, size_t at) {
  if (at < 1 || !capital(get(text, at))) return 0;
  int next_small = small(get(text, at + 1)) && small(get(text, at + 2));
  if (capital(text.at[at - 1])) return next_small;
  return at >= 2 && small(text.at[at - 1]) && small(text.at[at - 2]) && (next_small || capital(get(text, at + 1)));
}

/* The same of plain.py. */
static int is_plain_hump(Span text, size_t at) {
  if (at < 1 || !capital(get(text, at))) return 0;
  return small(text.at[at - 1]) || (capital(text.at[at - 1]) && small(get(text, at + 1)) && small(get(text, at + 2)));
}

/* What stands between the digits of an amount, a space only between those of no single word. */
#define BETWEEN_DIGITS ".,' "

/* An amount: its numbers as `amounts` of numbers.py has them, at most three, written to `place`. */
static int amounts(Span word, char *place, Span numbers[3]) {
  size_t signs = 0, groups = 0, at = 0;
  for (size_t i = 0; i < word.length; i++) {
    if (!digit(word.at[i]) && !is_one_of(word.at[i], BETWEEN_DIGITS)) return 0;
    signs += (size_t)!digit(word.at[i]);
  }
  if (!signs || !digit(word.at[0])) return 0;
  while (digit(get(word, at))) at++;
  char group = get(word, at);
  if (word.at[0] != '0' && at <= 3)
    while (get(word, at) == group && digit(get(word, at + 1)) && digit(get(word, at + 2)) && digit(get(word, at + 3))) {
      at += 4;
      groups++;
      if (digit(get(word, at))) break; /* more than three */
    }
  int grouped = groups && (at == word.length || (get(word, at) != group && is_one_of(get(word, at), ".,")));
  if (grouped && at < word.length) {
    size_t rest = at + 1;
    while (digit(get(word, rest))) rest++;
    grouped = rest == word.length && rest > at + 1;
  }
  if (!grouped && (signs != 1 || !is_one_of(group, ".,") || !digit(word.at[word.length - 1]))) return 0;
  char decimal = 0;
  for (const char *sign = ".,"; *sign && !decimal; sign++)
    if (!(grouped && *sign == group) && has(word, *sign)) decimal = *sign;
  if (decimal) {
    size_t last = word.length;
    while (word.at[last - 1] != decimal) last--;
    Span whole = without(cut(word, 0, last - 1), BETWEEN_DIGITS, place);
    char *end = place + whole.length;
    *end = '.';
    memcpy(end + 1, word.at + last, word.length - last);
    numbers[0] = (Span){place, whole.length + 1 + word.length - last};
    numbers[1] = whole;
    return 2;
  }
  numbers[0] = without(word, BETWEEN_DIGITS, place);
  size_t first = 0;
  while (word.at[first] != group) first++;
  if (!is_one_of(group, ".,") || word.length - first != 4) return 1;
  char *second = place + numbers[0].length;
  memcpy(second, word.at, word.length);
  second[first] = '.';
  numbers[1] = (Span){second, word.length};
  numbers[2] = cut(word, 0, first);
  return 3;
}

static Span without_apostrophes(Span word, char *place) {
  static const char *const elided[] = {"qu", "jusqu", "lorsqu", "puisqu", "dell", "all", "nell", "sull", "dall", "un", "quest"};
  if (!has(word, '\'')) return word;
  if (word.length >= 2 && word.at[word.length - 1] == 's' && word.at[word.length - 2] == '\'') word.length -= 2;
  size_t first = 0, match = 0;
  while (first < word.length && word.at[first] != '\'') first++;
  if (first + 1 < word.length) {
    match = first == 1 && is_one_of(lower(word.at[0]), "cdjlmnst");
    for (size_t i = 0; i < sizeof elided / sizeof *elided && !match; i++) {
      size_t same = 0;
      while (same < first && elided[i][same] && lower(word.at[same]) == elided[i][same]) same++;
      match = same == first && !elided[i][same];
    }
  }
  if (match) word = cut(word, first + 1, word.length);
  return without(word, "'", place);
}

static int kept_whole(Span word) {
  if (has(word, '_') || has(word, '.') || count_of(word, is_digit)) return 1;
  for (size_t i = 1; i < word.length; i++)
    if (is_hump(word, i)) return 1;
  return 0;
}

/* The parts between joints and at humps, or their number alone where there is no `each`; those that are small numbers only
 * if they are `all` wanted. -1 without memory. */
static long each_part(Parts *parts, Span word, int all, Each each) {
  long count = 0;
  size_t at = 0;
  for (Span piece; next(word, "._-,", &at, &piece);) {
    int flat = is_flat(piece);
    for (size_t start = 0, end = 1; end <= piece.length; end++) {
      if (end < piece.length && (flat || !is_hump(piece, end))) continue;
      Span part = cut(piece, start, end);
      start = end;
      count++;
      if (!each || (!all && count > LONGEST) || (!all && part.length <= 2 && all_digits(part))) continue;
      if (!each(parts, part, !count_of(part, is_of_name))) return -1;
    }
  }
  return count;
}

static int each_piece(Parts *parts, Span word, char *scratch, Each each) {
  char last = word.at[word.length - 1];
  if (last == '#' || last == '+') {
    size_t signs = last == '#' ? 1 : 2;
    if (word.length - signs <= 2 && !each(parts, word, 0)) return 0;
    word.length -= signs;
  }
  Span numbers[3];
  int count = has(word, ',') ? amounts(word, scratch, numbers) : 0;
  if (count) {
    int several = has(numbers[0], '.');
    for (int i = 0; i < count && i < 1 + several; i++)
      if (!each(parts, numbers[i], 0)) return 0;
    return 1;
  }
  word = without_apostrophes(word, scratch);
  if (each_part(parts, word, 1, NULL) <= 1 || !kept_whole(word)) return each_part(parts, word, 1, each) >= 0;
  Span whole = stripped(without(word, "-", scratch + word.length));
  return each(parts, whole, !count_of(whole, is_of_name)) && each_part(parts, word, 0, each) >= 0;
}

int parts_pieces(Parts *parts, const char *word, size_t length) {
  char *scratch = begin(parts, length);
  return scratch && each_piece(parts, (Span){word, length}, scratch, add);
}

static int other_spellings(Parts *parts, Span word, char *scratch) {
  if (!add_form(parts, without(word, "._,'-", scratch))) return 0;
  size_t length = word.length, at = 0;
  char last = word.at[length - 1];
  if (length >= 3 && last == 's' && (capital(word.at[length - 2]) || digit(word.at[length - 2])) &&
      capital(word.at[length - 3])) {
    while (letter(get(word, at)) || digit(get(word, at))) at++;
    if (at == length && !add_form(parts, cut(word, 0, length - 1))) return 0;
  }
  if (length >= 2 && lower(last) == 's' && word.at[length - 2] == '\'' &&
      !add_form(parts, without(cut(word, 0, length - 2), "._,'-", scratch)))
    return 0;
  for (at = 0; letter(get(word, at));) at++;
  size_t number = at, points = 0;
  while (digit(get(word, at)) || (get(word, at) == '.' && digit(get(word, at + 1)) && at > number)) points += get(word, at++) == '.';
  return !(number && points && at == length) || add_form(parts, cut(word, number, length));
}

/* `_in_a_row` of what stands between signs but points, and where letters and digits meet. */
static int in_a_row(Parts *parts, Span word, char *scratch) {
  Span bare = {scratch, 0};
  size_t borders[MOST_IN_A_ROW + 1] = {0}, count = 0, numbers = 0, at = 0;
  for (int told = 0; told < 2; told++) { /* first how many there are, then each by itself if they are not in a row */
    bare.length = count = numbers = at = 0;
    for (Span part; next(word, "_,'-", &at, &part);)
      for (size_t start = 0, end = 1; end <= part.length; end++) {
        char before = part.at[end - 1], now = get(part, end);
        if (end < part.length && !((letter(before) && digit(now)) || (digit(before) && letter(now)))) continue;
        Span chunk = cut(part, start, end);
        start = end;
        memcpy(scratch + bare.length, chunk.at, chunk.length);
        bare.length += chunk.length;
        count++;
        numbers += (size_t)all_digits(chunk);
        if (count <= MOST_IN_A_ROW) borders[count] = bare.length;
        if (told && !add_form(parts, chunk)) return 0;
      }
    if (count > 1 && count <= MOST_IN_A_ROW && numbers && numbers < count) break;
    if (told) return 1;
  }
  for (size_t high = 1; high <= count; high++)
    for (size_t low = 0; low < high; low++)
      if (!add_form(parts, cut(bare, borders[low], borders[high]))) return 0;
  return 1;
}

static int versions(Parts *parts, Span dotted) {
  size_t borders[MOST_IN_A_ROW + 1] = {0}, count = 0, at = 0, first = 0;
  for (Span part; next(dotted, ".", &at, &part);) {
    if (!part.length) continue;
    if (++count <= MOST_IN_A_ROW) borders[count] = at;
  }
  if (count > MOST_IN_A_ROW) {
    at = 0;
    for (Span part; next(dotted, ".", &at, &part);)
      if (!add_form(parts, part)) return 0;
    return 1;
  }
  while (letter(get(dotted, first))) first++;
  if (!digit(get(dotted, first))) first = 0;
  for (size_t high = 1; high <= count; high++)
    for (size_t low = 0; low < high; low++) {
      Span row = cut(dotted, borders[low], borders[high] - 1);
      if (!add_form(parts, row)) return 0;
      if (first && !low && !add_form(parts, cut(row, first, row.length))) return 0;
    }
  return 1;
}

int parts_forms(Parts *parts, const char *word_at, size_t length) {
  Span word = {word_at, length}, part;
  char *scratch = begin(parts, length);
  if (!scratch || !each_piece(parts, word, scratch, each_form) || !other_spellings(parts, word, scratch)) return 0;
  for (size_t at = 0; next(word, "._,'-", &at, &part);) {
    if (!add_form(parts, part)) return 0;
    if (is_flat(part)) continue;
    for (size_t start = 0, end = 1; end <= part.length; end++) {
      if (end < part.length && !is_plain_hump(part, end)) continue;
      if (!add_form(parts, cut(part, start, end))) return 0;
      start = end;
    }
  }
  if (count_of(word, is_digit)) {
    Span numbers[3];
    if (!in_a_row(parts, word, scratch)) return 0;
    int count = amounts(word, scratch, numbers);
    for (int i = 0; i < count; i++)
      if (!add_form(parts, numbers[i])) return 0;
  } else {
    for (size_t at = 0; next(word, "_,'-", &at, &part);)
      if (!add_form(parts, part)) return 0;
  }
  for (size_t at = 0; next(word, ",'-", &at, &part);)
    if (!versions(parts, part)) return 0;
  return 1;
}

/* What signs divide, as one, then each. */
static int chained(Parts *parts, Span text, char *scratch) {
  static const char signs[] = ".,:;'";
  size_t at = 0;
  if (!add(parts, without(text, signs, scratch), 0)) return 0;
  for (Span part; next(text, signs, &at, &part);)
    if (!add(parts, part, 0)) return 0;
  return 1;
}

/* A word that a line divides, whole, unless a capital makes of it two. */
static int rejoined(Parts *parts, Span text, char *scratch) {
  size_t rest = text.length;
  while (letter(text.at[rest - 1])) rest--;
  return !is_lower(cut(text, rest, text.length)) || add(parts, without(text, "-\r\n\t ", scratch), 0);
}

int parts_across(Parts *parts, uint32_t kind, const char *text_at, size_t length) {
  Span text = {text_at, length}, numbers[3];
  char *scratch = begin(parts, length);
  if (!scratch) return 0;
  if (kind == CHAIN) return chained(parts, text, scratch);
  if (kind == BROKEN) return rejoined(parts, text, scratch);
  if (kind != AMOUNT) return add(parts, text, 0);
  int count = amounts(text, scratch, numbers);
  for (int i = 0; i < count; i++)
    if (!add(parts, numbers[i], 0)) return 0;
  return 1;
}
