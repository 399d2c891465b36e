/* Walks a page of HTML as localsearch/extract/htmlwalk.py does, over the page as a parser of HTML has written it out again.
 *
 * What is written out has its elements one in another, its attributes in quotation marks, and only these entities: amp,
 * lt, gt, nbsp and quot. Where that cannot be told apart from anything else, and where Python would have to say what a
 * letter means, the page is refused, and Python walks over the tree itself. Names of elements and what they are, and
 * which elements are no part of the text, the caller tells.
 */
#include "html.h"

#include <stdlib.h>

/* What an element is: bits of a name's `kind`; above them its style. */
enum { BLOCK = 1, SPACED = 2, LONG_FORM = 4, LINE_BREAK = 8, CELL = 16, ROW = 32, SIGN = 64, TABLE = 128, VOID = 256,
       VERBATIM = 512, FOREIGN = 1024, REFUSE = 2048, LAYOUT = 4096, LINK = 8192, SHOWN = 16384, INPUT = 32768, TEMPLATE = 65536, META = 131072, STYLE = 18 };
/* Which part of the page a selector begins: bits. */
enum { IS_MAIN = 1, IS_AROUND = 2, IS_INNER = 4, IS_NEVER = 8 };
enum { REFUSED = -1, NO_MEMORY = -2 };
enum { NAMES = 512, SELECTORS = 128 };

typedef struct {
  Span name;
  int32_t kind, marks;
} Name;

/* An element by its name or any, and by a class, an id or a role, if `by` is `.`, `#` or `=`. */
typedef struct {
  Span name, value;
  char by;
  int32_t marks;
} Selector;

typedef struct {
  Span tag;
  int32_t style;
} Open;

typedef struct {
  size_t depth;
  int32_t part;
} Region;

typedef struct {
  const char *text;
  const Piece *pieces;
  int32_t length, count, raw, metas;
} Walked;

typedef struct {
  Name names[NAMES];
  Selector selectors[SELECTORS];
  const int32_t *styles;
  size_t selector_count;
  uint32_t lengths[256]; /* of values of selectors by their first letter, a bit for each, modulo 32 */
  int32_t table, paragraph;
  char *told;
  Buffer source, scratch, text, tags, opened, regions, pieces;
  const char *at, *end;
  int32_t style, part, characters, tables; /* `tables` are open */
  int refused, no_memory, raw, metas;
} Walk;

typedef struct {
  Span name, attributes;
  int32_t kind, marks;
} Tag;

INLINE char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
INLINE int is(Span a, const char *word) { return a.length == strlen(word) && !memcmp(a.at, word, a.length); }

static int same_letters(Span a, Span b) {
  if (a.length != b.length) return 0;
  for (size_t i = 0; i < a.length; i++)
    if (lower(a.at[i]) != lower(b.at[i])) return 0;
  return 1;
}

static void add(Walk *walk, Buffer *buffer, const void *what, size_t count) { walk->no_memory |= !buffer_add(buffer, what, count); }

static void say(Walk *walk, const char *what) { add(walk, &walk->source, what, strlen(what)); }

/* Appends text in which entities stand for signs. */
static void say_decoded(Walk *walk, Span text) {
  static const struct {
    const char *written, *meant;
  } entities[] = {{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&nbsp;", "\xc2\xa0"}, {"&quot;", "\""}};
  const char *at = text.at, *end = at + text.length;
  while (at < end) {
    const char *next = memchr(at, '&', (size_t)(end - at));
    add(walk, &walk->source, at, (size_t)((next ? next : end) - at));
    if (!next) return;
    at = next;
    size_t i = 0, count = sizeof entities / sizeof *entities;
    for (; i < count; i++) {
      size_t length = strlen(entities[i].written);
      if ((size_t)(end - at) >= length && !memcmp(at, entities[i].written, length)) {
        say(walk, entities[i].meant);
        at += length;
        break;
      }
    }
    if (i == count) walk->refused = at++ != NULL;
  }
}

static Name *slot(Walk *walk, Span name) {
  uint32_t at = hash_of(name) % NAMES;
  while (walk->names[at].name.at && !same(walk->names[at].name, name)) at = (at + 1) % NAMES;
  return &walk->names[at];
}

static int has_hyphen(Span name) { return name.length && memchr(name.at, '-', name.length) != NULL; }


/* The next attribute from `*at` on; 0 where there is none. What the parser writes has a value in quotation marks. */
static int attribute(Span attributes, size_t *at, Span *name, Span *value) {
  size_t start = *at;
  while (start < attributes.length && attributes.at[start] == ' ') start++;
  size_t end = start + 1; /* an equals sign may come first */
  while (end < attributes.length && attributes.at[end] != '=') end++;
  if (end + 1 >= attributes.length) return 0;
  const char *first = attributes.at + end + 2;
  const char *last = memchr(first, '"', (size_t)(attributes.at + attributes.length - first));
  if (!last) return 0;
  *name = (Span){attributes.at + start, end - start};
  *value = (Span){first, (size_t)(last - first)};
  *at = (size_t)(last + 1 - attributes.at);
  return 1;
}

/* The value of an attribute; of no length where it is not there or empty. */
static Span value_of(Span attributes, const char *wanted) {
  Span name, value;
  for (size_t at = 0; attribute(attributes, &at, &name, &value);)
    if (is(name, wanted)) return value;
  return (Span){attributes.at, 0};
}

/* Reads a tag that begins at `at`, after its `<`; where it ends, NULL where it does not. */
static const char *read_tag(Walk *walk, const char *at, Tag *tag) {
  const char *name = at;
  while (at < walk->end && *at != ' ' && *at != '>') at++;
  tag->name = (Span){name, (size_t)(at - name)};
  const char *attributes = at;
  while (at < walk->end && *at != '>') {
    at++; /* a blank, then a name that may begin with an equals sign */
    if (at < walk->end) at++;
    while (at < walk->end && *at != '=') at++;
    if (walk->end - at < 2 || at[1] != '"') return NULL;
    at = memchr(at + 2, '"', (size_t)(walk->end - at - 2));
    if (!at) return NULL;
    at++;
  }
  if (at >= walk->end) return NULL;
  tag->attributes = (Span){attributes, (size_t)(at - attributes)};
  Name *known = slot(walk, tag->name);
  tag->kind = known->name.at ? known->kind : has_hyphen(tag->name) ? SPACED : 0;
  tag->marks = known->marks;
  walk->metas |= tag->kind & META;
  return at + 1;
}

/* Where what is kept verbatim ends, at its closing tag. */
static const char *verbatim_end(Walk *walk, const char *at, Span name) {
  for (; (at = memchr(at, '<', (size_t)(walk->end - at))); at++) {
    if ((size_t)(walk->end - at) < name.length + 3) return NULL;
    if (at[1] == '/' && !memcmp(at + 2, name.at, name.length) && at[2 + name.length] == '>') return at;
  }
  return NULL;
}

static const char *comment_end(Walk *walk, const char *at) {
  for (; (at = memchr(at, '>', (size_t)(walk->end - at))); at++)
    if (at[-1] == '-' && at[-2] == '-') return at + 1;
  return NULL;
}

/* Whether a selector of this element is for an attribute's value; of a page without a doctype capitals and small letters
 * are the same in it, which is not told here. */
INLINE int selects(Walk *walk, const Selector *one, const Tag *tag, Span value) {
  if (one->value.length != value.length || lower(*one->value.at) != lower(*value.at)) return 0;
  if ((one->name.length && !same(one->name, tag->name)) || !same_letters(one->value, value)) return 0;
  int found = same(one->value, value);
  if (one->by != '=') walk->refused |= !found;
  return found;
}

/* Which parts selectors say begin here. */
static int32_t marks_of(Walk *walk, const Tag *tag, int whole) {
  int32_t marks = tag->marks;
  Span name, value;
  for (size_t at = 0; attribute(tag->attributes, &at, &name, &value);) {
    char by = is(name, "class") ? '.' : is(name, "id") ? '#' : is(name, "role") ? '=' : 0;
    for (size_t from = 0; by && from < value.length;) {
      Span word = {value.at + from, value.length - from};
      if (by == '.') word.length = 0;
      while (by == '.' && from < value.length && !strchr(" \t\n\f\r", value.at[from])) from++, word.length++;
      from = by == '.' ? from + 1 : value.length;
      if (!word.length || !(walk->lengths[(uint8_t)lower(*word.at)] >> (word.length & 31) & 1)) continue;
      for (size_t i = 0; i < walk->selector_count; i++)
        if (walk->selectors[i].by == by && selects(walk, &walk->selectors[i], tag, word)) marks |= walk->selectors[i].marks;
    }
  }
  return whole ? marks & IS_NEVER : marks;
}

/* Looks at all elements inside the one whose tag has just been read. Whether one of them is of a kind; if `said`, their
 * text is appended too. */
static int inside(Walk *walk, int32_t kind, int said) {
  const char *at = walk->at;
  for (size_t depth = 1; depth;) {
    const char *next = memchr(at, '<', (size_t)(walk->end - at));
    if (said) say_decoded(walk, (Span){at, (size_t)((next ? next : walk->end) - at)});
    if (!next || walk->end - next < 2) return walk->refused = 1;
    at = next + 1;
    if (*at == '!') {
      if (walk->end - at < 5 || !(at = comment_end(walk, at + 3))) return walk->refused = 1;
      continue;
    }
    Tag tag;
    int closing = *at == '/';
    if (!(at = read_tag(walk, at + closing, &tag)) || tag.kind & (REFUSE | FOREIGN | TEMPLATE)) return walk->refused = 1;
    if (closing) {
      depth--;
    } else if (tag.kind & kind) {
      return 1;
    } else if (tag.kind & VERBATIM) {
      if (said || !(at = verbatim_end(walk, at, tag.name))) return walk->refused = 1;
      at += tag.name.length + 3;
    } else {
      depth += !(tag.kind & VOID);
    }
  }
  return 0;
}

/* Appends text of ASCII as a block keeps it. */
static void add_plain(Walk *walk, Span source, int32_t style) {
  Span left = bare(source);
  if (!left.length) return;
  if (style & LISTED) add(walk, &walk->text, "- ", 2);
  if (style & KEEPS_LINES) {
    add(walk, &walk->text, source.at, source.length);
    return;
  }
  char *place = buffer_more(&walk->text, left.length), *at = place;
  walk->no_memory |= !place;
  if (!place) return;
  for (size_t i = 0; i < left.length; i++) {
    if (!blank(left.at[i])) *at++ = left.at[i];
    else if (!blank(left.at[i - 1])) *at++ = ' ';
  }
  walk->text.used -= left.length - (size_t)(at - place);
}

/* Ends the block that is open. */
static void close_block(Walk *walk) {
  Span source = {walk->source.bytes, walk->source.used};
  walk->source.used = 0;
  if (!source.length) return;
  int32_t style = walk->styles[walk->style];
  size_t before = walk->text.used;
  int told = TOLD;
  if (is_ascii(source)) add_plain(walk, source, style);
  else told = block_text(&walk->text, &walk->scratch, source, style);
  walk->no_memory |= told == FULL;
  if (told == UNTOLD) add(walk, &walk->text, source.at, source.length);
  if (walk->no_memory || walk->text.used == before) return;
  Span kept = {walk->text.bytes + before, walk->text.used - before};
  Piece piece = {walk->style, walk->part, told == UNTOLD, walk->characters, characters(kept), (int32_t)before, (int32_t)kept.length};
  walk->characters += piece.length;
  walk->raw |= piece.raw;
  add(walk, &walk->pieces, &piece, sizeof piece);
}

/* What an element without text of its own shows. */
static void show(Walk *walk, const Tag *tag) {
  if (!(tag->kind & SHOWN)) return;
  Span own = tag->attributes, first, kind = value_of(own, "type");
  const char *then = "title";
  first = value_of(own, "alt");
  if (tag->kind & INPUT) {
    static const char *const shown[] = {"", "text", "search", "email", "url", "tel", "number", "submit", "button", "reset", "date"};
    then = "";
    if (!same_letters(kind, (Span){"image", 5})) {
      size_t i = 0, count = sizeof shown / sizeof *shown;
      while (i < count && !same_letters(kind, (Span){shown[i], strlen(shown[i])})) i++;
      if (i == count) return;
      first = value_of(own, "value");
      then = "placeholder";
    }
  }
  say_decoded(walk, first.length || !*then ? first : value_of(own, then));
}

/* What an abbreviation stands for, unless it is written out in it. */
static void say_long_form(Walk *walk, const Tag *tag) {
  Span title = value_of(tag->attributes, "title");
  if (!title.length) return;
  size_t before = walk->source.used;
  say_decoded(walk, title);
  size_t length = walk->source.used - before;
  inside(walk, 0, 1);
  if (walk->no_memory) return;
  Span told = {walk->source.bytes + before, length};
  Span text = {told.at + length, walk->source.used - before - length};
  if (!is_ascii(told) || !is_ascii(text)) walk->refused = 1; /* Python folds their case */
  int repeated = same_letters(told, bare(text));
  walk->source.used = before + (repeated ? 0 : length);
  if (!repeated) say(walk, " ");
}

INLINE Open *open_top(Walk *walk) {
  return walk->opened.used ? (Open *)(walk->opened.bytes + walk->opened.used) - 1 : NULL;
}

static void enter(Walk *walk, const Tag *tag) {
  int32_t style = walk->styles[walk->style], kind = tag->kind;
  if (kind & LINE_BREAK) {
    say(walk, style & KEEPS_LINES ? "\n" : BREAK_MARK);
  } else if (kind & CELL && style & OF_TABLE) {
    say(walk, CELL_MARK);
  } else if (kind & BLOCK && style & OF_TABLE) {
    say(walk, " ");
    if (kind & ROW) close_block(walk);
  } else if (kind & BLOCK) {
    close_block(walk);
    Open one = {tag->name, walk->style};
    add(walk, &walk->opened, &one, sizeof one);
    if (kind >> STYLE) walk->style = (kind >> STYLE) - 1;
    if (kind & TABLE && !walk->tables && !inside(walk, LAYOUT, 0)) walk->style = walk->table;
  } else if (kind & SIGN) {
    say(walk, inside(walk, LINK, 0) ? GAP_MARK : RAISED_MARK);
  } else if (kind & SPACED) {
    say(walk, GAP_MARK);
    show(walk, tag);
  } else if (kind & LONG_FORM) {
    say_long_form(walk, tag);
  }
}

static void leave(Walk *walk, Span tag, int32_t kind, size_t depth) {
  Open *top = open_top(walk);
  if (top && same(top->tag, tag)) {
    close_block(walk);
    walk->style = top->style;
    walk->opened.used -= sizeof *top;
  } else if (kind & SIGN) {
    say(walk, LEVEL_MARK);
  } else if (kind & SPACED) {
    say(walk, GAP_MARK);
  } else if (kind & BLOCK && walk->styles[walk->style] & OF_TABLE) {
    say(walk, " ");
  }
  if (!walk->regions.used) return;
  Region *region = (Region *)(walk->regions.bytes + walk->regions.used) - 1;
  if (region->depth != depth) return;
  close_block(walk);
  walk->part = region->part;
  walk->regions.used -= sizeof *region;
}

static void begin_part(Walk *walk, int32_t marks, size_t depth) {
  int32_t part = marks & IS_MAIN ? MAIN : AROUND;
  if (walk->part == MAIN && part == AROUND && !(marks & IS_INNER)) return;
  close_block(walk);
  Region one = {depth, walk->part};
  add(walk, &walk->regions, &one, sizeof one);
  walk->part = part;
}

/* Passes over an element whose tag has just been read, of which nothing is seen. */
static void pass(Walk *walk, const Tag *tag) {
  if (tag->kind & VOID) return;
  if (tag->kind & VERBATIM) {
    const char *end = verbatim_end(walk, walk->at, tag->name);
    if (!end) walk->refused = 1;
    else walk->at = end + tag->name.length + 3;
    return;
  }
  size_t before = walk->tags.used; /* the names of what is open in it */
  add(walk, &walk->tags, &tag->name, sizeof tag->name);
  while (walk->tags.used > before && !walk->refused && !walk->no_memory) {
    const char *next = memchr(walk->at, '<', (size_t)(walk->end - walk->at));
    Tag one;
    walk->refused = !next || walk->end - next < 5;
    if (walk->refused) return;
    int closing = next[1] == '/';
    if (next[1] == '!') {
      walk->at = comment_end(walk, next + 4);
      walk->refused = !walk->at;
      continue;
    }
    walk->at = read_tag(walk, next + 1 + closing, &one);
    walk->refused = !walk->at || one.kind & REFUSE;
    if (walk->refused) return;
    if (closing) {
      walk->tags.used -= sizeof one.name;
      walk->refused = !same(one.name, *(Span *)(walk->tags.bytes + walk->tags.used));
    } else if (one.kind & VERBATIM) {
      const char *end = verbatim_end(walk, walk->at, one.name);
      walk->refused = !end;
      if (end) walk->at = end + one.name.length + 3;
    } else if (!(one.kind & VOID)) {
      add(walk, &walk->tags, &one.name, sizeof one.name);
    }
  }
}

/* Goes through what is inside the root, whose tag has been read. */
static void walk_over(Walk *walk, Span root, int whole) {
  size_t foreign = 0; /* the depth of what is not HTML, such as drawings */
  for (;;) {
    if (walk->refused || walk->no_memory) return;
    const char *next = memchr(walk->at, '<', (size_t)(walk->end - walk->at));
    if (!next || walk->end - next < 2) {
      walk->refused = 1;
      return;
    }
    say_decoded(walk, (Span){walk->at, (size_t)(next - walk->at)});
    size_t depth = walk->tags.used / sizeof(Span);
    Tag tag;
    if (next[1] == '!') {
      walk->at = walk->end - next < 7 ? NULL : comment_end(walk, next + 4);
      walk->refused = !walk->at;
      say(walk, GAP_MARK GAP_MARK);
      continue;
    }
    int closing = next[1] == '/';
    walk->at = read_tag(walk, next + 1 + closing, &tag);
    walk->refused |= !walk->at || tag.kind & REFUSE;
    if (walk->refused) return;
    if (closing) {
      Span opened = depth ? *((Span *)(walk->tags.bytes + walk->tags.used) - 1) : root;
      walk->refused |= !same(opened, tag.name);
      if (!depth || walk->refused) break;
      walk->tags.used -= sizeof(Span);
      walk->tables -= (tag.kind & TABLE) != 0;
      if (foreign == depth) foreign = 0;
      leave(walk, tag.name, tag.kind, depth);
      continue;
    }
    int32_t marks = marks_of(walk, &tag, whole);
    if (foreign && tag.kind & (VOID | VERBATIM)) walk->refused = 1;
    if (marks & IS_NEVER) {
      pass(walk, &tag);
      continue;
    }
    depth++;
    if (marks) begin_part(walk, marks, depth);
    enter(walk, &tag);
    if (tag.kind & VERBATIM) {
      const char *end = verbatim_end(walk, walk->at, tag.name);
      if (!end) {
        walk->refused = 1;
        return;
      }
      add(walk, &walk->source, walk->at, (size_t)(end - walk->at));
      walk->at = end + tag.name.length + 3;
      leave(walk, tag.name, tag.kind, depth);
    } else if (tag.kind & VOID) {
      leave(walk, tag.name, tag.kind, depth);
    } else {
      if (tag.kind & FOREIGN && !foreign) foreign = depth;
      walk->tables += (tag.kind & TABLE) != 0;
      add(walk, &walk->tags, &tag.name, sizeof tag.name);
    }
  }
}

EXPORTED void localsearch_html_end(Walk *walk) {
  if (!walk) return;
  Buffer *buffers[] = {&walk->source, &walk->scratch, &walk->text, &walk->tags, &walk->opened, &walk->regions, &walk->pieces};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) free(buffers[i]->bytes);
  free(walk->told);
  free(walk);
}

static Span word_at(const char *text, const char **next) {
  size_t length = strcspn(text, " ");
  *next = text + length + (text[length] == ' ');
  return (Span){text, length};
}

/* `names` has a blank after each, whose `kinds` are as many numbers; `selectors` has name, sign and value of each with a
 * blank after each three, name and value perhaps empty, whose `marks` are as many. Styles live as long as this. NULL without
 * memory or for too many. */
EXPORTED Walk *localsearch_html_begin(const char *names, const int32_t *kinds, const char *selectors, const int32_t *marks,
                                      const int32_t *styles, int32_t table, int32_t paragraph) {
  Walk *walk = calloc(1, sizeof *walk);
  size_t first = strlen(names) + 1;
  if (!walk || !(walk->told = malloc(first + strlen(selectors) + 1))) {
    localsearch_html_end(walk);
    return NULL;
  }
  memcpy(walk->told, names, first);
  memcpy(walk->told + first, selectors, strlen(selectors) + 1);
  walk->styles = styles;
  walk->table = table;
  walk->paragraph = paragraph;
  int32_t count = 0;
  for (const char *at = walk->told; *at && count < NAMES / 2; count++) {
    Span name = word_at(at, &at);
    *slot(walk, name) = (Name){name, kinds[count], 0};
  }
  for (const char *at = walk->told + first; *at && walk->selector_count < SELECTORS && count < NAMES / 2; count++) {
    Selector *one = &walk->selectors[walk->selector_count];
    one->name = word_at(at, &at);
    one->by = *word_at(at, &at).at;
    if (one->by == ' ') one->by = 0;
    one->value = word_at(at, &at);
    one->marks = *marks++;
    if (one->by) {
      walk->selector_count++;
      walk->lengths[(uint8_t)lower(*one->value.at)] |= 1u << (one->value.length & 31);
    } else { /* by its name alone */
      Name *name = slot(walk, one->name);
      if (!name->name.at) *name = (Name){one->name, has_hyphen(one->name) ? SPACED : 0, 0};
      name->marks |= one->marks;
    }
  }
  return walk;
}

/* The pieces of a page, from its body or another root on, in UTF-8. `whole` is text without anything around it. Returns
 * their number, REFUSED or NO_MEMORY. */
EXPORTED int32_t localsearch_html_walk(Walk *walk, const char *page, int32_t length, int32_t whole, Walked *walked) {
  walk->source.used = walk->text.used = walk->tags.used = walk->opened.used = walk->regions.used = walk->pieces.used = 0;
  walk->refused = walk->no_memory = walk->raw = walk->metas = walk->characters = walk->tables = 0;
  walk->at = page;
  walk->end = page + length;
  walk->style = walk->paragraph;
  walk->part = REST;
  Tag root;
  if (length < 3 || *page != '<' || !(walk->at = read_tag(walk, page + 1, &root)) || root.kind & (VOID | VERBATIM))
    return REFUSED;
  walk_over(walk, root.name, whole);
  if (!walk->refused) close_block(walk);
  if (walk->no_memory) return NO_MEMORY;
  if (walk->refused) return REFUSED;
  walked->text = walk->text.bytes;
  walked->length = (int32_t)walk->text.used;
  walked->pieces = (const Piece *)walk->pieces.bytes;
  walked->count = (int32_t)(walk->pieces.used / sizeof(Piece));
  walked->raw = walk->raw;
  walked->metas = walk->metas != 0;
  return walked->count;
}
