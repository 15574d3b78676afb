// Reads a JSON body field by field and collects every fault, so that a caller mends all of them at once.
internal import Core
internal import HTTPServer
internal import JSON

/// The members of a request's object. Each field is asked for once; what nobody asked for is unknown and a fault.
struct RequestBody {
    private let object: JSONValue
    private var asked: [String] = []
    private(set) var faults: [Fault] = []

    init(object: JSONValue) { self.object = object }

    /// Parses the body and hands its fields to `read`.
    /// - Throws: 415, 400 or 422.
    static func read<Result>(
        _ request: HTTPServerRequest, _ read: (inout RequestBody) -> Result?
    ) throws(APIError) -> Result {
        guard isJSON(request.headers["Content-Type"]) else { throw .unsupportedMediaType() }
        var answer: Swift.Result<Result, APIError> = .failure(.invalidJSON("empty document"))
        do {
            try JSONParser(maxDepth: 8, allowsKeysTwice: true).parse(request.body) { root in
                guard root.isObject else {
                    answer = .failure(.invalidBody([Fault(place: "", message: "must be an object")]))
                    return
                }
                var body = RequestBody(object: root)
                let result = read(&body)
                body.refuseTheRest()
                if let result, body.faults.isEmpty {
                    answer = .success(result)
                } else {
                    answer = .failure(.invalidBody(body.faults))
                }
            }
        } catch {
            throw .invalidJSON((error as? JSONError)?.reason ?? "not JSON")
        }
        return try answer.get()
    }

    /// A body without a type is taken for JSON; with another type, or another charset than UTF-8, it is refused.
    private static func isJSON(_ contentType: String?) -> Bool {
        guard let contentType else { return true }
        let parts = contentType.split(separator: ";").map { $0.trimmed }
        guard let type = parts.first, type.equalsIgnoringCase("application/json") else { return false }
        return parts.dropFirst().allSatisfy { parameter in
            let pair = parameter.split(separator: "=", maxSplits: 1).map { $0.trimmed }
            guard pair.count == 2, pair[0].equalsIgnoringCase("charset") else { return true }
            return pair[1].equalsIgnoringCase("utf-8") || pair[1].equalsIgnoringCase("\"utf-8\"")
        }
    }

    mutating func fault(_ place: String, _ message: String) { faults.append(Fault(place: place, message: message)) }

    /// The member, or nil with a fault when it is required and missing.
    mutating func member(_ name: String, isRequired: Bool = false) -> JSONValue? {
        asked.append(name)
        let value = object[name]
        if value == nil, isRequired { fault("/\(name)", "is missing") }
        return value
    }

    mutating func string(_ name: String, isRequired: Bool = false) -> String? {
        guard let value = member(name, isRequired: isRequired) else { return nil }
        if value.string == nil { fault("/\(name)", "must be a string") }
        return value.string
    }

    mutating func boolean(_ name: String) -> Bool? {
        guard let value = member(name) else { return nil }
        if value.bool == nil { fault("/\(name)", "must be true or false") }
        return value.bool
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int>) -> Int? {
        guard let value = member(name) else { return nil }
        // To JSON Schema 60.0 is an integer too.
        guard let number = value.int ?? value.double.flatMap({ Int(exactly: $0) }), range.contains(number) else {
            fault("/\(name)", "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// Unknown fields, and fields that come twice, of which only one would count.
    private mutating func refuseTheRest() {
        var seen: Set<String> = []
        var found: [Fault] = []
        object.forEachMember { key, _ in
            let name = String(decoding: key, as: UTF8.self)
            if !asked.contains(name) {
                found.append(
                    Fault(
                        place: "/" + pointerToken(name),
                        message: "is not a field of this request; the fields are \(asked.joined(separator: ", "))"))
            } else if !seen.insert(name).inserted {
                found.append(Fault(place: "/\(name)", message: "comes more than once"))
            }
        }
        faults += found
    }
}

/// RFC 6901 escapes; cut, because the name is the caller's.
private func pointerToken(_ name: String) -> String {
    var token = ""
    for character in name.prefix(64) {
        switch character {
        case "~": token += "~0"
        case "/": token += "~1"
        default: token.append(character)
        }
    }
    return token
}

extension StringProtocol {
    var trimmed: String {
        var rest = self[...]
        while rest.first == " " || rest.first == "\t" { rest = rest.dropFirst() }
        while rest.last == " " || rest.last == "\t" { rest = rest.dropLast() }
        return String(rest)
    }
}
