// Texts from RFC 8259, case by case: what must be accepted (CorpusAccepted.swift), what must be refused
// (CorpusRefused.swift), and here where the RFC leaves it to the reader, with the bridge's answer.

import JSON
import Testing

struct CorpusCase: Sendable, CustomTestStringConvertible {
    enum Answer: Sendable, Equatable {
        /// Accepted, and written again as this text.
        case written(String)
        case refused(JSONError.Cause)
    }

    let name: String
    let text: [UInt8]
    let answer: Answer

    init(_ name: String, _ text: Bytes, _ answer: Answer) {
        self.name = name
        self.text = text.all
        self.answer = answer
    }

    var testDescription: String { name }
}

/// A text with bytes between, where it is no UTF-8: `["[\"", 0xFF, "\"]"]`.
struct Bytes: Sendable, ExpressibleByStringLiteral, ExpressibleByArrayLiteral {
    enum Part: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case text(String)
        case byte(UInt8)
        init(stringLiteral text: String) { self = .text(text) }
        init(integerLiteral byte: UInt8) { self = .byte(byte) }
    }

    let all: [UInt8]

    init(stringLiteral text: String) { all = Array(text.utf8) }
    init(_ text: String) { all = Array(text.utf8) }
    init(arrayLiteral parts: Part...) {
        all = parts.flatMap { part in
            switch part {
            case .text(let text): Array(text.utf8)
            case .byte(let byte): [byte]
            }
        }
    }
}

/// The RFC's open questions and the bridge's answers:
///
/// | kind | answer | why |
/// |---|---|---|
/// | number too small for a double | accepted, 0 or the nearest | as JavaScript reads it; nothing of use is lost |
/// | number beyond a double | refused | it would be written as `null` |
/// | integer beyond 64 bits | refused | rounding would change an amount or an id silently |
/// | integer beyond 2^53 − 1 | accepted, written as a string | the receiver's JavaScript would round it |
/// | half a surrogate pair | refused | it has no UTF-8 form |
/// | bytes that are not UTF-8, also UTF-16 | refused | RFC 8259 §8.1 |
/// | byte order mark | refused | RFC 8259 §8.1: must not be added |
/// | U+0000, noncharacters, private use | accepted | they are Unicode scalars |
/// | a key twice in one object | refused | readers differ in which one they take |
/// | 33 and more nested containers | refused | a limit on everything |
/// | any single value as a document | accepted | RFC 8259 §2; a mapping then finds no object |
let openCases: [CorpusCase] = [
    // Numbers
    .init("i_number_double_underflow", "[12.75e-801]", .written("[0]")),
    .init("i_number_int_underflow", "[321e-20000000]", .written("[0]")),
    .init("i_number_negative_underflow", "[-1e-400]", .written("[0]")),
    .init("i_number_subnormal", "[4.9e-324]", .written("[5e-324]")),
    .init("i_number_half_of_the_smallest", "[2e-324]", .written("[0]")),
    .init("i_number_zero_with_huge_exponent", "[0e99999999999]", .written("[0]")),
    .init("i_number_huge_exponent_with_zeros", "[0.3e007788888888888888888]", .refused(.numberBeyondDouble)),
    .init("i_number_negative_overflow", "[-1e400]", .refused(.numberBeyondDouble)),
    .init("i_number_double_overflow", "[2.5e+8888]", .refused(.numberBeyondDouble)),
    .init("i_number_integer_overflow", "[1e400]", .refused(.numberBeyondDouble)),
    .init("i_number_many_digits_overflow_negative", "[-456456e200000]", .refused(.numberBeyondDouble)),
    .init("i_number_many_digits_overflow", "[456456e200000]", .refused(.numberBeyondDouble)),
    .init("i_number_largest_double", "[1.7976931348623157e308]", .written("[1.7976931348623157e+308]")),
    .init("i_number_rounds_to_largest", "[1.7976931348623158e308]", .written("[1.7976931348623157e+308]")),
    .init("i_number_rounds_beyond", "[1.7976931348623159e308]", .refused(.numberBeyondDouble)),
    .init("i_number_many_fraction_digits", "[0.1000000000000000055511151231257827]", .written("[0.1]")),
    .init("i_integer_2_53_minus_1", "[9007199254740991]", .written("[9007199254740991]")),
    .init("i_integer_2_53", "[9007199254740992]", .written("[\"9007199254740992\"]")),
    .init("i_integer_minus_2_53", "[-9007199254740992]", .written("[\"-9007199254740992\"]")),
    .init("i_integer_largest_signed", "[9223372036854775807]", .written("[\"9223372036854775807\"]")),
    .init("i_integer_smallest_signed", "[-9223372036854775808]", .written("[\"-9223372036854775808\"]")),
    .init("i_integer_largest_unsigned", "[18446744073709551615]", .written("[\"18446744073709551615\"]")),
    .init("i_integer_below_smallest", "[-9223372036854775809]", .refused(.integerBeyond64Bits)),
    .init("i_integer_above_largest", "[18446744073709551616]", .refused(.integerBeyond64Bits)),
    .init("i_integer_21_digits", "[200000000000000000000]", .refused(.integerBeyond64Bits)),
    .init("i_integer_30_digits_negative", "[-987987987987987987987987987987]", .refused(.integerBeyond64Bits)),
    .init(
        "i_integer_48_digits", "[-123456123456123456123456123456123456123456123456]", .refused(.integerBeyond64Bits)),
    .init("i_integer_as_double", "[18446744073709551616.0]", .written("[18446744073709552000]")),
    .init("i_integer_as_exponent", "[1e20]", .written("[100000000000000000000]")),
    .init("i_number_minus_zero", "[-0,-0.0,-0e1]", .written("[0,0,0]")),

    // Surrogates in escapes
    .init("i_surrogate_key_low_alone", "{\"\\udd00\":1}", .refused(.loneSurrogate)),
    .init("i_surrogate_key_high_alone", "{\"\\ud900\":1}", .refused(.loneSurrogate)),
    .init("i_surrogate_high_alone", "[\"\\ud83d\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_alone_upper_case", "[\"\\uDBFF\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_low_alone", "[\"\\udfff\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_low_first_of_range", "[\"\\udc00\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_letter", "[\"\\ud83dabc\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_other_escape", "[\"\\ud83d\\t\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_scalar_escape", "[\"\\ud83d\\u0041\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_high", "[\"\\ud83d\\ud83d\\r\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_beyond_low", "[\"\\ud83d\\ue000\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_low_then_high", "[\"\\ude00\\ud83d\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_low_then_letter", "[\"\\uDe0a!\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_pair_then_low", "[\"\\ud83d\\ude00\\ude00\"]", .refused(.loneSurrogate)),
    .init("i_surrogate_high_then_escaped_backslash", "[\"\\ud83d\\\\ude00\"]", .refused(.loneSurrogate)),

    // Bytes that are not UTF-8
    .init("i_utf8_ff", ["[\"", 0xFF, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_fe", ["[\"", 0xFE, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_latin_1", ["[\"caf", 0xE9, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_continuation_alone", ["[\"", 0x9A, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_lead_alone", ["[\"", 0xC3, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_cut_three", ["[\"", 0xE2, 0x82, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_cut_four", ["[\"", 0xF0, 0x9F, 0x98, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_wrong_continuation", ["[\"", 0xE1, 0xFE, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_wrong_third", ["[\"", 0xE2, 0x82, 0x28, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_wrong_fourth", ["[\"", 0xF0, 0x9F, 0x98, 0x28, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_beyond_unicode", ["[\"", 0xF4, 0x90, 0x80, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_far_beyond_unicode", ["[\"", 0xF5, 0x80, 0x80, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_overlong_slash", ["[\"", 0xC0, 0xAE, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_overlong_two", ["[\"", 0xC1, 0xBF, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_overlong_nul", ["[\"", 0xC0, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_overlong_three", ["[\"", 0xE0, 0x9F, 0xBF, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_overlong_four", ["[\"", 0xF0, 0x8F, 0xBF, 0xBF, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_five_bytes", ["[\"", 0xF8, 0x88, 0x80, 0x80, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_six_bytes", ["[\"", 0xFC, 0x84, 0x80, 0x80, 0x80, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_six_bytes_nul", ["[\"", 0xFC, 0x80, 0x80, 0x80, 0x80, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_surrogate_high", ["[\"", 0xED, 0xA0, 0xBD, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_surrogate_low", ["[\"", 0xED, 0xBF, 0xBF, "\"]"], .refused(.notUTF8)),
    .init(
        "i_utf8_surrogate_pair_in_six_bytes", ["[\"", 0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80, "\"]"], .refused(.notUTF8)),
    .init("i_utf8_in_key", ["{\"", 0xFF, "\":1}"], .refused(.notUTF8)),
    .init("i_utf16_little_endian_with_mark", [0xFF, 0xFE, "[", 0, "]", 0], .refused(.unexpectedCharacter)),
    .init("i_utf16_big_endian", [0, "[", 0, "]"], .refused(.unexpectedCharacter)),
    .init("i_utf16_little_endian", ["[", 0, "1", 0, "]", 0], .refused(.unexpectedCharacter)),
    .init("i_bom_before_object", [0xEF, 0xBB, 0xBF, "{}"], .refused(.byteOrderMark)),
    .init("i_bom_before_array", [0xEF, 0xBB, 0xBF, "[1]"], .refused(.byteOrderMark)),
    .init("i_bom_inside_string", "[\"\u{feff}\"]", .written("[\"\u{feff}\"]")),

    // Text that some readers stumble over
    .init("i_text_nul", "[\"a\\u0000b\"]", .written("[\"a\\u0000b\"]")),
    .init("i_text_nul_in_key", "{\"a\\u0000b\":1,\"a\":2}", .written("{\"a\\u0000b\":1,\"a\":2}")),
    .init(
        "i_text_noncharacter", "[\"\\uffff\\ufdd0\"]",
        .written("[\"\(Unicode.Scalar(0xFFFF as UInt16)!)\(Unicode.Scalar(0xFDD0 as UInt16)!)\"]")),
    .init("i_text_last_scalar", "[\"\\udbff\\udfff\"]", .written("[\"\u{10ffff}\"]")),

    // Depth
    .init("i_depth_32", Bytes(nest("[", 32, "", "]")), .written(nest("[", 32, "", "]"))),
    .init("i_depth_32_around_a_value", Bytes(nest("[", 32, "1", "]")), .written(nest("[", 32, "1", "]"))),
    .init("i_depth_32_objects", Bytes(nest("{\"a\":", 32, "1", "}")), .written(nest("{\"a\":", 32, "1", "}"))),
    .init(
        "i_depth_32_twice", Bytes("[\(nest("[", 31, "1", "]")),\(nest("[", 31, "", "]"))]"),
        .written("[\(nest("[", 31, "1", "]")),\(nest("[", 31, "", "]"))]")),
    .init("i_depth_33", Bytes(nest("[", 33, "", "]")), .refused(.tooDeep)),
    .init("i_depth_33_around_a_value", Bytes(nest("[", 33, "1", "]")), .refused(.tooDeep)),
    .init("i_depth_33_objects", Bytes(nest("{\"a\":", 33, "1", "}")), .refused(.tooDeep)),
    .init("i_depth_33_empty_object_last", Bytes(nest("[", 32, "{}", "]")), .refused(.tooDeep)),
    .init("i_depth_33_mixed", Bytes("[" + nest("{\"a\":", 32, "[]", "}") + "]"), .refused(.tooDeep)),
    .init("i_depth_600", Bytes(nest("[", 600, "", "]")), .refused(.tooDeep)),

    // Keys twice
    .init("i_key_twice", "{\"a\":1,\"a\":2}", .refused(.keyTwice)),
    .init("i_key_twice_same_value", "{\"a\":1,\"a\":1}", .refused(.keyTwice)),
    .init("i_key_twice_escaped", "{\"a\":1,\"\\u0061\":2}", .refused(.keyTwice)),
    .init("i_key_twice_surrogates", "{\"\\ud83d\\ude00\":1,\"😀\":2}", .refused(.keyTwice)),
    .init("i_key_twice_empty", "{\"\":1,\"\":2}", .refused(.keyTwice)),
    .init("i_key_twice_apart", "{\"a\":1,\"b\":{\"a\":[{\"a\":0}]},\"c\":[1,2.5],\"a\":2}", .refused(.keyTwice)),
    .init("i_key_twice_deep", "[1,{\"b\":[[{\"x\":{},\"y\":-1,\"x\":{}}]]}]", .refused(.keyTwice)),
    .init("i_key_twice_long", "{\"customerAddressLine\":1,\"customerAddressLine\":2}", .refused(.keyTwice)),
    .init(
        "i_key_similar", "{\"customerA_Line1\":1,\"customerB_Line1\":2,\"A\":3,\"a\":4,\"\\u00e9\":5,\"e\\u0301\":6}",
        .written("{\"customerA_Line1\":1,\"customerB_Line1\":2,\"A\":3,\"a\":4,\"é\":5,\"e\u{301}\":6}")),
    .init(
        "i_key_same_ends", "{\"12345678a12345678\":1,\"12345678b12345678\":2}",
        .written("{\"12345678a12345678\":1,\"12345678b12345678\":2}")),
    .init(
        "i_key_in_different_objects", "{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}",
        .written("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":2}]}")),
]

func nest(_ begin: String, _ depth: Int, _ inner: String, _ end: String) -> String {
    String(repeating: begin, count: depth) + inner + String(repeating: end, count: depth)
}
