// swift-tools-version: 6.2
// The webhook bridge. No Swift packages: only system C libraries, each behind a module map.
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .treatAllWarnings(as: .error),
    // Modules meet at small values on the hot path, and every access to a property of a class is checked for overlap at run
    // time, a fifth of the engine's own instructions; debug builds, and so all tests, keep the check.
    .unsafeFlags(["-cross-module-optimization", "-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

func library(_ name: String, _ dependencies: [String]) -> Target {
    .target(name: name, dependencies: dependencies.map { .init(stringLiteral: $0) }, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [String]) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: dependencies.map { .init(stringLiteral: $0) },
        path: "Tests/" + name, swiftSettings: strict)
}

func system(_ name: String, _ packages: [String]) -> Target {
    .systemLibrary(name: name, providers: packages.isEmpty ? nil : [.apt(packages)])
}

let package = Package(
    name: "webhook-bridge",
    products: [.executable(name: "webhook-bridge", targets: ["webhook-bridge"])],
    targets: [
        // C libraries
        system("CRdKafka", ["librdkafka-dev"]),
        system("COpenSSL", ["libssl-dev"]),
        system("CAres", ["libc-ares-dev"]),
        system("CMicroHTTPD", ["libmicrohttpd-dev"]),
        system("CSQLite", ["libsqlite3-dev"]),
        system("CCurl", ["libcurl4-openssl-dev"]),
        system("CLinux", []),
        .target(
            name: "CSimdJSON", cxxSettings: [.unsafeFlags(["-O2"])], linkerSettings: [.linkedLibrary("simdjson")]),

        // Pure decisions
        library("Core", []),

        // One wrapper each, usable alone
        library("Runtime", ["CLinux", "JSON"]),
        library("JSON", ["CSimdJSON"]),
        library("Crypto", ["COpenSSL"]),
        library("Kafka", ["CRdKafka", "CLinux", "Runtime"]),
        library("HTTPEngine", ["CLinux", "COpenSSL", "CAres", "Core", "Runtime"]),
        library("HTTPServer", ["CLinux", "CMicroHTTPD", "Runtime"]),
        library("Configuration", ["Core", "Runtime", "JSON"]),
        library("Mapping", ["Core", "JSON", "Crypto"]),

        // Stages
        library("Pipeline", ["Core", "Runtime", "Kafka"]),
        library("Translate", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "Mapping", "Pipeline", "Registry"]),
        library(
            "Repair", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "Mapping", "Pipeline", "Registry", "Translate"]),
        library(
            "Replay", ["Core", "Runtime", "Crypto", "Kafka", "Mapping", "Pipeline", "Registry", "Translate"]),
        library("Deliver", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "HTTPEngine", "Pipeline", "Registry"]),
        library("Retry", ["Core", "Runtime", "Kafka", "Pipeline"]),
        library("Mail", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "Pipeline", "CCurl", "CLinux"]),
        library("Registry", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "Pipeline"]),
        library("API", ["Core", "Runtime", "JSON", "Crypto", "Kafka", "HTTPServer", "Registry", "CSQLite"]),

        // Wiring: roles, threads, readiness
        library(
            "Bridge",
            [
                "Core", "Runtime", "JSON", "Crypto", "Kafka", "HTTPEngine", "HTTPServer", "Mapping", "Pipeline",
                "Translate", "Deliver", "Retry", "Registry", "Replay", "Mail", "API",
            ]),

        // The program
        .executableTarget(
            name: "webhook-bridge",
            dependencies: [
                "Core", "Runtime", "JSON", "Crypto", "Kafka", "HTTPServer", "Configuration", "Mapping", "Registry",
                "API", "Bridge", "Pipeline", "Repair", "Replay", "Translate", "CLinux",
            ],
            swiftSettings: strict),

        // What the benches run; `./dev bench`
        .executableTarget(
            name: "mapping-bench", dependencies: ["Mapping", "Core"], path: "Tests/Bench/Mapping", swiftSettings: strict
        ),

        // Tests mirror Sources
        tests("Core", ["Core"]),
        tests("Runtime", ["Runtime"]),
        tests("JSON", ["JSON"]),
        tests("Mapping", ["Mapping", "JSON", "Core", "Crypto"]),
        tests("Crypto", ["Crypto"]),
        tests("Kafka", ["Kafka", "Runtime"]),
        tests("Translate", ["Translate", "Registry", "Mapping", "Core", "Runtime"]),
        tests("Pipeline", ["Pipeline", "Retry", "Registry", "Kafka", "Core", "JSON", "Runtime"]),
        tests("Mail", ["Mail", "Core", "JSON", "Runtime"]),
        tests("Registry", ["Registry", "Core", "JSON"]),
        tests("Repair", ["Repair", "Core", "Kafka", "Runtime"]),
        tests(
            "Deliver",
            ["Deliver", "Pipeline", "Registry", "Kafka", "HTTPEngine", "Core", "Crypto", "JSON", "Runtime"]),
        tests("HTTPEngine", ["HTTPEngine", "Core", "Runtime", "CLinux", "COpenSSL"]),
        .executableTarget(
            name: "engine-bench", dependencies: ["HTTPEngine", "Core", "Runtime"], path: "Tests/Bench/Engine",
            swiftSettings: strict),
        tests("Configuration", ["Configuration", "Core", "Runtime"]),
        .target(name: "HTTPProbe", path: "Tests/HTTPProbe", swiftSettings: strict),
        tests("HTTPServer", ["HTTPServer", "HTTPProbe", "Runtime"]),
        tests("API", ["API", "HTTPServer", "HTTPProbe", "Core", "Crypto", "JSON", "Registry", "Runtime", "CSQLite"]),
    ],
    cxxLanguageStandard: .cxx17
)
