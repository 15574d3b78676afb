#!/bin/sh
# build.sh TARGET FOLDER — builds FOLDER/fuzz-TARGET with libFuzzer and AddressSanitizer. By swiftc and not by SwiftPM,
# whose executables have a main of their own where libFuzzer wants its own.
set -eu
cd "$(dirname "$0")/../.."

target=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd)
flags="-swift-version 6 -O -g -package-name webhook_bridge -sanitize=fuzzer,address -use-ld=lld -parse-as-library -enable-testing
    -enable-upcoming-feature ExistentialAny -enable-upcoming-feature MemberImportVisibility
    -enable-upcoming-feature InternalImportsByDefault -warnings-as-errors -I $folder"
objects=
libraries=

# module NAME [FILE]… — compiles Sources/NAME, or only these files of it; what they import was compiled before.
module() {
    # shellcheck disable=SC2046,SC2086 # lists of flags and files without spaces
    name=$1
    shift
    [ $# -gt 0 ] || set -- $(find "Sources/$name" -name "*.swift")
    swiftc $flags -wmo -c -module-name "$name" -emit-module -emit-module-path "$folder/$name.swiftmodule" \
        -o "$folder/$name.o" "$@"
    objects="$objects $folder/$name.o"
}

# system_module NAME LIBRARY… — a system library behind a module map.
system_module() {
    flags="$flags -Xcc -fmodule-map-file=$PWD/Sources/$1/module.modulemap"
    shift
    for library in "$@"; do libraries="$libraries -l$library"; done
}

simdjson() {
    clang++ -std=c++17 -O2 -g -fsanitize=fuzzer-no-link,address -I Sources/CSimdJSON/include \
        -c Sources/CSimdJSON/CSimdJSON.cpp -o "$folder/CSimdJSON.o"
    printf 'module CSimdJSON { header "%s/Sources/CSimdJSON/include/CSimdJSON.h" export * }\n' "$PWD" \
        >"$folder/CSimdJSON.modulemap"
    flags="$flags -Xcc -fmodule-map-file=$folder/CSimdJSON.modulemap"
    objects="$objects $folder/CSimdJSON.o"
    libraries="$libraries -lsimdjson -lstdc++"
}

# What a target needs, in the order of the imports, and its file.
case $target in
    json)
        simdjson
        module JSON
        file=JSONTarget.swift
        ;;
    time)
        module Core Sources/Core/Timestamp.swift
        file=TimeTarget.swift
        ;;
    plan)
        simdjson
        system_module COpenSSL crypto
        module JSON
        module Core
        module Crypto
        module Mapping
        file=PlanTarget.swift
        ;;
    response)
        module Core
        # The reader and what it needs, without the engine's C libraries.
        engine=Sources/HTTPEngine
        module HTTPEngine $engine/ResponseReader.swift $engine/ResponseHead.swift $engine/RetryAfter.swift
        file=ResponseTarget.swift
        ;;
    *)
        echo "build.sh: no target $target" >&2
        exit 2
        ;;
esac
# shellcheck disable=SC2086 # lists of flags and files without spaces
swiftc $flags -module-name Fuzz "Tests/Fuzz/$file" $objects $libraries -o "$folder/fuzz-$target"
