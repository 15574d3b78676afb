// What RFC 8259 allows, and how the bridge writes it: as JavaScript's `JSON.stringify(JSON.parse(text))`.

private func y(_ name: String, _ text: Bytes, _ written: String) -> CorpusCase {
    CorpusCase("y_" + name, text, .written(written))
}

let acceptedCases: [CorpusCase] = [
    // Documents
    y("document_string", "\"text\"", "\"text\""),
    y("document_number", "42", "42"),
    y("document_negative", "-7.5", "-7.5"),
    y("document_true", "true", "true"),
    y("document_false", "false", "false"),
    y("document_null", "null", "null"),
    y("document_empty_string", "\"\"", "\"\""),
    y("document_white_space", " \t\r\n[]\n\r\t ", "[]"),
    y("document_final_newline", "{\"a\":1}\n", "{\"a\":1}"),
    y("document_leading_newlines", "\n\n1", "1"),

    // Arrays
    y("array_empty", "[]", "[]"),
    y("array_empty_with_space", "[ \n ]", "[]"),
    y("array_one", "[1]", "[1]"),
    y("array_mixed", "[null,1,\"1\",{},[],true,false,1.5]", "[null,1,\"1\",{},[],true,false,1.5]"),
    y("array_nested_empty", "[[],[[]],[[],[]]]", "[[],[[]],[[],[]]]"),
    y("array_space_everywhere", " [ 1 , 2 ,\t3\n,\r4 ] ", "[1,2,3,4]"),
    y("array_empty_string", "[\"\"]", "[\"\"]"),
    y("array_nulls", "[1,null,null,2]", "[1,null,null,2]"),
    y("array_literals_close", "[true,false,null]", "[true,false,null]"),

    // Objects
    y("object_empty", "{}", "{}"),
    y("object_empty_with_space", "{ \t }", "{}"),
    y("object_one", "{\"a\":1}", "{\"a\":1}"),
    y("object_empty_key", "{\"\":0}", "{\"\":0}"),
    y("object_order_kept", "{\"z\":1,\"a\":2,\"m\":3}", "{\"z\":1,\"a\":2,\"m\":3}"),
    y("object_space_everywhere", "{ \"a\" :\n1 ,\t\"b\"\r: [ ] }", "{\"a\":1,\"b\":[]}"),
    y("object_escaped_key", "{\"\\u0061\\n\":1}", "{\"a\\n\":1}"),
    y("object_key_with_escaped_nul", "{\"x\\u0000y\":1}", "{\"x\\u0000y\":1}"),
    y(
        "object_long_key", Bytes("{\"\(String(repeating: "k", count: 300))\":1}"),
        "{\"\(String(repeating: "k", count: 300))\":1}"),
    y("object_nested", "{\"a\":{\"b\":{\"c\":{}}}}", "{\"a\":{\"b\":{\"c\":{}}}}"),
    y("object_key_like_json", "{\"{\\\"a\\\":1}\":[\"[]\"]}", "{\"{\\\"a\\\":1}\":[\"[]\"]}"),
    y("object_proto", "{\"__proto__\":{\"a\":1},\"b\":2}", "{\"__proto__\":{\"a\":1},\"b\":2}"),
    y(
        "object_constructor", "{\"constructor\":1,\"toString\":2,\"toJSON\":3,\"length\":4}",
        "{\"constructor\":1,\"toString\":2,\"toJSON\":3,\"length\":4}"),

    // Keys that JavaScript takes for array indices come first, ascending
    y("object_index_first", "{\"b\":1,\"2\":2,\"a\":3,\"1\":4}", "{\"1\":4,\"2\":2,\"b\":1,\"a\":3}"),
    y("object_index_numeric_order", "{\"10\":1,\"9\":2,\"100\":3}", "{\"9\":2,\"10\":1,\"100\":3}"),
    y("object_index_zero", "{\"a\":1,\"0\":2}", "{\"0\":2,\"a\":1}"),
    y(
        "object_index_leading_zero_is_none", "{\"b\":1,\"01\":2,\"00\":3,\"1\":4}",
        "{\"1\":4,\"b\":1,\"01\":2,\"00\":3}"),
    y(
        "object_index_sign_is_none", "{\"b\":1,\"-1\":2,\"+1\":3,\"1.0\":4,\" 1\":5}",
        "{\"b\":1,\"-1\":2,\"+1\":3,\"1.0\":4,\" 1\":5}"),
    y("object_index_largest", "{\"b\":1,\"4294967294\":2}", "{\"4294967294\":2,\"b\":1}"),
    y("object_index_one_too_large", "{\"b\":1,\"4294967295\":2}", "{\"b\":1,\"4294967295\":2}"),
    y("object_index_ten_digits", "{\"b\":1,\"9999999999\":2}", "{\"b\":1,\"9999999999\":2}"),
    y("object_index_eleven_digits", "{\"b\":1,\"10000000000\":2}", "{\"b\":1,\"10000000000\":2}"),
    y("object_index_escaped", "{\"b\":1,\"\\u0031\":2}", "{\"1\":2,\"b\":1}"),
    y(
        "object_index_nested", "{\"b\":{\"x\":{\"d\":0,\"3\":1},\"7\":[{\"c\":0,\"5\":1}]},\"4\":{\"y\":0,\"2\":1}}",
        "{\"4\":{\"2\":1,\"y\":0},\"b\":{\"7\":[{\"5\":1,\"c\":0}],\"x\":{\"3\":1,\"d\":0}}}"),
    y("object_index_only", "{\"3\":1,\"2\":1,\"1\":1}", "{\"1\":1,\"2\":1,\"3\":1}"),
    y("object_index_non_ascii_digit_is_none", "{\"b\":1,\"\u{661}\":2}", "{\"b\":1,\"\u{661}\":2}"),

    // Numbers
    y("number_zero", "[0]", "[0]"),
    y("number_minus_zero", "[-0]", "[0]"),
    y("number_minus_zero_fraction", "[-0.0]", "[0]"),
    y("number_zero_exponent", "[0e1,0e+1,0E-5]", "[0,0,0]"),
    y("number_negative", "[-1]", "[-1]"),
    y("number_fraction", "[123.456789]", "[123.456789]"),
    y("number_whole_fraction", "[1.0,-20.000]", "[1,-20]"),
    y("number_exponent", "[1e3,1E3,1e+3,1E+3,1e-3,1E-3]", "[1000,1000,1000,1000,0.001,0.001]"),
    y("number_fraction_exponent", "[1.25e2,12.5e-1]", "[125,1.25]"),
    y("number_exponent_with_zeros", "[1e005,1e-0007]", "[100000,1e-7]"),
    y("number_small", "[0.000001,0.0000001]", "[0.000001,1e-7]"),
    y("number_small_digits", "[0.00000123,0.000000123]", "[0.00000123,1.23e-7]"),
    y(
        "number_large", "[1e20,1e21,123456789012345680000.0,1.5e300]",
        "[100000000000000000000,1e+21,123456789012345680000,1.5e+300]"),
    y("number_shortest", "[0.1,0.2,0.30000000000000004]", "[0.1,0.2,0.30000000000000004]"),
    y("number_17_digits", "[5.0000000000000009,1.2345678901234567]", "[5.000000000000001,1.2345678901234567]"),
    y("number_smallest", "[5e-324,2.2250738585072014e-308]", "[5e-324,2.2250738585072014e-308]"),
    y("number_halfway", "[9007199254740993.0,9007199254740995.0]", "[9007199254740992,9007199254740996]"),
    y(
        "number_power_of_two", "[4.3e-5,9007199254740992.0,1125899906842624.25,1125899906842624.75]",
        "[0.000043,9007199254740992,1125899906842624.2,1125899906842624.8]"),
    y("number_thousand_digits", Bytes("[0.\(String(repeating: "3", count: 1000))]"), "[0.3333333333333333]"),
    y("number_after_space", "[ 4]", "[4]"),
    y("number_close_to_brace", "{\"a\":-9}", "{\"a\":-9}"),

    // Strings
    y("string_simple_escapes", "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\\"\\\\/\\b\\f\\n\\r\\t\"]"),
    y(
        "string_u_escapes_of_simple", "[\"\\u0008\\u000c\\u000a\\u000d\\u0009\\u0022\\u005c\\u002f\"]",
        "[\"\\b\\f\\n\\r\\t\\\"\\\\/\"]"),
    y(
        "string_control_escapes", "[\"\\u0000\\u0001\\u000b\\u000E\\u001F\"]",
        "[\"\\u0000\\u0001\\u000b\\u000e\\u001f\"]"),
    y("string_hex_case", "[\"\\u00e9\\u00E9\\uABcd\"]", "[\"éé\u{abcd}\"]"),
    y("string_delete", "[\"\\u007f\u{7f}\"]", "[\"\u{7f}\u{7f}\"]"),
    y("string_c1_control", "[\"\\u0080\u{9f}\"]", "[\"\u{80}\u{9f}\"]"),
    y("string_line_separators", "[\"\\u2028\\u2029\u{2028}\u{2029}\"]", "[\"\u{2028}\u{2029}\u{2028}\u{2029}\"]"),
    y("string_slash", "[\"</script>\\/\"]", "[\"</script>/\"]"),
    y("string_pair", "[\"\\ud83d\\ude00\\uD834\\uDD1E\"]", "[\"😀𝄞\"]"),
    y("string_pair_first", "[\"\\ud800\\udc00\"]", "[\"\u{10000}\"]"),
    y("string_around_surrogates", "[\"\\ud7ff\\ue000\"]", "[\"\u{d7ff}\u{e000}\"]"),
    y("string_raw_utf8", "[\"aéझ€😀\"]", "[\"aéझ€😀\"]"),
    y(
        "string_utf8_limits", "[\"\u{80}\u{7ff}\u{800}\u{fffd}\u{10000}\u{10ffff}\"]",
        "[\"\u{80}\u{7ff}\u{800}\u{fffd}\u{10000}\u{10ffff}\"]"),
    y("string_combining", "[\"e\u{301}\"]", "[\"e\u{301}\"]"),
    y("string_bidi_controls", "[\"\u{202e}\u{200b}\u{200d}\"]", "[\"\u{202e}\u{200b}\u{200d}\"]"),
    y("string_escaped_backslash_u", "[\"\\\\u0041\"]", "[\"\\\\u0041\"]"),
    y("string_backslashes", "[\"\\\\\\\\\\\\\"]", "[\"\\\\\\\\\\\\\"]"),
    y("string_quote_after_backslashes", "[\"\\\\\\\"\"]", "[\"\\\\\\\"\"]"),
    y("string_looks_like_comment", "[\"/* no */ // no\"]", "[\"/* no */ // no\"]"),
    y("string_looks_like_json", "[\"{\\\"a\\\":[1,2]}\"]", "[\"{\\\"a\\\":[1,2]}\"]"),
    y("string_single_quote", "[\"it's\"]", "[\"it's\"]"),
    y(
        "string_long", Bytes("[\"\(String(repeating: "ab\\n", count: 500))\"]"),
        "[\"\(String(repeating: "ab\\n", count: 500))\"]"),
    y(
        "string_escape_on_each_offset", "[\"\\n1234567\",\"1\\n234567\",\"12345678\\n\",\"123456789012345\\\"\"]",
        "[\"\\n1234567\",\"1\\n234567\",\"12345678\\n\",\"123456789012345\\\"\"]"),
    y("string_space", "[\" \",\"  a  \"]", "[\" \",\"  a  \"]"),

    // Integers at the edges of what is plain
    y("integer_as_string_beyond", "{\"n\":9007199254740993}", "{\"n\":\"9007199254740993\"}"),
    y("integer_plain_edge", "[-9007199254740991,9007199254740991]", "[-9007199254740991,9007199254740991]"),
]
