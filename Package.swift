// swift-tools-version: 6.2
// vmlab: the layout of Sources/ is the architecture; README.md and each target's first lines say what it is.

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

/// A library target of ours: one folder under Sources/, the strict settings, its imports in full.
func library(
    _ name: String, _ imports: [Target.Dependency], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: imports, exclude: ["README.md"], resources: resources, swiftSettings: strict
    )
}

/// The fast tests of one target; they boot nothing.
func tests(of name: String, _ more: [Target.Dependency] = [], exclude: [String] = []) -> Target {
    let diagnostics: [Target.Dependency] = name == "Diagnostics" ? [] : ["Diagnostics"]
    return .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name)] + diagnostics + more, exclude: exclude,
        swiftSettings: strict)
}

// Verbs, options, --help and shell completions.
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
// What `vmlab --log-level` shows. The monitor and what it links are free of it.
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let inMemoryLogging: Target.Dependency = .product(name: "InMemoryLogging", package: "swift-log")

let package = Package(
    name: "vmlab",
    products: [
        .executable(name: "vmlab", targets: ["vmlab"]),
        .executable(name: "vmlab-vmm", targets: ["vmlab-vmm"]),
        // For Benchmarks/kvm-loop.
        .library(name: "KVM", targets: ["CKVM", "KVM"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .systemLibrary(name: "CLua", pkgConfig: "lua5.4", providers: [.apt(["liblua5.4-dev"])]),
        .target(name: "CLuaShims", dependencies: ["CLua"], exclude: ["README.md"]),
        // Regular expressions: bounded in memory, stopped from outside, resumed as more text comes.
        .systemLibrary(name: "CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        // SHA-256 of images: a GiB of them in less than a second, by the processor's own instructions.
        .systemLibrary(name: "CNettle", pkgConfig: "nettle", providers: [.apt(["nettle-dev"])]),
        // The prompt of `vmlab repl`: editing, history, completion.
        .systemLibrary(name: "CEdit", pkgConfig: "libedit", providers: [.apt(["libedit-dev"])]),
        .target(name: "CLineEditor", dependencies: ["CEdit"], exclude: ["README.md"]),
        .target(name: "CLinux", exclude: ["README.md"]),
        .target(name: "CKVM", exclude: ["README.md"]),

        library("Diagnostics", []),
        library("Quantities", ["Diagnostics"]),
        library("HostSystem", ["CLinux", "Diagnostics"]),
        library("Patterns", ["CPCRE2", "HostSystem"]),
        library("Hashing", ["CNettle", "HostSystem"]),
        library("YAMLTree", ["CYAML", "Diagnostics"]),
        library("JSON", []),
        library("QMP", ["JSON", "Quantities", "Diagnostics"]),
        library("LuaRuntime", ["CLua", "CLuaShims", "HostSystem", "Quantities", "Diagnostics"]),
        library("GuestConsole", ["Patterns", "HostSystem", "Diagnostics", logging]),
        library("KVM", ["CKVM", "HostSystem"]),
        library("KernelFormat", []),
        library("VirtualHardware", ["HostSystem", "CLinux"]),
        library("MicroVM", ["CKVM", "KVM", "VirtualHardware", "KernelFormat", "HostSystem", "CLinux", "Quantities"]),
        library(
            "MachineMonitor",
            ["MicroVM", "KVM", "VirtualHardware", "HostSystem", "QMP", "JSON", "CLinux", "Quantities", "Diagnostics"]),
        library("LabSpec", ["YAMLTree", "Patterns", "JSON", "HostSystem", "Quantities", "Diagnostics"]),
        library("LabResults", ["JSON", "HostSystem", "Quantities", "Diagnostics"]),
        library("LabLogging", ["LabResults", "HostSystem", "Quantities", "Diagnostics", logging]),
        library(
            "HostResources",
            ["LabSpec", "LabResults", "HostSystem", "Quantities", "Diagnostics", logging]),
        library(
            "GuestControl",
            [
                "HostResources", "LabSpec", "LabResults", "GuestConsole", "Patterns", "HostSystem", "Quantities",
                "Diagnostics", logging,
            ]),
        library(
            "LabRunner",
            [
                "GuestControl", "HostResources", "LabSpec", "LabResults", "GuestConsole", "Patterns", "HostSystem",
                "Quantities", "Diagnostics", logging,
            ]),
        library(
            "LabImages",
            [
                "GuestControl", "LabSpec", "KernelFormat", "Hashing", "HostSystem", "JSON", "Quantities", "Diagnostics",
                logging,
            ],
            resources: [.embedInCode("Recipes")]),
        library(
            "LabMachines",
            [
                "GuestControl", "LabSpec", "LabImages", "GuestConsole", "HostSystem", "QMP", "JSON", "Quantities",
                "Diagnostics", logging,
            ]),
        library(
            "LabScripting",
            [
                "LabRunner", "GuestControl", "HostResources", "LabSpec", "LabResults", "LuaRuntime", "YAMLTree",
                "Patterns", "GuestConsole",
                "HostSystem", "Quantities", "Diagnostics", logging,
            ]),
        library(
            "LabCommands",
            [
                "CLineEditor", "CLinux", "LabScripting", "LabRunner", "GuestControl", "HostResources", "LabMachines",
                "LabImages", "LabLogging", "LabResults", "LabSpec", "GuestConsole", "HostSystem", "JSON", "Quantities",
                "Diagnostics", argumentParser, logging,
            ]),
        .executableTarget(
            name: "vmlab", dependencies: ["LabCommands"], exclude: ["README.md"], swiftSettings: strict),
        .executableTarget(
            name: "vmlab-vmm", dependencies: ["MachineMonitor"], exclude: ["README.md"], swiftSettings: strict,
            // A process for each guest: without the shared libraries it starts sooner and has fewer pages of its own.
            linkerSettings: [.unsafeFlags(["-static-stdlib"])]),

        // What the tests of several targets stand on.
        .target(
            name: "LabTestSupport",
            dependencies: [
                "GuestControl", "LabSpec", "LabResults", "GuestConsole", "HostSystem", "Quantities", "Diagnostics",
                logging, inMemoryLogging,
            ], path: "Tests/LabTestSupport", exclude: ["README.md"], swiftSettings: strict),

        .testTarget(name: "DiagnosticsTests", dependencies: ["Diagnostics"], swiftSettings: strict),
        tests(of: "Quantities"),
        tests(of: "HostSystem", ["LabTestSupport", "CLinux"]),
        tests(of: "Patterns", ["HostSystem"]),
        tests(of: "Hashing", ["HostSystem", "LabTestSupport"]),
        tests(of: "YAMLTree"),
        tests(of: "JSON"),
        tests(of: "QMP", ["JSON"]),
        tests(of: "LuaRuntime"),
        tests(of: "VirtualHardware", ["HostSystem", "LabTestSupport", "CLinux"]),
        tests(of: "MicroVM", ["QMP", "CKVM", "KVM", "VirtualHardware", "HostSystem", "LabTestSupport"]),
        tests(
            of: "MachineMonitor", ["MicroVM", "QMP", "JSON", "VirtualHardware", "HostSystem", "LabTestSupport"],
            exclude: ["Clients"]),
        tests(of: "GuestConsole", ["LabTestSupport", "HostSystem"]),
        tests(of: "LabSpec", ["YAMLTree", "HostSystem", "Quantities"], exclude: ["Fixtures"]),
        tests(of: "LabResults", ["HostSystem", "Quantities"], exclude: ["Fixtures"]),
        tests(of: "LabLogging", ["LabResults", "HostSystem", logging]),
        tests(of: "HostResources", ["LabTestSupport", "LabSpec", "LabResults", "HostSystem", "Quantities"]),
        tests(
            of: "GuestControl", ["LabTestSupport", "LabSpec", "LabResults", "Patterns", "HostSystem", "Quantities"]),
        tests(
            of: "LabRunner",
            [
                "GuestControl", "HostResources", "LabTestSupport", "LabSpec", "LabResults", "GuestConsole", "Patterns",
                "HostSystem", "Quantities",
            ]),
        tests(
            of: "LabScripting",
            [
                "LabTestSupport", "LabRunner", "GuestControl", "HostResources", "LabSpec", "LabResults", "LuaRuntime",
                "GuestConsole", "HostSystem",
            ]),
        tests(
            of: "LabImages",
            [
                "GuestControl", "LabTestSupport", "KernelFormat", "LabSpec", "Hashing", "HostSystem", "JSON",
                "Quantities",
            ]),
        // The probe guest's interpreters, whose sources are among the recipes; the folder has links to them.
        .testTarget(
            name: "ProbeTests", dependencies: ["GuestConsole", "LabTestSupport"], swiftSettings: strict),
        tests(
            of: "LabMachines",
            [
                "QMP", "JSON", "GuestControl", "LabImages", "LabSpec", "LabTestSupport", "GuestConsole",
                "HostSystem", "Quantities",
            ]),
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
        .testTarget(
            name: "LabTests",
            dependencies: ["vmlab", "LabTestSupport", "LabResults", "LabImages", "HostSystem"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
