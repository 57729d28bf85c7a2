// swift-tools-version: 6.2
// vmlab: the layout of Sources/ is the architecture; README.md and each target's first lines say what it is.

import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

/// A library target of ours: one folder under Sources/, the strict settings, its imports in full.
func library(_ name: String, _ imports: [Target.Dependency], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: imports, resources: resources, swiftSettings: strict)
}

/// The fast tests of one target; they boot nothing.
func tests(of name: String, _ more: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: name + "Tests", dependencies: [.byName(name: name), "Diagnostics"] + more, swiftSettings: strict)
}

// Verbs, options, --help and shell completions.
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
// Runs host tools (apt-get, dpkg-deb, tar, qemu-img): output, status and cancellation done right.
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let system: Target.Dependency = .product(name: "SystemPackage", package: "swift-system")

let package = Package(
    name: "vmlab",
    products: [.executable(name: "vmlab", targets: ["vmlab"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        // swift-subprocess speaks in its paths and descriptors.
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
    ],
    targets: [
        .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "CLinux"),

        library("Diagnostics", []),
        library("HostSystem", ["CLinux", "Diagnostics", subprocess, system]),
        library("YAMLTree", ["CYAML", "Diagnostics"]),
        library("GuestConsole", ["Diagnostics"]),
        library("LabSpec", ["YAMLTree", "Diagnostics"]),
        library("LabResults", ["Diagnostics"]),
        library("LabEngine", ["LabSpec", "LabResults", "GuestConsole", "HostSystem", "Diagnostics"]),
        library("LabImages", ["LabSpec", "HostSystem", "Diagnostics"]),
        library("LabMachines", ["LabEngine", "LabSpec", "LabImages", "GuestConsole", "HostSystem", "Diagnostics"]),
        library(
            "LabCommands",
            [
                "LabEngine", "LabMachines", "LabImages", "LabResults", "LabSpec", "GuestConsole", "HostSystem",
                "Diagnostics", argumentParser,
            ]),
        .executableTarget(name: "vmlab", dependencies: ["LabCommands"], swiftSettings: strict),

        library("LabTestSupport", ["LabEngine", "LabSpec", "LabResults", "GuestConsole", "HostSystem", "Diagnostics"]),

        tests(of: "Diagnostics"),
        tests(of: "HostSystem"),
        tests(of: "YAMLTree"),
        tests(of: "GuestConsole", ["LabTestSupport"]),
        tests(of: "LabSpec", ["YAMLTree"]),
        tests(of: "LabResults"),
        tests(of: "LabEngine", ["LabTestSupport", "LabSpec", "LabResults", "GuestConsole", "HostSystem"]),
        tests(of: "LabImages", ["LabSpec", "HostSystem"]),
        tests(of: "LabMachines", ["LabEngine", "LabSpec", "LabTestSupport", "GuestConsole", "HostSystem"]),
        .testTarget(name: "ArchitectureTests", swiftSettings: strict),
        .testTarget(
            name: "LabTests",
            dependencies: ["LabTestSupport", "HostSystem", "Diagnostics"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
