/* What walks a page (html.c), what keeps the text of its blocks (blocktext.c), and what puts those together (page.c). */
#ifndef LOCALSEARCH_HTML_H
#define LOCALSEARCH_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

/* What a style is: bits; then from LEVEL on that of a heading, and from KIND on its kind by its number. */
enum { KEEPS_LINES = 1, OF_TABLE = 2, LISTED = 4, CLOSE_BY = 8, REPEATS = 16, AT_LINES = 32, LEVEL = 8, KIND = 12 };
enum { MAIN, REST, AROUND };

/* Marks of htmlwalk.py. All begin with MARK, and no other character that stands here does. */
#define MARK "\xef\xb7"
#define BREAK_MARK MARK "\x90"
#define CELL_MARK MARK "\x91"
#define GAP_MARK MARK "\x92"
#define RAISED_MARK MARK "\x93"
#define LEVEL_MARK MARK "\x94"

typedef struct {
  const char *at;
  size_t length;
} Span;

typedef struct {
  char *bytes;
  size_t used, room;
} Buffer;

/* A block: `length` characters from `start` on, `size` bytes from `at` on; `raw` where Python has to see to its marks. */
typedef struct {
  int32_t style, part, raw, start, length, at, size;
} Piece;

INLINE int blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f); }
INLINE int same(Span a, Span b) { return a.length == b.length && !memcmp(a.at, b.at, a.length); }

INLINE Span bare(Span text) {
  while (text.length && blank(text.at[0])) text.at++, text.length--;
  while (text.length && blank(text.at[text.length - 1])) text.length--;
  return text;
}

INLINE int is_ascii(Span text) {
  uint8_t all = 0;
  for (size_t i = 0; i < text.length; i++) all |= (uint8_t)text.at[i];
  return all < 0x80;
}

/* Characters of UTF-8. */
INLINE int32_t characters(Span text) {
  int32_t count = 0;
  for (size_t i = 0; i < text.length; i++) count += ((uint8_t)text.at[i] & 0xc0) != 0x80;
  return count;
}

INLINE uint32_t hash_of(Span name) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < name.length; i++) hash = (hash ^ (uint8_t)name.at[i]) * 16777619u;
  return hash;
}

/* Room for so many bytes more; NULL without memory. */
char *buffer_more(Buffer *buffer, size_t count);
int buffer_add(Buffer *buffer, const void *what, size_t count);

/* White space of Python that begins here, beyond ASCII too: its bytes, else 0. */
size_t blank_at(Span text);

enum { TOLD, UNTOLD, FULL };
/* Appends the text of a block as it is kept, nothing if it is blank: `text_of` of htmlwalk.py. UNTOLD where Python has to
 * say what a letter is, FULL without memory; `scratch` is any. */
int block_text(Buffer *text, Buffer *scratch, Span source, int32_t style);

#endif
