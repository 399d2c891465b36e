/* Whether bytes are text as localsearch/extract/decode.py leaves it: UTF-8 in which there is nothing to drop; and whether
 * there are words in it.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

enum { STRIDE = 64 };

/* A sign of ASCII that is kept as it is; an escape may begin what is dropped. */
INLINE int kept(uint8_t c) { return (c >= 0x20 && c < 0x7f) || (c >= '\t' && c <= '\f'); }

INLINE int follows(const uint8_t *at, size_t left, size_t count) {
  int found = left > count;
  for (size_t i = 1; found && i <= count; i++) found = (at[i] & 0xc0) == 0x80;
  return found;
}

/* Bytes of the character beyond ASCII at `at`; 0 where it is none, or one that is dropped. */
static size_t beyond(const uint8_t *at, size_t left) {
  uint8_t c = *at;
  if (c >= 0xc2 && c <= 0xdf) return follows(at, left, 1) && !(c == 0xc2 && at[1] == 0xad) ? 2 : 0;
  if (c >= 0xe0 && c <= 0xef) {
    if (!follows(at, left, 2) || (c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f)) return 0;
    if (c == 0xef && ((at[1] == 0xb7 && (at[2] | 1) == 0x91) || (at[1] == 0xbb && at[2] == 0xbf))) return 0;
    return 3;
  }
  if (c < 0xf0 || c > 0xf4 || !follows(at, left, 3)) return 0;
  return (c == 0xf0 && at[1] < 0x90) || (c == 0xf4 && at[1] > 0x8f) ? 0 : 4;
}

EXPORTED int32_t localsearch_plain(const uint8_t *bytes, size_t length) {
  for (size_t at = 0; at < length;) {
    if (length - at >= STRIDE) {
      uint8_t other = 0;
      for (size_t i = 0; i < STRIDE; i++) other |= !kept(bytes[at + i]);
      if (!other) {
        at += STRIDE;
        continue;
      }
    }
    size_t end = length - at < STRIDE ? length : at + STRIDE;
    while (at < end) {
      size_t size = kept(bytes[at]) ? 1 : bytes[at] < 0x80 ? 0 : beyond(bytes + at, length - at);
      if (!size) return 0;
      at += size;
    }
  }
  return 1;
}

/* Whether one of `words`, with a blank after each, stands in the bytes. */
EXPORTED int32_t localsearch_holds(const uint8_t *bytes, size_t length, const char *words) {
  for (; *words; words += strcspn(words, " ") + 1)
    if (memmem(bytes, length, words, strcspn(words, " "))) return 1;
  return 0;
}
