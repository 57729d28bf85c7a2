// swift-tools-version: 6.2
import PackageDescription

// The Swift side of the benchmark `kvm-ioctls`, on vmlab's own `KVM`; a package apart, so that vmlab does not carry it.
let package = Package(
    name: "kvm-loop",
    dependencies: [.package(name: "vmlab", path: "../..")],
    targets: [
        .executableTarget(
            name: "KVMLoop", dependencies: [.product(name: "KVM", package: "vmlab")],
            swiftSettings: [.treatAllWarnings(as: .error)])
    ],
    swiftLanguageModes: [.v6]
)
