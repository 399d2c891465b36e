/* The text of a block of a page as it is kept, of the marks that html.c leaves in it: `text_of` of htmlwalk.py. */
#include "html.h"

#include <stdlib.h>

char *buffer_more(Buffer *buffer, size_t count) {
  if (buffer->used + count > buffer->room) {
    size_t room = 2 * (buffer->used + count) + 1024;
    char *bytes = realloc(buffer->bytes, room);
    if (!bytes) return NULL;
    buffer->bytes = bytes;
    buffer->room = room;
  }
  char *place = buffer->bytes + buffer->used;
  buffer->used += count;
  return place;
}

int buffer_add(Buffer *buffer, const void *what, size_t count) {
  char *place = count ? buffer_more(buffer, count) : NULL;
  if (place) memcpy(place, what, count);
  return place || !count;
}

/* The character that begins here, of UTF-8 that may be damaged, and its bytes. */
static uint32_t character(Span text, size_t *size) {
  uint8_t first = (uint8_t)*text.at;
  size_t wanted = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  *size = 1;
  if (wanted == 1 || wanted > text.length) return first;
  uint32_t found = first & (0xff >> (wanted + 1));
  for (size_t i = 1; i < wanted; i++) found = found << 6 | ((uint8_t)text.at[i] & 0x3f);
  *size = wanted;
  return found;
}

static int wide_blank(uint32_t c) {
  return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
         c == 0x205f || c == 0x3000;
}

size_t blank_at(Span text) {
  if (!text.length) return 0;
  if ((uint8_t)*text.at < 0x80) return (size_t)blank(*text.at);
  size_t size;
  uint32_t c = character(text, &size);
  return wide_blank(c) && size > 1 ? size : 0;
}

enum { NO_WORD, WORD, UNKNOWN };

/* Whether it is part of a word as Python's patterns have it, of what stands on pages most. */
static int in_word(uint32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
  if (c >= 0xc0 && c < 0x250) return c != 0xd7 && c != 0xf7;
  if (c < 0xc0) return c == 0xaa || c == 0xb2 || c == 0xb3 || c == 0xb5 || (c >= 0xb9 && c <= 0xba) || (c >= 0xbc && c <= 0xbe);
  if ((c >= 0x2000 && c < 0x2070) || (c >= 0x2190 && c < 0x2300) || (c >= 0x3000 && c < 0x3004) || (c >= 0xfdd0 && c < 0xfdf0))
    return NO_WORD;
  return UNKNOWN;
}

INLINE int mark_at(Span text) {
  if (text.length < 3 || memcmp(text.at, MARK, 2)) return 0;
  uint8_t last = (uint8_t)text.at[2];
  return last >= 0x90 && last <= 0x94 ? last : 0;
}

INLINE Span from(Span text, size_t at) { return (Span){text.at + at, text.length - at}; }
INLINE int soft_hyphen(Span text) { return text.length > 1 && (uint8_t)text.at[0] == 0xc2 && (uint8_t)text.at[1] == 0xad; }

/* What takes the place of a run of gaps between `before` and the text after it: a space between words. */
static int between(Buffer *into, uint32_t before, Span after) {
  size_t size;
  int left = mark_at(after) || !after.length ? NO_WORD : in_word(before);
  int right = left ? in_word(character(after, &size)) : NO_WORD;
  if ((left == UNKNOWN && right) || right == UNKNOWN) return UNTOLD;
  return !left || !right || buffer_add(into, " ", 1) ? TOLD : FULL;
}

/* Bytes up to the next character that may be an optional hyphen or a mark, at least one. */
static size_t run_of(Span text) {
  size_t size = 1;
  while (size < text.length && (uint8_t)text.at[size] != 0xc2 && (uint8_t)text.at[size] != 0xef) size++;
  return size;
}

/* The last character of a run. */
static uint32_t last_of(Span run) {
  size_t at = run.length - 1, size;
  while (at && ((uint8_t)run.at[at] & 0xc0) == 0x80) at--;
  return character(from(run, at), &size);
}

/* Copies the text without optional hyphens and gaps. */
static int set_apart(Buffer *into, Span source) {
  uint32_t before = 0;
  int gaps = 0;
  for (size_t at = 0, size; at < source.length; at += size) {
    Span rest = from(source, at);
    int mark = mark_at(rest);
    size = 2;
    if (soft_hyphen(rest)) continue;
    if (mark == 0x93 || mark == 0x94) return UNTOLD;
    size = 3;
    if (mark == 0x92) {
      gaps = 1;
      continue;
    }
    int told = gaps ? between(into, before, rest) : TOLD;
    if (told != TOLD) return told;
    gaps = 0;
    size = run_of(rest);
    before = last_of((Span){rest.at, size});
    if (!buffer_add(into, rest.at, size)) return FULL;
  }
  return TOLD;
}

/* Text that flows, as it grows: whether the cell has begun, any has, and a space is due. */
typedef struct {
  Buffer *text;
  size_t start;
  int cell, any, space;
} Flow;

INLINE int at_line_start(const Flow *flow) {
  return flow->text->used == flow->start || flow->text->bytes[flow->text->used - 1] == '\n';
}

static int put(Flow *flow, const char *what, size_t count) {
  while (count && *what == ' ' && at_line_start(flow)) what++, count--;
  return buffer_add(flow->text, what, count);
}

static int put_break(Flow *flow) {
  Buffer *text = flow->text;
  while (text->used > flow->start && text->bytes[text->used - 1] == ' ') text->used--;
  return text->used == flow->start || buffer_add(text, "\n", 1);
}

/* Takes in characters of which none is white space, and none a mark but the only one. */
static int flow_on(Flow *flow, Span some) {
  int written = 1;
  if (!flow->cell && flow->any) written = put(flow, " | ", 3);
  else if (flow->space) written = put(flow, " ", 1);
  flow->cell = flow->any = 1;
  flow->space = 0;
  if (!written) return 0;
  return mark_at(some) == 0x90 ? put_break(flow) : buffer_add(flow->text, some.at, some.length);
}

/* Bytes of the character that begins the text, and of those of ASCII after it that are no white space. */
static size_t dense_run(Span text) {
  size_t size;
  character(text, &size);
  if (mark_at(text)) return size;
  while (size < text.length && (uint8_t)text.at[size] < 0x80 && !blank(text.at[size])) size++;
  return size;
}

/* White space collapsed, kept line breaks, and cells set apart. */
static int flowing(Buffer *text, Span source) {
  Flow flow = {text, text->used, 0, 0, 0};
  for (size_t at = 0, size; at < source.length; at += size) {
    Span rest = from(source, at);
    if ((size = blank_at(rest))) {
      flow.space |= flow.cell;
    } else if (mark_at(rest) == 0x91) {
      size = 3;
      flow.cell = flow.space = 0;
    } else {
      size = dense_run(rest);
      if (!flow_on(&flow, (Span){rest.at, size})) return FULL;
    }
  }
  while (text->used > flow.start && blank(text->bytes[text->used - 1])) text->used--;
  return TOLD;
}

static int all_blank(Span text) {
  for (size_t at = 0, size; at < text.length; at += size)
    if (!(size = blank_at(from(text, at)))) return 0;
  return 1;
}

static int with_lines(Buffer *text, Span source) {
  for (size_t at = 0, size; at < source.length; at += size) {
    Span rest = from(source, at);
    int broken = mark_at(rest) == 0x90;
    character(rest, &size);
    if (!buffer_add(text, broken ? "\n" : rest.at, broken ? 1 : size)) return FULL;
  }
  return TOLD;
}

int block_text(Buffer *text, Buffer *scratch, Span source, int32_t style) {
  if (all_blank(source)) return TOLD;
  scratch->used = 0;
  int told = set_apart(scratch, source);
  if (told != TOLD) return told;
  size_t before = text->used;
  if (style & LISTED && !buffer_add(text, "- ", 2)) return FULL;
  size_t start = text->used;
  Span apart = {scratch->bytes, scratch->used};
  told = style & KEEPS_LINES ? with_lines(text, apart) : flowing(text, apart);
  if (told == TOLD && all_blank((Span){text->bytes + start, text->used - start})) text->used = before;
  return told;
}
