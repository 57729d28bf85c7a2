import HostSystem
import LabImages
import Testing

extension GuestTests {
    /// Kernels whose drivers are modules, which the guest's system does not bring along.
    @Suite struct ModuleTests {
        /// Takes the driver of network cards out of an image's initial RAM disk, `$1`, and puts it beside, one part compressed.
        private static let takeOut = """
            set -e
            mkdir root modules; cd root
            cpio --quiet -id < "$1"
            for module in failover net_failover virtio_net; do
                mv "$(find lib/modules -name $module.ko)" ../modules/
            done
            xz ../modules/net_failover.ko
            find . | cpio --quiet -o -H newc > ../initrd
            """

        private static let lab = """
            lab: modules
            defaults: {memory: 128MiB, networks: [lan], boot: clone}
            networks: {lan: {}}
            images:
              given:
                from: busybox
                initrd: ./initrd
                modules: [modules/failover.ko, modules/net_failover.ko.xz, modules/virtio_net.ko]
              lacking: {from: busybox, initrd: ./initrd}
            guests: {given: {image: given}, lacking: {image: lacking}}
            tasks:
              - {name: card, run: 'grep ^virtio_net /proc/modules && ip address show', expect: {stdout: 'inet 10\\.'}}
            """

        @Test("N6: `modules:` gives a kernel its driver; without it the golden is tried once, and the driver is named")
        func drivers() async throws {
            try await VMLab.with { vmlab in
                let initrd = try #require(try await ImageStore().image(named: "busybox") { _, _ in }.initrd)
                try await Tool.run("bash", ["-c", "cd '\(vmlab.path)'; \(Self.takeOut)", "bash", initrd])
                    .checked("the driver could not be taken out")
                try vmlab.write("lab.yaml", Self.lab)
                let cache = try VMLab.OwnCache(vmlab).environment
                for (out, isTried) in [("first", true), ("second", false)] {
                    let run = try await vmlab("run", "lab.yaml", "--out", out, environment: cache)
                    let report = try vmlab.report(out)
                    #expect(try report.task("card", on: "given").outcome == .passed, "\(run.everything)")
                    let message = try report.task("card", on: "lacking").message ?? ""
                    #expect(message.contains("needs virtio_net") && message.contains("`modules:`"), "\(message)")
                    #expect(message.contains("could be made: the attempt at ") == !isTried, "\(message)")
                    #expect(run.out.contains("image lacking: making its golden") == isTried, "\(run.everything)")
                }
                let list = try await vmlab("images", "list", environment: cache)
                #expect(list.out.contains(#/\nlacking .*\n  golden +failed .* needs virtio_net/#), "\(list.everything)")
            }
        }
    }
}
