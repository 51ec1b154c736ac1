// Splits texts into words. seqclf/_text/word_splitter.py is the reference implementation, which defines what a word is. The
// caller provides all memory. This file is compiled once, because it does not depend on the instruction set.
#include <string.h>

#include "abi.h"

namespace seqclf {
namespace {

// A token in `cleaned`, and the slot of the hash table where its search starts.
struct Token {
  int64_t start, length;
  uint64_t first_bytes, slot;
};

// The number of bytes that are cleaned together. On one processor splitting took a fifth to a third longer with 8 or 16, and no
// less with 64.
const int64_t BLOCK = 32;
// The number of tokens that are found before their ids are looked up, so that the look-ups overlap. With 800,000 words in the
// table, 32 took half the time of 1, and 128 were no faster. With a table that fits in the caches, 32 took a seventh longer
// than 1.
const int64_t MAX_FOUND = 32;
const int64_t WORD = sizeof(uint64_t);
const int64_t JOINER_BYTES = 3;  // of U+200C and U+200D in UTF-8
const uint8_t WIDE = 128;        // marks the first byte of a multi-byte character; no kind has this bit

// Eight bytes as a little-endian number.
inline uint64_t load(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, WORD);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

// The first bytes of a token, given the eight bytes `word` from its start. Bytes after the end of a shorter token are removed.
inline uint64_t first_bytes(uint64_t word, int64_t length) { return length < WORD ? word << (64 - 8 * length) : word; }

const uint64_t ONES = 0x0101010101010101, TOPS = 0x80 * ONES;

// Sets the top bit of each byte that is at least `first`; the bytes are at most 0x7f.
inline uint64_t at_least(uint64_t bytes, uint8_t first) { return bytes + (0x80 - first) * ONES; }

// The number of leading bytes, of eight, that are ASCII letters, digits or underscores. All bytes are tested at once, because
// the exit of a loop over them would be mispredicted.
inline int64_t n_letters(uint64_t word) {
  const uint64_t bytes = word & ~TOPS, small = bytes | 0x20 * ONES;
  const uint64_t letters = at_least(small, 'a') & ~at_least(small, 'z' + 1);
  const uint64_t digits =
      (at_least(bytes, '0') & ~at_least(bytes, '9' + 1)) | (at_least(bytes, '_') & ~at_least(bytes, '_' + 1));
  const uint64_t not_letters = ~(letters | digits) | word;
  return not_letters & TOPS ? __builtin_ctzll(not_letters & TOPS) / 8 : WORD;
}

// Both halves of the product. The seeds are secret, so words with equal hashes cannot be constructed.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// `n_capitals` is 26, or 0 to keep capitals.
inline uint8_t lower(uint8_t byte, uint8_t n_capitals) {
  return (uint8_t)(byte + ((uint8_t)(byte - 'A') < n_capitals ? 32 : 0));
}

// Decodes a multi-byte character and moves `at` past it. The caller encodes the texts, so they are valid.
inline uint32_t decode(const uint8_t *bytes, int64_t &at) {
  const uint8_t *c = bytes + at;
  if (c[0] < 0xe0) {
    at += 2;
    return (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu);
  }
  if (c[0] < 0xf0) {
    at += 3;
    return (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu);
  }
  at += 4;
  return (c[0] & 0x07u) << 18 | (c[1] & 0x3fu) << 12 | (c[2] & 0x3fu) << 6 | (c[3] & 0x3fu);
}

inline int64_t encode(uint32_t character, uint8_t *to) {
  if (character < 0x80) {
    to[0] = (uint8_t)character;
    return 1;
  }
  if (character < 0x800) {
    to[0] = (uint8_t)(0xc0 | character >> 6);
    to[1] = (uint8_t)(0x80 | (character & 0x3f));
    return 2;
  }
  if (character < 0x10000) {
    to[0] = (uint8_t)(0xe0 | character >> 12);
    to[1] = (uint8_t)(0x80 | (character >> 6 & 0x3f));
    to[2] = (uint8_t)(0x80 | (character & 0x3f));
    return 3;
  }
  to[0] = (uint8_t)(0xf0 | character >> 18);
  to[1] = (uint8_t)(0x80 | (character >> 12 & 0x3f));
  to[2] = (uint8_t)(0x80 | (character >> 6 & 0x3f));
  to[3] = (uint8_t)(0x80 | (character & 0x3f));
  return 4;
}

// The capacity of `cleaned` is sufficient for all replacements: two bytes become at most three. Eight spaces follow the end of
// a text, because eight bytes are loaded at any position of it.
class Splitter {
 public:
  explicit Splitter(const SplitCall &call)
      : call_(call), state_(*call.state), bytes_(call.bytes), cleaned_(call.cleaned), tokens_(call.tokens),
        starts_(call.starts), slots_(call.slots), mask_((uint64_t)call.n_slots - 1), seed_((uint64_t)call.seed),
        second_seed_((uint64_t)call.second_seed) {
    for (uint32_t byte = 0; byte < 256; byte++) kind_[byte] = byte < 0x80 ? (uint8_t)call.pages[byte] : WIDE;
    for (; state_.n_hashed < state_.n_tokens; state_.n_hashed++) insert(state_.n_hashed);
  }

  Stop run() {
    while (state_.text < call_.n_texts) {
      Stop stop = clean();
      if (stop != FINISHED) return stop;
      const int64_t n_ids_before = state_.n_ids;
      stop = split();
      call_.lengths[state_.text] += state_.n_ids - n_ids_before;
      if (stop != FINISHED) return stop;
      state_.read = call_.offsets[++state_.text];
      state_.n_cleaned = state_.split = 0;
    }
    return FINISHED;
  }

 private:
  const SplitCall &call_;
  SplitState &state_;
  const uint8_t *bytes_;
  uint8_t *cleaned_;
  uint8_t *tokens_;
  int64_t *starts_;
  int32_t *slots_;  // the id of a token plus one, so that zeroed memory is an empty table
  const uint64_t mask_, seed_, second_seed_;
  uint8_t kind_[256];  // of the first byte of a character
  bool has_unknown_ = false;

  // The entry of a multi-byte character. If it is not in `pages`, returns 0 and sets `has_unknown_`.
  uint32_t entry(uint32_t character) {
    const int32_t page = call_.page_index[character >> 8];
    if (page >= 0) return call_.pages[(int64_t)page * 256 + (character & 255)];
    has_unknown_ = true;
    state_.character = character;
    return 0;
  }

  // The kind of the character at `at`; moves `at` past it.
  uint32_t next_kind(const uint8_t *text, int64_t &at) {
    const uint32_t kind = kind_[text[at]];
    if (kind & WIDE) return entry(decode(text, at));
    at++;
    return kind;
  }

  // Writes the remaining text to `cleaned`: line breaks become a space, and characters are replaced.
  Stop clean() {
    const int64_t end = call_.offsets[state_.text + 1];
    const uint8_t n_capitals = call_.lowercase ? 26 : 0;
    int64_t read = state_.read, n_cleaned = state_.n_cleaned;
    Stop stop = FINISHED;
    while (read < end && stop == FINISHED) {
      if (end - read >= BLOCK && is_plain(bytes_ + read)) {
        copy_block(bytes_ + read, cleaned_ + n_cleaned, n_capitals);
        read += BLOCK;
        n_cleaned += BLOCK;
        continue;
      }
      const int64_t block_end = end - read < BLOCK ? end : read + BLOCK;
      while (read < block_end) {
        const uint8_t byte = bytes_[read];
        int64_t next = read + 1;
        if (byte >= 0x80) {
          next = read;
          const uint32_t entry_bits = entry(decode(bytes_, next));
          if (has_unknown_ || entry_bits & CONTEXT_DEPENDENT) {
            stop = has_unknown_ ? UNKNOWN_CHARACTER : NEEDS_CLEANING;
            break;
          }
          n_cleaned += encode(entry_bits >> 8, cleaned_ + n_cleaned);
        } else if (byte == '<' && is_break(end, next)) {
          cleaned_[n_cleaned++] = ' ';
        } else {
          if (has_unknown_) {
            stop = UNKNOWN_CHARACTER;
            break;
          }
          cleaned_[n_cleaned++] = lower(byte, n_capitals);
        }
        read = next;
      }
    }
    state_.read = read;
    state_.n_cleaned = n_cleaned;
    return stop;
  }

  // Whether the next block is ASCII and contains no start of a line break.
  static bool is_plain(const uint8_t *block) {
    uint8_t other = 0;
    for (int64_t i = 0; i < BLOCK; i++) other |= (block[i] & 0x80) | (block[i] == '<' ? 0x80 : 0);
    return !other;
  }

  static void copy_block(const uint8_t *from, uint8_t *to, uint8_t n_capitals) {
    uint8_t block[BLOCK];
    for (int64_t i = 0; i < BLOCK; i++) block[i] = lower(from[i], n_capitals);
    memcpy(to, block, BLOCK);
  }

  // Whether the `<` before `at` starts a line break, <[\s/]*br\b[^<>]*>; if so, moves `at` past it. The search stops at the
  // next `<`, so that no byte is read more than twice.
  bool is_break(int64_t end, int64_t &at) {
    int64_t i = at;
    for (int64_t next = at; i < end; i = next) {
      if (bytes_[i] == '/')
        next++;
      else if (!(next_kind(bytes_, next) & SPACE))
        break;
    }
    if (end - i < 3 || (bytes_[i] | 32) != 'b' || (bytes_[i + 1] | 32) != 'r') return false;
    int64_t next = i += 2;
    // A context-dependent character can be replaced by nothing. Then the character after it decides: the caller cleans this
    // text.
    if (next_kind(bytes_, next) & (ALNUM | CONTEXT_DEPENDENT) || has_unknown_) return false;
    while (i < end && bytes_[i] != '<' && bytes_[i] != '>') i++;
    if (i == end || bytes_[i] == '<') return false;
    at = i + 1;
    return true;
  }

  // Converts the remaining part of `cleaned` to ids. It finds several tokens and then their ids, so that their slots are
  // prefetched in between.
  Stop split() {
    const int64_t end = state_.n_cleaned;
    memset(cleaned_ + end, ' ', WORD);  // ends the last word, and makes loads of eight bytes valid
    Token tokens[MAX_FOUND];
    while (state_.split < end) {
      int64_t at = state_.split;
      const int64_t n = find_tokens(at, end, tokens);
      for (int64_t i = 0; i < n; i++) {
        const int64_t id = state_.n_ids < call_.ids_capacity ? id_of(tokens[i]) : -1;
        if (id < 0) {
          state_.split = tokens[i].start;
          return BUFFER_FULL;
        }
        call_.ids[state_.n_ids++] = (int32_t)id;
      }
      state_.split = at;
      if (has_unknown_) return UNKNOWN_CHARACTER;
    }
    return FINISHED;
  }

  // Finds the next tokens, at most MAX_FOUND, and moves `at` past the last one.
  int64_t find_tokens(int64_t &at, int64_t end, Token *tokens) {
    int64_t n = 0;
    while (at < end && n < MAX_FOUND) {
      const uint64_t word = load(cleaned_ + at);
      int64_t next = at + n_letters(word);
      if (next == at) {
        const uint32_t kind = next_kind(cleaned_, next);
        if (kind & (SPACE | JOINER)) {
          at = next;
          continue;
        }
        next = kind & LETTER ? skip_word(next) : skip_marks(next, kind);
      } else if (next == at + WORD || may_join(cleaned_[next])) {
        next = skip_word(next);
      }
      if (has_unknown_) break;
      tokens[n] = token(cleaned_ + at, next - at, word);
      tokens[n++].start = at;
      at = next;
      if (__builtin_expect(cleaned_[next] == ' ', 1)) at++;  // predicted, so the load is off the critical path
    }
    return n;
  }

  // Whether a word can continue with this byte, which is not an ASCII letter.
  static bool may_join(uint8_t byte) { return byte == '\'' || byte >= 0x80; }

  // The end of the word that continues at `at`.
  int64_t skip_word(int64_t at) {
    at = skip_letters(at);
    for (;;) {
      int64_t next = at;
      if (cleaned_[at] == '\'')
        next++;
      else
        while (is_joiner(next)) next += JOINER_BYTES;
      const int64_t end = next == at ? at : skip_letters(next);
      if (end == next) break;
      at = end;
    }
    while (is_zero_width_joiner(at)) at += JOINER_BYTES;
    return at;
  }

  bool is_joiner(int64_t at) const {
    const uint8_t *c = cleaned_ + at;
    return c[0] == 0xe2 && c[1] == 0x80 && (c[2] | 1) == 0x8d;
  }

  bool is_zero_width_joiner(int64_t at) const { return is_joiner(at) && cleaned_[at + 2] == 0x8d; }

  int64_t skip_letters(int64_t at) {
    for (;;) {
      if (cleaned_[at] >= 0x80) {
        int64_t next = at;
        if (!(entry(decode(cleaned_, next)) & LETTER)) return at;
        at = next;
      } else {
        const int64_t n = n_letters(load(cleaned_ + at));
        at += n;
        if (n < WORD && cleaned_[at] < 0x80) return at;
      }
    }
  }

  // The end of a mark whose first character, before `at`, has this kind.
  int64_t skip_marks(int64_t at, uint32_t kind) {
    while (cleaned_[at] >= 0x80) {
      int64_t next = at;
      if (kind & REGIONAL && next_kind(cleaned_, next) & REGIONAL) at = next;
      at = skip_extenders(at);
      if (!is_zero_width_joiner(at)) break;
      next = at + JOINER_BYTES;
      kind = next_kind(cleaned_, next);
      if (kind & (LETTER | SPACE | JOINER)) break;
      at = next;
    }
    return at;
  }

  int64_t skip_extenders(int64_t at) {
    while (cleaned_[at] >= 0x80) {
      int64_t next = at;
      if (!(entry(decode(cleaned_, next)) & MARK)) break;
      at = next;
    }
    return at;
  }

  // A token that starts with the eight bytes `word`; computes its hash and prefetches its slot.
  Token token(const uint8_t *bytes, int64_t length, uint64_t word) const {
    const uint64_t first = first_bytes(word, length);
    uint64_t hash = mix(first ^ seed_, second_seed_ ^ (uint64_t)length);
    if (length > WORD) {
      for (int64_t i = WORD; i < length - WORD; i += WORD) hash = mix(hash ^ load(bytes + i), second_seed_);
      hash = mix(hash ^ load(bytes + length - WORD), second_seed_);
    }
    const uint64_t slot = hash & mask_;
    __builtin_prefetch(slots_ + slot);
    return {0, length, first, slot};
  }

  // The id of a token, a new one if it has none; -1 if there is no capacity for it.
  int64_t id_of(const Token &token) {
    const uint8_t *bytes = cleaned_ + token.start;
    uint64_t slot = token.slot;
    for (; slots_[slot]; slot = (slot + 1) & mask_)
      if (is_equal(slots_[slot] - 1, token, bytes)) return slots_[slot] - 1;
    const int64_t id = state_.n_tokens, start = state_.n_token_bytes, length = token.length;
    if (id == call_.tokens_capacity || call_.token_bytes_capacity - start < length + 1 + WORD) return -1;
    memcpy(tokens_ + start, bytes, length);
    tokens_[start + length] = ' ';
    starts_[id] = start;
    starts_[id + 1] = state_.n_token_bytes = start + length + 1;
    slots_[slot] = (int32_t)id + 1;
    state_.n_tokens = state_.n_hashed = id + 1;
    return id;
  }

  bool is_equal(int64_t id, const Token &token, const uint8_t *bytes) const {
    const int64_t start = starts_[id], length = starts_[id + 1] - start - 1;
    return length == token.length && first_bytes(load(tokens_ + start), length) == token.first_bytes &&
           (length <= WORD || !memcmp(tokens_ + start + WORD, bytes + WORD, length - WORD));
  }

  // Inserts a token that has an id into new slots.
  void insert(int64_t id) {
    const uint8_t *bytes = tokens_ + starts_[id];
    uint64_t slot = token(bytes, starts_[id + 1] - starts_[id] - 1, load(bytes)).slot;
    while (slots_[slot]) slot = (slot + 1) & mask_;
    slots_[slot] = (int32_t)id + 1;
  }
};

}  // namespace
}  // namespace seqclf

// It allocates no memory, so it never returns OUT_OF_MEMORY.
SEQCLF_EXPORT int64_t seqclf_split(const SplitCall *call) { return call->state->stop = seqclf::Splitter(*call).run(); }
