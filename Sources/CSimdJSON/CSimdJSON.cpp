// See CSimdJSON.h. No exception may cross into Swift, so every entry is noexcept and allocations are nothrow.
#include "CSimdJSON.h"

#include <simdjson.h>

#include <charconv>
#include <new>

#include "TapeCheck.hpp"

static_assert(CSIMDJSON_PADDING >= simdjson::SIMDJSON_PADDING, "padding promised to Swift is too small");

struct csimdjson_parser {
    simdjson::dom::parser parser;
    TapeCheck check;
    size_t max_depth;
    bool ready;
};

extern "C" csimdjson_parser *csimdjson_parser_new(size_t max_depth, int32_t keys_twice) {
    auto *made = new (std::nothrow) csimdjson_parser{simdjson::dom::parser(), TapeCheck(max_depth, keys_twice != 0),
                                                    max_depth, false};
    if (made != nullptr && !made->check.usable()) {
        delete made;
        return nullptr;
    }
    return made;
}

extern "C" void csimdjson_parser_free(csimdjson_parser *parser) { delete parser; }

extern "C" csimdjson_result csimdjson_parse(csimdjson_parser *parser, const uint8_t *bytes, size_t length,
                                            int32_t padded) {
    csimdjson_result result{nullptr, nullptr, 0, 0};
    // Newer versions of simdjson skip the mark.
    if (length >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF) {
        result.error = CSIMDJSON_REFUSED;
        return result;
    }
    if (!parser->ready || parser->parser.capacity() < length) {
        // The depth limit is only settable through allocate(); room for the next power of two avoids growing often.
        // simdjson refuses the limit itself but passes an empty container at it, so it gets one more and TapeCheck counts.
        size_t room = 4096;
        while (room < length && room <= SIZE_MAX / 2) room *= 2;
        auto error = parser->parser.allocate(room, parser->max_depth + 1);
        if (error) {
            result.error = error == simdjson::MEMALLOC ? CSIMDJSON_NO_MEMORY : CSIMDJSON_TOO_LARGE;
            return result;
        }
        parser->ready = true;
    }
    auto parsed = parser->parser.parse(bytes, length, padded == 0);
    switch (parsed.error()) {
        case simdjson::SUCCESS: break;
        case simdjson::MEMALLOC: result.error = CSIMDJSON_NO_MEMORY; return result;
        case simdjson::CAPACITY: result.error = CSIMDJSON_TOO_LARGE; return result;
        default: result.error = CSIMDJSON_REFUSED; return result;
    }
    const uint64_t *tape = parser->parser.doc.tape.get();
    const uint8_t *strings = parser->parser.doc.string_buf.get();
    size_t place = 0;
    result.error = parser->check.run(tape, strings, place);
    if (result.error == 0) {
        result.tape = tape;
        result.strings = strings;
    } else if (result.error == CSIMDJSON_KEY_TWICE) {
        result.second_key = parser->check.strings_before(place);
    }
    return result;
}

extern "C" size_t csimdjson_shortest_digits(double value, char *out) {
    auto end = std::to_chars(out, out + 32, value, std::chars_format::scientific);
    return static_cast<size_t>(end.ptr - out);
}
