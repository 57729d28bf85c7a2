import HostSystem
import LabImages
import Testing

/// The tests that boot guests: one after the other, since they share the host's processors with QEMU.
///
/// Each drives the built `vmlab` as its users do, and nothing else.
@Suite(.serialized, .requiresVMLab, .requiresQEMU, .requiresImages)
enum GuestTests {}

extension Trait where Self == ConditionTrait {
    /// The test runs the built `vmlab`.
    static var requiresVMLab: Self {
        .enabled("vmlab is not built: `swift build --build-tests`") { VMLab.executable != nil }
    }

    /// The test boots the catalog's images. Building them takes a minute and the network, which is no test's business.
    static var requiresImages: Self {
        .enabled("the images are not built: `vmlab images build` (`make test` does)") {
            let built = Set(ImageStore().list().filter(\.isBuilt).map(\.name))
            return built.isSuperset(of: ["debian", "busybox", "wine"])
        }
    }
}
