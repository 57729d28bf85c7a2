import HostSystem
import LabImages
import Testing

extension GuestTests {
    /// Systems that set their network up by their own programs: there is no command `busybox`.
    @Suite struct NetworkToolTests {
        /// Makes initial RAM disks from an image's, `$1`: of `ip` without `ifconfig`, and of `ifconfig` without `ip`.
        private static let make = """
            set -e
            make() (
                mkdir $1; cd $1
                cpio --quiet -id < "$2"; shift 2
                mv bin/busybox lib/programs
                find . -lname /bin/busybox -exec ln -sf /lib/programs {} \\;
                find init etc -type f -exec sed -i '1s|/bin/busybox sh|/bin/sh|' {} +
                for missing; do find . -name $missing -delete; done
                find . | cpio --quiet -o -H newc
            )
            make new "$1" ifconfig route > new.initrd
            make old "$1" ip > old.initrd
            """

        private static let lab = """
            lab: tools
            defaults: {memory: 128MiB, networks: [lan], boot: cold}
            networks: {lan: {}}
            images:
              new: {from: busybox, initrd: ./new.initrd}
              old: {from: busybox, initrd: ./old.initrd}
            guests: {new: {image: new}, old: {image: old}}
            tasks:
              - {name: newTools, on: new, run: 'which ip; ! which ifconfig busybox'}
              - {name: oldTools, on: old, run: 'which ifconfig; ! which ip busybox'}
              - {name: reachOld, on: new, run: 'ping -c 1 old'}
              - {name: reachNew, on: old, run: 'ping -c 1 new'}
            """

        @Test("N5: guests with `ip` or `ifconfig` of their own, and without busybox, reach each other by name")
        func tools() async throws {
            try await VMLab.with { vmlab in
                let initrd = try #require(try await ImageStore().image(named: "busybox") { _, _ in }.initrd)
                try await Tool.run("bash", ["-c", "cd '\(vmlab.path)'; \(Self.make)", "bash", initrd])
                    .checked("the systems could not be made")
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab("run", "lab.yaml")
                #expect(run.status == 0, "\(run.everything)")
            }
        }
    }
}
