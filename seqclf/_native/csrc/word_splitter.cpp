// Texts into words: the compiled twin of seqclf/_text/word_splitter.py, which says what a word is. It works on plain memory and
// is compiled once, because text does not depend on the instruction set.
#include <string.h>

#include "abi.h"

namespace seqclf {
namespace {

// A token that was found in `cleaned`, and where in the table it is looked for.
struct Token {
  int64_t start, length;
  uint64_t first_bytes, place;
};

// Bytes that are cleaned together. With 8 or 16 splitting took a fifth to a third longer on one processor, with 64 as long.
const int64_t BLOCK = 32;
// Tokens that are found together, before their numbers are looked up. With 800,000 words in the table, splitting took half the
// time that it took with one token, and with 128 no less. Where the table fits into the caches it took a seventh longer.
const int64_t BATCH = 32;
const int64_t WORD = sizeof(uint64_t);
const int64_t JOINER_BYTES = 3;  // of U+200C and U+200D in UTF-8
const uint8_t WIDE = 128;        // the first byte of a character that has several: the bit that no kind has

// Eight bytes, the first one the lowest.
inline uint64_t load(const uint8_t *at) {
  uint64_t word;
  memcpy(&word, at, WORD);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

// The first bytes of a token, where `word` are eight from its beginning: whatever lies behind a shorter token drops out.
inline uint64_t first_bytes(uint64_t word, int64_t length) { return length < WORD ? word << (64 - 8 * length) : word; }

const uint64_t ONES = 0x0101010101010101, TOPS = 0x80 * ONES;

// The top bit of each byte that is `first` or larger, up to 0x7f.
inline uint64_t from(uint64_t bytes, uint8_t first) { return bytes + (0x80 - first) * ONES; }

// How many of eight bytes, from the first on, are letters, digits or underscores of ASCII. Asked for all bytes at once: a loop
// over them would end where the processor does not expect it.
inline int64_t n_letters(uint64_t word) {
  const uint64_t bytes = word & ~TOPS, small = bytes | 0x20 * ONES;
  const uint64_t letters = from(small, 'a') & ~from(small, 'z' + 1);
  const uint64_t others = (from(bytes, '0') & ~from(bytes, '9' + 1)) | (from(bytes, '_') & ~from(bytes, '_' + 1));
  const uint64_t none = ~(letters | others) | word;
  return none & TOPS ? __builtin_ctzll(none & TOPS) / 8 : WORD;
}

// Both halves of the product: with secret factors nobody can choose words that end in the same place.
inline uint64_t mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// `n_capitals` is 26, or 0 to leave them as they are.
inline uint8_t lower(uint8_t byte, uint8_t n_capitals) {
  return (uint8_t)(byte + ((uint8_t)(byte - 'A') < n_capitals ? 32 : 0));
}

// A character of several bytes; `at` moves behind it. The caller's encoder made them: they are well formed.
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

// `cleaned` has room for whatever characters are read as: two bytes become three at most. Behind the end of a text there are
// eight spaces, and words of eight bytes are read from any byte up to these.
class Splitter {
 public:
  explicit Splitter(const SplitCall &call)
      : call_(call), state_(*call.state), bytes_(call.bytes), cleaned_(call.cleaned), tokens_(call.tokens),
        starts_(call.starts), slots_(call.slots), mask_((uint64_t)call.n_slots - 1), seed_((uint64_t)call.seed),
        second_seed_((uint64_t)call.second_seed) {
    for (uint32_t byte = 0; byte < 256; byte++) kind_[byte] = byte < 0x80 ? (uint8_t)call.pages[byte] : WIDE;
    for (; state_.n_hashed < state_.n_tokens; state_.n_hashed++) file(state_.n_hashed);
  }

  Stop run() {
    while (state_.text < call_.n_texts) {
      Stop stop = clean();
      if (stop != FINISHED) return stop;
      const int64_t n_before = state_.n_ids;
      stop = split();
      call_.lengths[state_.text] += state_.n_ids - n_before;
      if (stop != FINISHED) return stop;
      state_.read = call_.offsets[++state_.text];
      state_.written = state_.split = 0;
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
  int32_t *slots_;  // the number of a token plus one, so that zeroed memory is an empty table
  const uint64_t mask_, seed_, second_seed_;
  uint8_t kind_[256];  // of the first byte of a character
  bool lacking_ = false;

  // What is known of a character of several bytes; of one that is not in the table nothing, and `lacking_` says so.
  uint32_t entry(uint32_t character) {
    const int32_t page = call_.page_index[character >> 8];
    if (page >= 0) return call_.pages[(int64_t)page * 256 + (character & 255)];
    lacking_ = true;
    state_.character = character;
    return 0;
  }

  // The kind of the character at `at`, which moves behind it.
  uint32_t next_kind(const uint8_t *text, int64_t &at) {
    const uint32_t kind = kind_[text[at]];
    if (kind & WIDE) return entry(decode(text, at));
    at++;
    return kind;
  }

  // The rest of this text into `cleaned`: line breaks become a space, characters what they are read as.
  Stop clean() {
    const int64_t end = call_.offsets[state_.text + 1];
    const uint8_t n_capitals = call_.lowercase ? 26 : 0;
    int64_t read = state_.read, written = state_.written;
    Stop stop = FINISHED;
    while (read < end && stop == FINISHED) {
      if (end - read >= BLOCK && is_plain(bytes_ + read)) {
        copy_block(bytes_ + read, cleaned_ + written, n_capitals);
        read += BLOCK;
        written += BLOCK;
        continue;
      }
      const int64_t block_end = end - read < BLOCK ? end : read + BLOCK;
      while (read < block_end) {
        const uint8_t byte = bytes_[read];
        int64_t next = read + 1;
        if (byte >= 0x80) {
          next = read;
          const uint32_t known = entry(decode(bytes_, next));
          if (lacking_ || known & CONTEXT_DEPENDENT) {
            stop = lacking_ ? UNKNOWN_CHARACTER : NEEDS_CLEANING;
            break;
          }
          written += encode(known >> 8, cleaned_ + written);
        } else if (byte == '<' && is_break(end, next)) {
          cleaned_[written++] = ' ';
        } else {
          if (lacking_) {
            stop = UNKNOWN_CHARACTER;
            break;
          }
          cleaned_[written++] = lower(byte, n_capitals);
        }
        read = next;
      }
    }
    state_.read = read;
    state_.written = written;
    return stop;
  }

  // Whether the next block is ASCII without the beginning of a line break.
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

  // Whether a line break, <[\s/]*br\b[^<>]*>, stands before `at`; if so `at` moves behind it. It ends where the next one could
  // begin, so that no byte is looked at more than twice.
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
    // A character that shows nothing may hide what comes after it: the text will be cleaned by the caller.
    if (next_kind(bytes_, next) & (ALNUM | CONTEXT_DEPENDENT) || lacking_) return false;
    while (i < end && bytes_[i] != '<' && bytes_[i] != '>') i++;
    if (i == end || bytes_[i] == '<') return false;
    at = i + 1;
    return true;
  }

  // The rest of `cleaned` into ids: some tokens are found, and then their numbers, whose places in memory come meanwhile.
  Stop split() {
    const int64_t end = state_.written;
    memset(cleaned_ + end, ' ', WORD);  // ends the last word, and is read with it
    Token tokens[BATCH];
    while (state_.split < end) {
      int64_t at = state_.split;
      const int64_t n = find_tokens(at, end, tokens);
      for (int64_t i = 0; i < n; i++) {
        const int64_t number = state_.n_ids < call_.ids_room ? number_of(tokens[i]) : -1;
        if (number < 0) {
          state_.split = tokens[i].start;
          return NO_ROOM;
        }
        call_.ids[state_.n_ids++] = (int32_t)number;
      }
      state_.split = at;
      if (lacking_) return UNKNOWN_CHARACTER;
    }
    return FINISHED;
  }

  // The next tokens, at most BATCH of them; `at` moves behind the last one.
  int64_t find_tokens(int64_t &at, int64_t end, Token *tokens) {
    int64_t n = 0;
    while (at < end && n < BATCH) {
      const uint64_t word = load(cleaned_ + at);
      int64_t next = at + n_letters(word);
      if (next == at) {
        const uint32_t kind = next_kind(cleaned_, next);
        if (kind & (SPACE | JOINER)) {
          at = next;
          continue;
        }
        next = kind & LETTER ? behind_word(next) : behind_marks(next, kind);
      } else if (next == at + WORD || may_join(cleaned_[next])) {
        next = behind_word(next);
      }
      if (lacking_) break;
      tokens[n] = token(cleaned_ + at, next - at, word);
      tokens[n++].start = at;
      at = next;
      if (__builtin_expect(cleaned_[next] == ' ', 1)) at++;  // guessed, and not waited for
    }
    return n;
  }

  // Whether a word may go on with this byte, which is no letter of ASCII.
  static bool may_join(uint8_t byte) { return byte == '\'' || byte >= 0x80; }

  // Behind the rest of a word.
  int64_t behind_word(int64_t at) {
    at = behind_letters(at);
    for (;;) {
      int64_t next = at;
      if (cleaned_[at] == '\'')
        next++;
      else
        while (is_joiner(next)) next += JOINER_BYTES;
      const int64_t rest = next == at ? at : behind_letters(next);
      if (rest == next) break;
      at = rest;
    }
    while (is_zero_width_joiner(at)) at += JOINER_BYTES;
    return at;
  }

  bool is_joiner(int64_t at) const {
    const uint8_t *c = cleaned_ + at;
    return c[0] == 0xe2 && c[1] == 0x80 && (c[2] | 1) == 0x8d;
  }

  bool is_zero_width_joiner(int64_t at) const { return is_joiner(at) && cleaned_[at + 2] == 0x8d; }

  int64_t behind_letters(int64_t at) {
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

  // Behind a mark that began with a character of this kind, and what belongs to it.
  int64_t behind_marks(int64_t at, uint32_t kind) {
    while (cleaned_[at] >= 0x80) {
      int64_t next = at;
      if (kind & REGIONAL && next_kind(cleaned_, next) & REGIONAL) at = next;
      at = behind_extenders(at);
      if (!is_zero_width_joiner(at)) break;
      next = at + JOINER_BYTES;
      kind = next_kind(cleaned_, next);
      if (kind & (LETTER | SPACE | JOINER)) break;
      at = next;
    }
    return at;
  }

  int64_t behind_extenders(int64_t at) {
    while (cleaned_[at] >= 0x80) {
      int64_t next = at;
      if (!(entry(decode(cleaned_, next)) & MARK)) break;
      at = next;
    }
    return at;
  }

  // A token, of which `word` is the beginning, on its way into the hash table.
  Token token(const uint8_t *bytes, int64_t length, uint64_t word) const {
    const uint64_t first = first_bytes(word, length);
    uint64_t hash = mix(first ^ seed_, second_seed_ ^ (uint64_t)length);
    if (length > WORD) {
      for (int64_t i = WORD; i < length - WORD; i += WORD) hash = mix(hash ^ load(bytes + i), second_seed_);
      hash = mix(hash ^ load(bytes + length - WORD), second_seed_);
    }
    const uint64_t place = hash & mask_;
    __builtin_prefetch(slots_ + place);
    return {0, length, first, place};
  }

  // The number of a token, a new one where it has none; -1 where there is no room for that.
  int64_t number_of(const Token &token) {
    const uint8_t *bytes = cleaned_ + token.start;
    uint64_t place = token.place;
    for (; slots_[place]; place = (place + 1) & mask_)
      if (is(slots_[place] - 1, token, bytes)) return slots_[place] - 1;
    const int64_t number = state_.n_tokens, start = state_.n_token_bytes, length = token.length;
    if (number == call_.tokens_room || call_.token_bytes_room - start < length + 1 + WORD) return -1;
    memcpy(tokens_ + start, bytes, length);
    tokens_[start + length] = ' ';
    starts_[number] = start;
    starts_[number + 1] = state_.n_token_bytes = start + length + 1;
    slots_[place] = (int32_t)number + 1;
    state_.n_tokens = state_.n_hashed = number + 1;
    return number;
  }

  bool is(int64_t number, const Token &token, const uint8_t *bytes) const {
    const int64_t start = starts_[number], length = starts_[number + 1] - start - 1;
    return length == token.length && first_bytes(load(tokens_ + start), length) == token.first_bytes &&
           (length <= WORD || !memcmp(tokens_ + start + WORD, bytes + WORD, length - WORD));
  }

  // A token that has its number already into slots that are new.
  void file(int64_t number) {
    const uint8_t *bytes = tokens_ + starts_[number];
    uint64_t place = token(bytes, starts_[number + 1] - starts_[number] - 1, load(bytes)).place;
    while (slots_[place]) place = (place + 1) & mask_;
    slots_[place] = (int32_t)number + 1;
  }
};

}  // namespace
}  // namespace seqclf

// It allocates nothing.
SEQCLF_EXPORT int64_t seqclf_split(const SplitCall *call) { return call->state->stop = seqclf::Splitter(*call).run(); }
