/* Puts the blocks of a page together: their order is that of `_ordered` in localsearch/extract/html.py, and their text,
 * headings and places are those of builder.py.
 */
#include "html.h"
#include "units.h"

#include <stdlib.h>

enum { NO_MEMORY = -2, LONGEST_NAME = 200 };

/* Texts by their letters, each once. */
typedef struct {
  Buffer slots, items;
  uint32_t mask;
} Set;

/* A heading: the one above it, or 0, and its name as bytes of `names` and as a number. */
typedef struct {
  int32_t above, level, at, size, name;
} Path;

/* What a block is, by the number of its kind, and the heading it is under. */
typedef struct {
  int32_t kind, path;
} Shown;

typedef struct {
  const char *text, *names;
  const Block *blocks;
  const Shown *shown;
  const Path *paths;
  const int32_t *headings;
  int32_t length, names_length, count, path_count, heading_count;
} Built;

typedef struct {
  Set set;
  Buffer order, text, names, blocks, shown, paths, headings;
  const char *source;
  const Piece *pieces;
  const int32_t *styles;
  int32_t count, characters, path, section;
  int no_memory;
} Page;

static void add(Page *page, Buffer *buffer, const void *what, size_t count) { page->no_memory |= !buffer_add(buffer, what, count); }

INLINE int32_t style_of(const Page *page, const Piece *piece) { return page->styles[piece->style]; }
INLINE int level_of(const Page *page, const Piece *piece) { return style_of(page, piece) >> LEVEL & 15; }

/* Makes room for so many texts. */
static void empty(Page *page, Set *set, size_t count) {
  size_t size = 16;
  while (size < 2 * count) size *= 2;
  set->slots.used = set->items.used = 0;
  int32_t *slots = (int32_t *)buffer_more(&set->slots, size * sizeof *slots);
  page->no_memory |= !slots || !buffer_more(&set->items, (count + 1) * sizeof(Span));
  if (page->no_memory) return;
  memset(slots, 0, size * sizeof *slots);
  set->items.used = 0;
  set->mask = (uint32_t)size - 1;
}

/* The number of a text, which is taken in where it is new and `take`; -1 where it is not there. */
static int32_t number_of(Set *set, Span text, int take) {
  int32_t *slots = (int32_t *)set->slots.bytes;
  Span *items = (Span *)set->items.bytes;
  uint32_t at = hash_of(text) & set->mask;
  for (; slots[at]; at = (at + 1) & set->mask)
    if (same(items[slots[at] - 1], text)) return slots[at] - 1;
  if (!take) return -1;
  int32_t number = (int32_t)(set->items.used / sizeof(Span));
  items[number] = text;
  set->items.used += sizeof(Span);
  slots[at] = number + 1;
  return number;
}

static void take(Page *page, int32_t index) { add(page, &page->order, &index, sizeof index); }

/* What a piece tells, without the mark of a list. */
static Span told_by(const Page *page, const Piece *piece) {
  Span text = {page->source + piece->at, (size_t)piece->size};
  return text.length > 1 && text.at[0] == '-' && text.at[1] == ' ' ? (Span){text.at + 2, text.length - 2} : text;
}

/* Which pieces go first: MAIN those of the main part and of the head above it, else all but what is AROUND. */
typedef struct {
  int by;
  int32_t head, head_end;
} Split;

INLINE int goes_first(const Split *split, const Piece *piece, int32_t index) {
  if (split->by == AROUND) return piece->part != AROUND;
  return piece->part == MAIN || (index >= split->head && index < split->head_end);
}

/* The page's first heading and what follows it up to the main part go before that, if it has no such heading. */
static Split split_of(const Page *page, int32_t enough) {
  int64_t length = 0;
  int32_t first = -1, above = -1;
  int headed = 0;
  for (int32_t i = 0; i < page->count; i++) {
    const Piece *piece = &page->pieces[i];
    int top = level_of(page, piece) == 1;
    if (piece->part == MAIN) {
      length += piece->length;
      if (first < 0) first = i;
      headed |= top;
    } else if (top && first < 0 && above < 0) {
      above = i;
    }
  }
  if (length < enough) return (Split){AROUND, 0, 0};
  return above < 0 || headed ? (Split){MAIN, 0, 0} : (Split){MAIN, above, first};
}

/* The pieces in the order in which they are told, without navigation that only repeats. */
static void put_in_order(Page *page, int32_t enough) {
  Split split = split_of(page, enough);
  empty(page, &page->set, (size_t)page->count);
  if (page->no_memory) return;
  for (int pass = 0; pass < 2; pass++) {
    for (int32_t i = 0; i < page->count; i++) {
      const Piece *piece = &page->pieces[i];
      if (goes_first(&split, piece, i) == pass) continue;
      Span told = told_by(page, piece);
      if (pass && piece->part == AROUND && number_of(&page->set, told, 0) >= 0) continue;
      number_of(&page->set, told, 1);
      take(page, i);
    }
  }
}

/* Without line breaks before it and white space after it. */
static Span trimmed(Span text) {
  while (text.length && *text.at == '\n') text.at++, text.length--;
  for (size_t last = text.length; last; last = text.length) {
    do last--;
    while (last && ((uint8_t)text.at[last] & 0xc0) == 0x80);
    if (blank_at((Span){text.at + last, text.length - last}) != text.length - last) break;
    text.length = last;
  }
  return text;
}

/* Begins a section under the heading. Its name has all white space collapsed, and no more than LONGEST_NAME characters. */
static void begin_section(Page *page, Span text, int level) {
  Path *paths = (Path *)page->paths.bytes;
  while (page->path && paths[page->path].level >= level) page->path = paths[page->path].above;
  size_t start = page->names.used, size = 0;
  int32_t count = 0;
  int space = 0;
  for (size_t at = 0; at < text.length; at += size) {
    Span rest = {text.at + at, text.length - at};
    if ((size = blank_at(rest))) {
      space = page->names.used > start;
      continue;
    }
    for (size = 1; size < rest.length && ((uint8_t)rest.at[size] & 0xc0) == 0x80;) size++;
    if (space && count++ < LONGEST_NAME) add(page, &page->names, " ", 1);
    if (count++ < LONGEST_NAME) add(page, &page->names, rest.at, size);
    space = 0;
  }
  Span name = {page->names.bytes + start, page->names.used - start};
  Path one = {page->path, level, (int32_t)start, (int32_t)name.length, number_of(&page->set, name, 1)};
  page->path = (int32_t)(page->paths.used / sizeof one);
  add(page, &page->paths, &one, sizeof one);
}

/* Writes the names of a heading's path down, and begins another section of passages where they differ from the last. */
static void enter_path(Page *page, Block *block) {
  const Path *paths = (const Path *)page->paths.bytes;
  int32_t depth = 0, start = (int32_t)(page->headings.used / sizeof(int32_t));
  for (int32_t at = page->path; at; at = paths[at].above) depth++;
  int32_t *names = (int32_t *)buffer_more(&page->headings, (size_t)depth * sizeof(int32_t));
  page->no_memory |= !names;
  if (page->no_memory) return;
  int32_t i = depth;
  for (int32_t at = page->path; at; at = paths[at].above) names[--i] = paths[at].name;
  const Block *last = page->section < 0 ? NULL : (const Block *)(page->blocks.bytes + page->blocks.used) - 1;
  size_t size = (size_t)depth * sizeof(int32_t);
  if (last && last->depth == depth && !memcmp((int32_t *)page->headings.bytes + last->heading, names, size)) {
    page->headings.used -= size;
    start = last->heading;
  } else {
    page->section++;
  }
  block->section = page->section;
  block->heading = start;
  block->depth = depth;
}

/* Appends a block. 0 where the text would be over the limit. */
static int append(Page *page, Span text, int32_t style, int32_t limit) {
  text = trimmed(text);
  if (!text.length) return 1;
  if (page->blocks.used) {
    size_t joint = style & CLOSE_BY ? 1 : 2;
    add(page, &page->text, "\n\n", joint);
    page->characters += (int32_t)joint;
  }
  int32_t length = characters(text), kind = style >> KIND;
  if (page->characters > limit - length) return 0;
  Block block = {page->characters, page->characters + length, (style & AT_LINES) != 0, (style & REPEATS) != 0, 0, 0, 0, 0};
  enter_path(page, &block);
  Shown shown = {kind, page->path};
  add(page, &page->text, text.at, text.length);
  add(page, &page->blocks, &block, sizeof block);
  add(page, &page->shown, &shown, sizeof shown);
  page->characters += length;
  return 1;
}

static int build(Page *page, int32_t whole, int32_t limit) {
  const int32_t *order = (const int32_t *)page->order.bytes;
  int32_t count = (int32_t)(page->order.used / sizeof *order), part = MAIN;
  for (int32_t i = 0; i < count && !page->no_memory; i++) {
    const Piece *piece = &page->pieces[order[i]];
    Span text = {page->source + piece->at, (size_t)piece->size};
    if (part == MAIN && piece->part != part && !whole) page->path = 0;
    part = piece->part;
    if (level_of(page, piece)) begin_section(page, text, level_of(page, piece));
    if (page->no_memory || !append(page, text, style_of(page, piece), limit)) return 0;
  }
  return 1;
}

EXPORTED void localsearch_page_end(Page *page) {
  if (!page) return;
  Buffer *buffers[] = {&page->set.slots, &page->set.items, &page->order, &page->text, &page->names,
                       &page->blocks, &page->shown, &page->paths, &page->headings};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->bytes);
  free(page);
}

EXPORTED Page *localsearch_page_begin(void) { return calloc(1, sizeof(Page)); }

/* Names are known by where they stand, so that there is room for all before the first; the same goes for no headings. */
static void clear(Page *page) {
  Buffer *buffers[] = {&page->order, &page->text, &page->names, &page->blocks, &page->shown, &page->paths, &page->headings};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) buffers[i]->used = 0;
  page->no_memory = page->characters = page->path = 0;
  page->section = -1;
  static const Path none = {0, 0, 0, 0, 0};
  add(page, &page->paths, &none, sizeof none);
  size_t length = 1; /* a name has no more bytes than the text of its heading */
  for (int32_t i = 0; i < page->count; i++) length += level_of(page, &page->pieces[i]) ? (size_t)page->pieces[i].size : 0;
  page->no_memory |= !buffer_more(&page->names, length) || !buffer_more(&page->headings, sizeof(int32_t));
  page->names.used = page->headings.used = 0;
}

/* The text and the blocks of pieces of a text, none of them raw; `enough` characters make a main part,
 * `limit` is that of the text. Returns the number of blocks, REFUSED where there is more, or NO_MEMORY. */
EXPORTED int32_t localsearch_page(Page *page, const char *text, const Piece *pieces, int32_t count,
                                  const int32_t *styles, int32_t whole, int32_t enough, int32_t limit, Built *built) {
  page->source = text;
  page->pieces = pieces;
  page->styles = styles;
  page->count = count;
  clear(page);
  if (!page->no_memory && !whole) put_in_order(page, enough);
  for (int32_t i = 0; i < count && whole && !page->no_memory; i++) take(page, i);
  if (!page->no_memory) empty(page, &page->set, (size_t)count);
  int all = !page->no_memory && build(page, whole, limit);
  if (page->no_memory) return NO_MEMORY;
  if (!all) return REFUSED;
  *built = (Built){page->text.bytes, page->names.bytes, (const Block *)page->blocks.bytes, (const Shown *)page->shown.bytes,
                   (const Path *)page->paths.bytes, (const int32_t *)page->headings.bytes, (int32_t)page->text.used,
                   (int32_t)page->names.used, (int32_t)(page->blocks.used / sizeof(Block)),
                   (int32_t)(page->paths.used / sizeof(Path)), (int32_t)(page->headings.used / sizeof(int32_t))};
  return built->count;
}
