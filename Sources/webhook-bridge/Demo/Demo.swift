internal import Configuration
enum Demo { static func run(_ options: DemoOptions) throws(Exit) { throw .failure("not yet") } }
