// Writes payload members from what the walk over a record found.
internal import Core
internal import JSON

/// Buffers that are used again for every field.
struct FieldScratch {
    var bytes: [UInt8] = []
    var writer = JSONWriter(reserving: 32)
}

struct FoundValues {
    let record: DomainRecord
    let slots: UnsafeMutableBufferPointer<JSONValue?>
    /// Where the writer has to stop: an array can make a body many times the record.
    let mostBytes: Int

    /// Objects and arrays of a body in each other, as in a record: a value passed through may stand deeper than it stood.
    private static let deepest = 32

    func find(_ locator: Locator) -> Found {
        if locator.slot >= 0 { return Found(slots[locator.slot]) }
        switch locator.place {
        case .header(let name): return Found(header: record.header(name))
        case .timestamp: return record.timestamp >= 0 ? .milliseconds(record.timestamp) : .nothing
        case .pointer: return .nothing
        }
    }

    func hold(_ condition: Condition) -> Bool {
        let found = find(condition.locator)
        switch condition.test {
        case .isPresent(let wanted): return found.isNothing != wanted
        case .isOneOf(let scalars):
            return scalars.contains { scalar in
                switch scalar {
                case .text(let bytes): return found.textBytes?.elementsEqual(bytes) == true
                case .integer(let integer):
                    guard case .json(let value) = found else { return false }
                    return value.kind == .integer ? value.int64 == integer : value.double == Double(integer)
                case .number(let number):
                    guard case .json(let value) = found else { return false }
                    return value.double == number
                case .boolean(let flag):
                    guard case .json(let value) = found else { return false }
                    return value.bool == flag
                }
            }
        }
    }

    // MARK: Members

    func write(
        _ fields: [FieldPlan], to writer: inout JSONWriter, _ scratch: inout FieldScratch
    ) throws(MappingFailure) {
        for field in fields {
            try write(field, to: &writer, &scratch)
            guard writer.bytes.count <= mostBytes else {
                throw MappingFailure(
                    "field \(field.name): the body grows far beyond what is allowed", reason: .tooLarge)
            }
        }
    }

    private func write(
        _ field: FieldPlan, to writer: inout JSONWriter, _ scratch: inout FieldScratch
    ) throws(MappingFailure) {
        if !field.conditions.isEmpty, !field.conditions.allSatisfy(hold) { return }
        switch field.source {
        case .value(let locator, let kind, let missing):
            let found = find(locator)
            if found.isNothing {
                return try writeMissing(field, locator, missing, expected: kind.expectation, to: &writer)
            }
            if case .json(let value) = found, !value.nests(within: Self.deepest - field.depth) {
                throw tooDeep("\(field.name) (\(locator.place.text))")
            }
            writer.key(prepared: field.key)
            guard try write(found, as: kind, to: &writer, &scratch) else {
                throw field.failure(locator, expected: kind.expectation, came: found)
            }
        case .constant(let json):
            writer.key(prepared: field.key)
            writer.raw(json)
        case .template(let parts, let missing):
            try writeTemplate(field, parts, missing, to: &writer, &scratch)
        case .object(let members):
            writer.key(prepared: field.key)
            writer.beginObject()
            try write(members, to: &writer, &scratch)
            writer.endObject()
        case .each(let locator, let element, let missing):
            let found = find(locator)
            if found.isNothing { return try writeMissing(field, locator, missing, expected: "an array", to: &writer) }
            guard case .json(let array) = found, array.isArray else {
                throw field.failure(locator, expected: "an array", came: found)
            }
            writer.key(prepared: field.key)
            try writeElements(of: array, element, field, to: &writer, &scratch)
        }
    }

    private func tooDeep(_ field: String) -> MappingFailure {
        MappingFailure(
            "field \(field): expected at most \(Self.deepest) objects and arrays in each other in a body, came more")
    }

    private func writeMissing(
        _ field: FieldPlan, _ locator: Locator, _ missing: FieldPlan.WhenMissing, expected: @autoclosure () -> String,
        to writer: inout JSONWriter
    ) throws(MappingFailure) {
        switch missing {
        case .fail:
            throw field.failure(locator, expected: expected(), came: .nothing)
        case .leaveOut: return
        case .write(let json):
            writer.key(prepared: field.key)
            writer.raw(json)
        }
    }

    private static let templateValue = "a text, a number, true or false"

    private func writeTemplate(
        _ field: FieldPlan, _ parts: [FieldPlan.TemplatePart], _ missing: FieldPlan.WhenMissing,
        to writer: inout JSONWriter, _ scratch: inout FieldScratch
    ) throws(MappingFailure) {
        scratch.bytes.removeAll(keepingCapacity: true)
        for part in parts {
            switch part {
            case .text(let bytes): scratch.bytes.append(contentsOf: bytes)
            case .value(let locator):
                let found = find(locator)
                if found.isNothing {
                    return try writeMissing(field, locator, missing, expected: Self.templateValue, to: &writer)
                }
                if let bytes = found.textBytes {
                    scratch.bytes.append(contentsOf: bytes)
                } else if case .json(let value) = found, value.double != nil || value.bool != nil {
                    scratch.writer.reset()
                    scratch.writer.value(value)
                    scratch.bytes.append(contentsOf: scratch.writer.bytes.filter { $0 != UInt8(ascii: "\"") })
                } else {
                    throw field.failure(locator, expected: Self.templateValue, came: found)
                }
            }
        }
        writer.key(prepared: field.key)
        scratch.bytes.withUnsafeBytes { writer.string($0) }
    }

    private func writeElements(
        of array: JSONValue, _ element: ElementPlan, _ field: FieldPlan, to writer: inout JSONWriter,
        _ scratch: inout FieldScratch
    ) throws(MappingFailure) {
        writer.beginArray()
        var position = -1
        for value in array.items {
            position += 1
            switch element.content {
            case .value(let kind):
                guard value.nests(within: Self.deepest - field.depth - 1) else { throw tooDeep(field.name) }
                guard try write(.json(value), as: kind, to: &writer, &scratch) else {
                    throw MappingFailure(
                        "field \(field.name), element \(position): expected \(kind.expectation), came "
                            + value.kind.rawValue)
                }
            case .object(let members):
                guard value.isObject else {
                    throw MappingFailure(
                        "field \(field.name), element \(position): expected an object, came \(value.kind.rawValue)")
                }
                for slot in element.slots { slots[slot] = nil }
                element.paths.walk(value, into: slots)
                writer.beginObject()
                do throws(MappingFailure) { try write(members, to: &writer, &scratch) } catch {
                    throw error.inside("element \(position) of \(field.name)")
                }
                writer.endObject()
            }
        }
        writer.endArray()
    }

    // MARK: Values

    /// - Returns: false where the value is not of this kind.
    private func write(
        _ found: Found, as kind: ValueKind, to writer: inout JSONWriter, _ scratch: inout FieldScratch
    ) throws(MappingFailure) -> Bool {
        switch kind {
        case .string:
            guard let bytes = found.textBytes else { return false }
            writer.string(bytes)
        case .time(let unit):
            guard let time = time(found, unit) else { return false }
            scratch.bytes.removeAll(keepingCapacity: true)
            scratch.bytes.append(UInt8(ascii: "\""))
            time.appendRFC3339(to: &scratch.bytes, fraction: false)
            scratch.bytes.append(UInt8(ascii: "\""))
            writer.raw(scratch.bytes)
        case .decimal:
            if let bytes = found.textBytes {
                guard DecimalText.isDecimal(bytes) else { return false }
                writer.string(bytes)
            } else {
                guard case .json(let value) = found, value.double != nil else { return false }
                scratch.bytes.removeAll(keepingCapacity: true)
                guard DecimalText.append(value, to: &scratch.bytes, scratch: &scratch.writer) else { return false }
                scratch.bytes.withUnsafeBytes { writer.string($0) }
            }
        case .enumeration(let values):
            guard let bytes = found.textBytes, let known = values.first(where: { bytes.elementsEqual($0.from) }) else {
                return false
            }
            writer.raw(known.to)
        case .any, .integer, .number, .boolean, .object, .array:
            guard case .json(let value) = found else {
                // Headers are text and the timestamp is a number, whatever was asked for.
                guard case .any = kind, let bytes = found.textBytes else { return false }
                writer.string(bytes)
                return true
            }
            guard kind.admits(value) else { return false }
            writer.value(value)
        }
        return true
    }

    private func time(_ found: Found, _ unit: ValueKind.TimeUnit) -> Timestamp? {
        if case .milliseconds(let milliseconds) = found { return Timestamp(milliseconds: milliseconds) }
        if case .text = unit { return found.textBytes.flatMap { Timestamp(rfc3339: $0) } }
        guard case .json(let value) = found, let number = value.int64 else { return nil }
        var milliseconds = number
        if case .seconds = unit {
            let (scaled, overflow) = number.multipliedReportingOverflow(by: 1000)
            guard !overflow else { return nil }
            milliseconds = scaled
        }
        // The years 0 to 9999: what RFC 3339 can write.
        guard (-62_167_219_200_000...253_402_300_799_999).contains(milliseconds) else { return nil }
        return Timestamp(milliseconds: milliseconds)
    }
}

extension ValueKind {
    fileprivate func admits(_ value: JSONValue) -> Bool {
        switch self {
        case .any: true
        case .integer: value.isExactInteger
        case .number: value.isExactInteger || value.kind == .number
        case .boolean: value.kind == .boolean
        case .object: value.isObject
        case .array: value.isArray
        case .string, .decimal, .time, .enumeration: false
        }
    }
}

extension FieldPlan {
    fileprivate func failure(_ locator: Locator, expected: String, came found: Found) -> MappingFailure {
        MappingFailure("field \(name) (\(locator.place.text)): expected \(expected), came \(found.kindName)")
    }
}

extension JSONValue {
    /// An integer that JavaScript reads exactly; beyond it a number could only be written as a string.
    fileprivate var isExactInteger: Bool {
        kind == .integer && int64.map { $0.magnitude <= 9_007_199_254_740_991 } ?? false
    }

    /// Whether no more than `limit` objects and arrays are in each other here.
    fileprivate func nests(within limit: Int) -> Bool {
        guard isObject || isArray else { return true }
        guard limit > 0 else { return false }
        for member in members where !member.value.nests(within: limit - 1) { return false }
        for item in items where !item.nests(within: limit - 1) { return false }
        return true
    }
}
