// The program: one binary, all commands. Everything else is in functions outside this file, because what is written here
// belongs to the main actor and C callbacks would trap in it.
internal import Glibc

exit(Program.run(Array(CommandLine.arguments.dropFirst())))
