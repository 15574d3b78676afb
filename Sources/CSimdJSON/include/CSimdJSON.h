// A C face for simdjson's DOM parser: parse bytes, hand out the tape. Swift walks the tape itself, so that a
// field costs no call across languages. The tape's format is simdjson's documented one (doc/tape.md).
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct csimdjson_parser csimdjson_parser;

typedef struct {
    const uint64_t *tape;    // valid until the next parse with the same parser
    const uint8_t *strings;  // the string buffer that the tape's string words point into
    int32_t error;           // 0 when parsed, else simdjson's error code
} csimdjson_result;

// Returns NULL when memory is short. `max_depth` counts nested containers.
csimdjson_parser *csimdjson_parser_new(size_t max_depth);
void csimdjson_parser_free(csimdjson_parser *parser);

// Parses `length` bytes. When `padded` is not 0 the caller promises CSIMDJSON_PADDING readable bytes behind them;
// otherwise the bytes are copied once.
csimdjson_result csimdjson_parse(csimdjson_parser *parser, const uint8_t *bytes, size_t length, int32_t padded);

// simdjson's own words for an error code; static storage.
const char *csimdjson_error_text(int32_t error);

// Writes the shortest digits that read back as `value`, in scientific form, without a terminator; returns the
// number of bytes (at most 32).
size_t csimdjson_shortest_digits(double value, char *out);

enum { CSIMDJSON_PADDING = 64 };

#ifdef __cplusplus
}
#endif
