// What the HTTP engine alone costs: POSTs over keep-alive connections to a receiver that does next to nothing.
//     engine-bench URL POSTS [CONNECTIONS]          (Tests/Bench/receiver.c makes a receiver)
// Prints one JSON line. Under `valgrind --tool=callgrind --separate-threads=yes` the engine's thread is a file of its own.
import Glibc

exit(EngineBench.run(CommandLine.arguments))
