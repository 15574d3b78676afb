// An email's content in both its forms. HTML for mail programs: tables, styles at the elements, no image, no script, nothing
// that is fetched; readable without the style sheet, which only turns the colours for those who read in the dark.

struct EmailPage {
    struct Fact {
        let label: String
        let value: String
    }

    struct Step {
        let title: String
        let text: String
        let command: String
    }

    var subject: String
    var heading: String
    var lead: String
    var facts: [Fact]
    var stepsTitle: String
    var steps: [Step]
    var notes: [String]
    var footer: String

    static let documentation = "https://docs.learnault.io/webhooks"

    // MARK: Plain text

    var text: String {
        let width = facts.map(\.label.count).max() ?? 0
        let facts = facts.map { fact in
            "  \(fact.label):" + String(repeating: " ", count: width - fact.label.count + 1) + fact.value
        }
        let steps = steps.enumerated().map { number, step in
            Self.wrapped("\(number + 1). \(step.title)") + "\n"
                + Self.wrapped(step.text, indent: "   ") + "\n\n   "
                + step.command.split(separator: "\n").joined(separator: "\n   ")
        }
        var parts = [Self.wrapped(lead), facts.joined(separator: "\n"), stepsTitle + ":"]
        parts += steps
        parts += notes.map { Self.wrapped($0) }
        parts += ["Documentation: \(Self.documentation)", Self.wrapped(footer)]
        return parts.joined(separator: "\n\n") + "\n"
    }

    private static let textWidth = 76

    private static func wrapped(_ text: String, indent: String = "") -> String {
        var lines: [String] = []
        var line = indent
        for word in text.split(separator: " ") {
            if line.count > indent.count, line.count + 1 + word.count > textWidth {
                lines.append(line)
                line = indent
            }
            line += line.count > indent.count ? " \(word)" : String(word)
        }
        return (lines + [line]).joined(separator: "\n")
    }

    // MARK: HTML

    private static let font = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
    private static let code = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
    private static let breaking = "word-break:break-word;overflow-wrap:anywhere"

    private static let darkStyle = """
        @media (prefers-color-scheme:dark){\
        .page{background:#14171a!important}\
        .card{background:#1e2327!important;border-color:#363d44!important}\
        .ink{color:#eceff1!important}\
        .soft{color:#a9b3bb!important}\
        .code{background:#12161a!important;border-color:#363d44!important;color:#e3e8eb!important}\
        .rule{border-color:#363d44!important}\
        .link{color:#8ab4f8!important}}
        """

    var html: String {
        let title = Self.escaped(subject)
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width,initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="supported-color-schemes" content="light dark">
            <title>\(title)</title>
            <style>\(Self.darkStyle)</style>
            </head>
            <body class="page" style="margin:0;padding:0;background:#f2f4f6">
            <table class="page" role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#f2f4f6">
            <tr><td align="center" style="padding:24px 12px">
            <table class="card" role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;background:#ffffff;border:1px solid #dfe3e7;border-radius:8px;border-collapse:separate">
            <tr><td class="ink" align="left" style="padding:24px 20px;\(Self.font);font-size:15px;line-height:1.5;color:#1b2227">
            <h1 class="ink" style="margin:0 0 12px;font-size:21px;line-height:1.3;font-weight:600;color:#1b2227">\(Self.escaped(heading))</h1>
            <p style="margin:0 0 20px">\(Self.escaped(lead))</p>
            \(factTable)
            <h2 class="ink" style="margin:0 0 12px;font-size:16px;line-height:1.3;font-weight:600;color:#1b2227">\(Self.escaped(stepsTitle))</h2>
            \(steps.enumerated().map { stepBlock($0.offset + 1, $0.element) }.joined(separator: "\n"))
            \(notes.map(noteBlock).joined(separator: "\n"))
            <p class="soft rule" style="margin:20px 0 0;padding:16px 0 0;border-top:1px solid #dfe3e7;font-size:13px;color:#5b666e;\(Self.breaking)">\(Self.escaped(footer)) \
            Documentation: <a class="link" href="\(Self.documentation)" style="color:#1a5fb4">\(Self.documentation)</a></p>
            </td></tr>
            </table>
            </td></tr>
            </table>
            </body>
            </html>

            """
    }

    private var factTable: String {
        let rows = facts.map { fact in
            "<tr><th class=\"soft\" align=\"left\" valign=\"top\" style=\"padding:3px 16px 3px 0;font-weight:400;"
                + "white-space:nowrap;color:#5b666e\">\(Self.escaped(fact.label))</th>"
                + "<td class=\"ink\" align=\"left\" valign=\"top\" style=\"padding:3px 0;color:#1b2227;\(Self.breaking)\">"
                + "\(Self.escaped(fact.value))</td></tr>"
        }
        return "<table width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" border=\"0\" style=\"margin:0 0 24px;"
            + "\(Self.font);font-size:14px;line-height:1.5\">\n\(rows.joined(separator: "\n"))\n</table>"
    }

    private func stepBlock(_ number: Int, _ step: Step) -> String {
        let lines = step.command.split(separator: "\n").map { Self.escaped(String($0)) }.joined(separator: "<br>")
        return
            "<p style=\"margin:0 0 6px\"><strong>\(number). \(Self.escaped(step.title))</strong><br>\(Self.escaped(step.text))</p>\n"
            + "<pre class=\"code\" style=\"margin:0 0 18px;padding:10px 12px;background:#f5f7f8;border:1px solid #dfe3e7;"
            + "border-radius:6px;\(Self.code);font-size:12.5px;line-height:1.5;color:#1b2227;white-space:pre-wrap;"
            + "\(Self.breaking)\">\(lines)</pre>"
    }

    private func noteBlock(_ note: String) -> String {
        "<p class=\"soft\" style=\"margin:0 0 10px;font-size:14px;color:#5b666e\">\(Self.escaped(note))</p>"
    }

    /// For text and for values in double quotes; characters that nobody sees have no place in either.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case _ where character.value < 0x20 || character.value == 0x7F: result += " "
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
