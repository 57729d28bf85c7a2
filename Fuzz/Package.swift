// swift-tools-version: 6.2
// Fuzz targets: what takes input from a guest or a script, fed with anything. `Fuzz/run` says how to use them.
//
// A new target is a folder under Targets/ with a function `LLVMFuzzerTestOneInput`, its name in the list below, and a folder
// under corpus/.

import PackageDescription

/// A target of ours, built with the fuzzer's instrumentation. Sources is a link: SwiftPM takes no path out of a package.
func ours(_ name: String, _ imports: [Target.Dependency]) -> Target {
    .target(name: name, dependencies: imports, path: "Sources/\(name)", exclude: ["README.md"])
}

/// A fuzz target; libFuzzer brings the `main`.
func fuzz(_ name: String, _ imports: [Target.Dependency]) -> Target {
    .executableTarget(
        name: "fuzz-\(name)", dependencies: ["FuzzSupport"] + imports, path: "Targets/\(name)",
        swiftSettings: [.unsafeFlags(["-parse-as-library"])])
}

let package = Package(
    name: "fuzz",
    targets: [
        ours("CLinux", []),
        ours("Diagnostics", []),
        ours("Quantities", ["Diagnostics"]),
        ours("HostSystem", ["CLinux", "Diagnostics"]),
        ours("VirtualHardware", ["HostSystem", "CLinux"]),
        .target(name: "FuzzSupport", path: "Support"),

        .systemLibrary(name: "CLua", path: "Sources/CLua", pkgConfig: "lua5.4"),
        ours("CLuaShims", ["CLua"]),
        ours("LuaRuntime", ["CLua", "CLuaShims", "HostSystem", "Quantities", "Diagnostics"]),

        ours("CKVM", []),
        ours("KVM", ["HostSystem", "CKVM"]),
        ours("KernelFormat", []),
        ours("MicroVM", ["KVM", "CKVM", "VirtualHardware", "KernelFormat", "HostSystem", "CLinux", "Quantities"]),

        fuzz("boot", ["MicroVM", "VirtualHardware", "HostSystem"]),
        fuzz("lua", ["LuaRuntime"]),
        fuzz("uart", ["VirtualHardware"]),
        fuzz("virtqueue", ["VirtualHardware", "HostSystem"]),
    ],
    swiftLanguageModes: [.v6]
)
