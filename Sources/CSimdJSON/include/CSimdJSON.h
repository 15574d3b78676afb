// A C face for simdjson's DOM parser: parse bytes, hand out the tape. Swift walks the tape itself, so that a
// field costs no call across languages. The tape's format is simdjson's documented one (doc/tape.md).
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csimdjson_parser csimdjson_parser;

enum {
    CSIMDJSON_PADDING = 64,

    // Reasons to refuse. What exactly is wrong with a text that simdjson refuses, Swift finds out (JSONDiagnosis).
    CSIMDJSON_REFUSED = 1,
    CSIMDJSON_TOO_DEEP = 2,
    CSIMDJSON_KEY_TWICE = 3,
    CSIMDJSON_TOO_LARGE = 4,
    CSIMDJSON_NO_MEMORY = 5,
};

typedef struct {
    const uint64_t *tape;    // valid until the next parse with the same parser
    const uint8_t *strings;  // the string buffer that the tape's string words point into
    size_t second_key;       // with CSIMDJSON_KEY_TWICE: how many strings of the text, keys included, stand before it
    int32_t error;           // 0 when parsed, else a reason from above
} csimdjson_result;

// Returns NULL when memory is short. `max_depth` containers may be nested, one more is refused; so is a key that is in
// one object twice, unless `keys_twice` is not 0.
csimdjson_parser *csimdjson_parser_new(size_t max_depth, int32_t keys_twice);
void csimdjson_parser_free(csimdjson_parser *parser);

// Parses `length` bytes. When `padded` is not 0 the caller promises CSIMDJSON_PADDING readable bytes behind them;
// otherwise the bytes are copied once.
csimdjson_result csimdjson_parse(csimdjson_parser *parser, const uint8_t *bytes, size_t length, int32_t padded);

// Writes the shortest digits that read back as `value`, in scientific form, without a terminator; returns the
// number of bytes (at most 32).
size_t csimdjson_shortest_digits(double value, char *out);

#ifdef __cplusplus
}
#endif
