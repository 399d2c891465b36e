/* Where words may stand in a text that begin in one of several ways, found in one pass over its characters.
 *
 * A beginning is small letters and digits of ASCII; it ends with 0. A word or a part of one may begin after what is no
 * letter or digit, with a capital, and where letters and digits meet. Signs that join parts are passed over, and so is
 * every sign between digits. A letter outside ASCII reads like what it is without its accent, or like anything. So
 * nothing is missed, and what is found has yet to be looked at.
 */
#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* What a character is. A letter or a digit is its own small form, from '0' on; OTHER is one of another script, which reads
 * like no letter of ASCII. */
enum { SIGN = 1, BLANK, JOINT, OTHER, ANYTHING };
enum { ASCII = 0x80, LATIN = 0xc0, TABLE = 0x180 };

/* From U+00C0 on, without their accents; `?` is a letter that is written as two. */
static const char letters[] =
    "aaaaaa?ceeeeiiiidnooooo\001ouuuuy??aaaaaa?ceeeeiiiidnooooo\001ouuuuy?y"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii??jjkk?llllll?"
    "?llnnnnnn???oooooo??rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static uint8_t kinds[TABLE];

static void each(const char *characters, int kind) {
  for (; *characters; characters++) kinds[(uint8_t)*characters] = (uint8_t)kind;
}

__attribute__((constructor)) static void fill(void) {
  for (int c = 0; c < LATIN; c++) kinds[c] = SIGN;
  each("\t\n\v\f\r\x1c\x1d\x1e\x1f ", BLANK);
  each("-_.,:;'\xad\xb7", JOINT);
  each("\xb5", OTHER);
  each("\xaa\xb2\xb3\xb9\xba\xbc\xbd\xbe", ANYTHING);
  for (int c = '0'; c <= '9'; c++) kinds[c] = (uint8_t)c;
  for (int c = 'a'; c <= 'z'; c++) kinds[c] = kinds[c - 'a' + 'A'] = (uint8_t)c;
  for (int c = LATIN; c < TABLE; c++) kinds[c] = letters[c - LATIN] == '?' ? ANYTHING : (uint8_t)letters[c - LATIN];
}

INLINE int between(uint32_t c, uint32_t first, uint32_t last) { return c - first <= last - first; }

INLINE uint32_t kind(uint32_t c) {
  if (c < TABLE) return kinds[c];
  if (between(c, 0x37b, 0x482) || between(c, 0x48a, 0x52f) || between(c, 0x3040, 0x30ff) || between(c, 0x4e00, 0x9fff))
    return OTHER;
  if (between(c, 0x200b, 0x2011) || between(c, 0x2018, 0x2019) || c == 0x2027) return JOINT;
  if (between(c, 0x202a, 0x202e) || between(c, 0x2060, 0x2064)) return JOINT;
  if (between(c, 0x3001, 0x3004) || between(c, 0x3008, 0x3020) || between(c, 0xff01, 0xff0f) || between(c, 0xff1a, 0xff20))
    return SIGN;
  if (between(c, 0x2000, 0x205f) || between(c, 0x2190, 0x245f) || between(c, 0x2500, 0x2775) || between(c, 0x2794, 0x2bff))
    return SIGN;
  return ANYTHING;
}

INLINE int digit(uint32_t kind) { return between(kind, '0', '9'); }

/* Whether a letter is a capital or, from U+0100 on, may be one. */
INLINE int capital(uint32_t c) { return between(c, 'A', 'Z') || between(c, 0xc0, 0xde) || between(c, 0x100, TABLE - 1); }

/* Whether a word or a part of one may begin with the letter or digit `c`. */
INLINE int begins(uint32_t before, uint32_t now, uint32_t c) {
  if (before < '0' || capital(c)) return now >= ANYTHING;
  if (now == ANYTHING) return digit(before) || !between(c, 0xdf, 0xff);
  return now >= '0' && digit(before) != digit(now);
}

/* Whether a part of a word may end before `at`; the s of PDFs is none of its own. */
INLINE int ends(const uint32_t *text, int32_t at, int32_t length) {
  if (at >= length) return 1;
  uint32_t last = text[at - 1], next = kind(text[at]);
  return next < '0' || digit(kind(last)) != digit(next) || capital(text[at]) || (next == 's' && capital(last));
}

/* Whether what stands at `at` reads like a beginning; if `whole`, like a part of a word to its end. */
INLINE int reads(const uint32_t *text, int32_t at, int32_t length, const uint32_t *beginning, int whole) {
  uint32_t last = SIGN;
  for (;; at++) {
    if (!*beginning) return !whole || ends(text, at, length);
    if (at >= length) return 0;
    uint32_t now = kind(text[at]);
    if (now == ANYTHING) return 1;
    if (now == *beginning) {
      last = now;
      beginning++;
    } else if (now >= OTHER || (now != JOINT && !(digit(last) && digit(*beginning)))) {
      return 0;
    }
  }
}

/* Whether one of the beginnings is read at `at`. `firsts` has for each character of ASCII where those that begin with it
 * start among `beginnings`, -1 for none; after the last of them is a further 0. */
static int one_reads(const uint32_t *text, int32_t at, int32_t length, const uint32_t *beginnings, int32_t first, int whole) {
  if (first < 0) return 0;
  for (const uint32_t *beginning = beginnings + first; *beginning; beginning++) {
    if (reads(text, at, length, beginning, whole)) return 1;
    while (*beginning) beginning++;
  }
  return 0;
}

/* The stretches between white space, from `at` on, that may hold one of these: at most `room` pairs of where one starts and
 * ends in `found`, and their number. If `whole`, a beginning is a whole word or part of one; if not, a letter outside
 * ASCII may begin anything. */
EXPORTED int32_t localsearch_words(const uint32_t *text, int32_t length, int32_t at, const uint32_t *beginnings,
                                   const int32_t *firsts, int32_t whole, int32_t *found, int32_t room) {
  uint32_t foreign = whole ? UINT32_MAX : ASCII, before = SIGN;
  int32_t count = 0;
  for (int32_t start = at; at < length && count < room; at++) {
    while (before >= 'a' && at + 1 < length && between(text[at], 'a', 'z')) at++;
    uint32_t c = text[at], now = kind(c);
    if (now == BLANK) start = at + 1;
    int inside = now >= OTHER && (c >= foreign || (begins(before, now, c) &&
                 (now == ANYTHING || one_reads(text, at, length, beginnings, firsts[now], whole))));
    before = now;
    if (!inside) continue;
    while (at < length && kind(text[at]) != BLANK) at++;
    found[2 * count] = start;
    found[2 * count++ + 1] = at;
    start = at + 1;
    before = BLANK;
  }
  return count;
}
