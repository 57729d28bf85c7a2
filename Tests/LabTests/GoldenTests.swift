import Foundation
import Glibc
import HostSystem
import LabResults
import LabTestSupport
import Testing

extension GuestTests {
    /// Guests that are clones of a golden: each another guest, and the golden whatever happens.
    @Suite struct GoldenTests {
        @Test func fiftyClonesShareNothingAndTheirGoldenStaysAsItIs() async throws {
            try await VMLab.with { vmlab in
                let cache = try VMLab.OwnCache(vmlab)
                func lab(_ count: Int) -> String {
                    """
                    lab: clones
                    # They must be up together, on any host.
                    admission: overcommit
                    networks: [lan]
                    guests:
                      c: {image: busybox, count: \(count), memory: 128MiB, networks: [lan], boot: clone}
                    tasks:
                      # The first that a clone draws, before anything else could have stirred its generator.
                      - {name: random, on: c, run: head -c 16 /dev/urandom | od -An -tx1; cat /proc/sys/kernel/random/uuid}
                      - {name: clock, on: c, run: date +%s}
                      - {name: name, on: c, run: hostname}
                      - {name: card, on: c, run: cat /sys/class/net/e*/address}
                      - {name: address, on: c, run: "ip -4 addr show scope global | awk '/inet / { print $2 }'"}
                      - {name: own, on: c, run: 'test ! -e /own && hostname > /own && sync'}
                    """
                }
                try vmlab.write("one.yaml", lab(1))
                try vmlab.write("fifty.yaml", lab(50))
                let first = try await vmlab("run", "one.yaml", "--out", "one", environment: cache.environment)
                #expect(first.status == 0, "\(first.everything)")
                let before = try await cache.hashes()
                #expect(before.count >= 3 && cache.goldens.count == 1, "\(before)")

                let run = try await vmlab("run", "fifty.yaml", "--out", "out", environment: cache.environment)
                #expect(run.status == 0, "\(run.everything)")
                print("50 clones, 300 tasks: \(run.duration)")
                #expect(try await cache.hashes() == before)
                let report = try vmlab.report()
                #expect(report.guests.count == 50 && report.guests.allSatisfy { $0.boot == .clone })
                for task in ["random", "name", "card", "address"] {
                    let answers = report.tasks.filter { $0.id.task == task }.map(\.outputTail)
                    #expect(Set(answers).count == 50 && !answers.contains(""), "\(task): \(answers)")
                }
                for answer in report.tasks where answer.id.task == "name" {
                    #expect(answer.outputTail == "\(answer.id.guest ?? "")\n")
                }
                try checkClocks(vmlab)
            }
        }

        /// That each guest's time was within a few seconds of the host's.
        private func checkClocks(_ vmlab: VMLab) throws {
            let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            let events = vmlab.events().filter { $0.task == "clock" }
            for guest in (1...50).map({ "c-\($0)" }) {
                let times = try events.filter { $0.guest == guest }.map {
                    try format.parse($0.time).timeIntervalSince1970
                }
                let text = try String(decoding: vmlab.output("clock", on: guest), as: UTF8.self)
                let time = try #require(Double(text.trimmingCharacters(in: .newlines)), "\(guest): \(text)")
                let (started, ended) = (try #require(times.first), try #require(times.last))
                #expect((started - 3...ended + 3).contains(time), "\(guest): \(time), not \(started) to \(ended)")
            }
        }

        @Test func windowsLikeClonesHaveNamesAndFilesOfTheirOwn() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    #"""
                    lab: clones
                    guests:
                      win: {image: wine, count: 3, memory: 256MiB, boot: clone}
                    tasks:
                      - {name: names, on: win, run: "echo %COMPUTERNAME%\nhostname"}
                      - {name: write, on: win, run: 'echo %VMLAB_GUEST%> C:\lab\own.txt'}
                      - {name: read, on: win, run: 'type C:\lab\own.txt'}
                      - {name: fresh, on: win-2, run: 'if exist C:\lab\own.txt exit 1', reset: snapshot}
                      - {name: renamed, on: win-2, run: echo %COMPUTERNAME%}
                    """#)
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                let report = try vmlab.report()
                #expect(report.guests.allSatisfy { $0.boot == .clone })
                for guest in ["win-1", "win-2", "win-3"] {
                    let names = try report.task("names", on: guest).outputTail.lowercased()
                    #expect(names == "\(guest)\r\n\(guest)\r\n")
                    #expect(try report.task("read", on: guest).outputTail == "\(guest)\r\n")
                }
                #expect(try report.task("renamed").outputTail.lowercased() == "win-2\r\n")
            }
        }

        @Test func eachRunOfATaskCanHaveAFreshGuest() async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: fresh
                    networks: [lan]
                    guests:
                      box: {image: busybox, memory: 128MiB, networks: [lan], disks: [64MiB]}
                      peer: {image: busybox, memory: 128MiB, networks: [lan]}
                    tasks:
                      - name: dirty
                        on: box
                        repeat: 4
                        reset: snapshot
                        put: {./note: /root/note}
                        run: |
                          test ! -e /mark && touch /mark
                          test -z "$(head -c 4 /dev/disk/by-id/disk0 | tr -d '\\0')"
                          echo mark | dd of=/dev/disk/by-id/disk0 conv=sync,fsync 2> /dev/null
                          cat /root/note
                          cat /proc/sys/kernel/random/uuid > /root/id
                        get: [/root/id]
                      - {name: network, on: box, run: 'ping -c 1 -W 10 peer', needs: dirty}
                      - {name: back, on: peer, run: 'ping -c 1 -W 10 box', needs: dirty}
                    """)
                try vmlab.write("note", "read me\n")
                let run = try await vmlab("run", "lab.yaml", "--out", "out")
                #expect(run.status == 0, "\(run.everything)")
                #expect(vmlab.events().count { $0.event == "guestBooting" && $0.guest == "box" } == 4)
                let ids = vmlab.files(under: "out/tasks").filter { $0.hasSuffix("/id") }
                #expect(Set(try ids.map { try vmlab.text("out/tasks/\($0)") }).count == 4)
            }
        }

        // MARK: Goldens in trouble

        private static let lab = """
            lab: golden
            guests: {box: {image: busybox, memory: 128MiB, boot: clone}}
            timeouts: {boot: 3m}
            tasks: [{name: t, run: hostname}]
            """

        /// How many of a run's events tell of a golden in the making.
        private func makings(_ vmlab: VMLab, _ out: String) -> Int {
            vmlab.events(out).count { $0.step?.text == "making its golden snapshot" }
        }

        @Test func twoRunsAtOnceMakeOneGolden() async throws {
            try await VMLab.with { vmlab in
                let cache = try VMLab.OwnCache(vmlab)
                try vmlab.write("lab.yaml", Self.lab)
                var runs: [RunningCommand] = []
                for out in ["one", "two"] {
                    runs.append(
                        try await vmlab.start(["run", "lab.yaml", "--out", out], environment: cache.environment))
                }
                for run in runs {
                    let ended = try await run.ended()
                    #expect(ended.status == 0, "\(ended.everything)")
                }
                #expect(makings(vmlab, "one") + makings(vmlab, "two") == 1)
                #expect(cache.goldens.count == 1 && cache.builds == [])
            }
        }

        /// What may happen to a golden's files.
        enum Damage: CaseIterable {
            case stateTruncated, memoryOverwritten, manifestGarbled

            func happen(to golden: String) throws {
                switch self {
                case .stateTruncated:
                    chmod(golden + "/state", 0o600)
                    truncate(golden + "/state", 1000)
                case .manifestGarbled:
                    chmod(golden + "/manifest.json", 0o600)
                    try Data("{\"built\": ".utf8).write(to: URL(filePath: golden + "/manifest.json"))
                case .memoryOverwritten:
                    // So that its length and times tell nothing: only who goes on from it can find out.
                    var times = stat()
                    stat(golden + "/memory", &times)
                    let file = try FileHandle(forUpdating: URL(filePath: golden + "/memory"))
                    try file.seek(toOffset: 16 << 20)
                    try file.write(contentsOf: Data(repeating: 0xff, count: 64 << 20))
                    try file.close()
                    let stamps = [times.st_atim, times.st_mtim]
                    utimensat(AT_FDCWD, golden + "/memory", stamps, 0)
                }
            }
        }

        @Test func aDamagedGoldenIsMadeAgain() async throws {
            try await VMLab.with { vmlab in
                let cache = try VMLab.OwnCache(vmlab)
                try vmlab.write("lab.yaml", Self.lab)
                let first = try await vmlab("run", "lab.yaml", "--out", "out", environment: cache.environment)
                #expect(first.status == 0, "\(first.everything)")
                for damage in Damage.allCases {
                    try damage.happen(to: try #require(cache.goldens.first))
                    for (attempt, expected) in [(1, 1), (2, 0)] {
                        let out = "\(damage)-\(attempt)"
                        let run = try await vmlab("run", "lab.yaml", "--out", out, environment: cache.environment)
                        #expect(run.status == 0, "\(damage): \(run.everything)")
                        #expect(try vmlab.output("t", on: "box", in: out) == Array("box\n".utf8))
                        #expect(makings(vmlab, out) == expected, "\(damage): \(run.everything)")
                        print("\(damage), run \(attempt): \(run.duration)")
                    }
                    #expect(cache.goldens.count == 1 && cache.builds == [])
                }
            }
        }

        @Test func aRunThatIsKilledWhileItMakesAGoldenIsNobodysTrouble() async throws {
            try await VMLab.with { vmlab in
                let cache = try VMLab.OwnCache(vmlab)
                try vmlab.write("lab.yaml", Self.lab)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"], environment: cache.environment)
                _ = try await run.machine("busybox")
                run.send(SIGKILL)
                #expect(try await run.ended(within: .seconds(10)).status == -SIGKILL)
                #expect(cache.builds.count == 1, "a killed run cannot have cleaned up")

                let collected = try await vmlab("gc", environment: cache.environment)
                #expect(
                    collected.status == 0 && collected.out.contains("build/golden-busybox"), "\(collected.everything)")
                #expect(vmlab.leftovers == [] && cache.builds == [])
                let again = try await vmlab("run", "lab.yaml", "--out", "again", environment: cache.environment)
                #expect(again.status == 0, "\(again.everything)")
                #expect(cache.goldens.count == 1 && cache.builds == [])
            }
        }

        @Test(arguments: [SIGINT, SIGKILL])
        func aRunThatIsStoppedAmongTwentyClonesLeavesNothing(_ signal: Int32) async throws {
            try await VMLab.with { vmlab in
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: stopped
                    guests: {c: {image: busybox, count: 20, memory: 128MiB}}
                    tasks:
                      - {name: quick, on: c, run: 'true'}
                      - {name: long, on: c, run: sleep 1000}
                    """)
                let run = try await vmlab.start(["run", "lab.yaml", "--out", "out"])
                // Some run, some are being restored, some wait.
                _ = try await run.wait(for: "five clones") {
                    vmlab.events().count { $0.event == "guestReady" } >= 5 ? true : nil
                }
                run.send(signal)
                let sent = ContinuousClock.now
                let ended = try await run.ended(within: .seconds(60))
                if signal == SIGKILL {
                    #expect(ended.status == -SIGKILL)
                    let collected = try await vmlab("gc")
                    #expect(collected.status == 0, "\(collected.everything)")
                } else {
                    #expect(ended.status == 130, "\(ended.everything)")
                    print("20 clones gone in \(ContinuousClock.now - sent)")
                    #expect(try vmlab.report().status == "interrupted")
                }
                #expect(vmlab.leftovers == [])
            }
        }
    }
}
