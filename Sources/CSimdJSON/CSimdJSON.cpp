// See CSimdJSON.h. No exception may cross into Swift, so every entry is noexcept and allocations are nothrow.
#include "CSimdJSON.h"

#include <simdjson.h>

#include <charconv>
#include <new>

static_assert(CSIMDJSON_PADDING >= simdjson::SIMDJSON_PADDING, "padding promised to Swift is too small");

struct csimdjson_parser {
    simdjson::dom::parser parser;
    size_t max_depth;
    bool ready;
};

extern "C" csimdjson_parser *csimdjson_parser_new(size_t max_depth) {
    auto *made = new (std::nothrow) csimdjson_parser{simdjson::dom::parser(), max_depth, false};
    return made;
}

extern "C" void csimdjson_parser_free(csimdjson_parser *parser) { delete parser; }

extern "C" csimdjson_result csimdjson_parse(csimdjson_parser *parser, const uint8_t *bytes, size_t length,
                                            int32_t padded) {
    csimdjson_result result{nullptr, nullptr, 0};
    if (!parser->ready || parser->parser.capacity() < length) {
        // The depth limit is only settable through allocate(); room for the next power of two avoids growing often.
        size_t room = 4096;
        while (room < length) room *= 2;
        auto error = parser->parser.allocate(room, parser->max_depth);
        if (error) {
            result.error = error;
            return result;
        }
        parser->ready = true;
    }
    auto parsed = parser->parser.parse(bytes, length, padded == 0);
    if (parsed.error()) {
        result.error = parsed.error();
        return result;
    }
    result.tape = parser->parser.doc.tape.get();
    result.strings = parser->parser.doc.string_buf.get();
    return result;
}

extern "C" const char *csimdjson_error_text(int32_t error) {
    return simdjson::error_message(static_cast<simdjson::error_code>(error));
}

extern "C" size_t csimdjson_shortest_digits(double value, char *out) {
    auto end = std::to_chars(out, out + 32, value, std::chars_format::scientific);
    return static_cast<size_t>(end.ptr - out);
}
