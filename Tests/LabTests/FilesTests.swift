import Foundation
import Glibc
import HostSystem
import LabResults
import Testing

extension GuestTests {
    /// Files and trees go in and come out byte for byte, on both kinds of guest.
    @Suite struct FilesTests {
        private static let everyByte = (0..<300).flatMap { _ in Array<UInt8>(0...255) }

        /// A tree with what is easily lost: modes, empty files and folders, links, odd names, large and binary content.
        private func makeTree(_ vmlab: VMLab) throws {
            try vmlab.write("tree/bytes", bytes: Self.everyByte)
            try vmlab.write("tree/empty", "")
            try vmlab.write("tree/a blank & 'quote' %x% $y ünï", "odd name\n")
            try vmlab.write("tree/deep/er/still/text.txt", "a\r\nb\n")
            try vmlab.write("tree/program", "#!/bin/sh\necho I run\n")
            try vmlab.write("tree/secret", "secret\n")
            try FileTree.makeFolder("\(vmlab.path)/tree/hollow/core")
            #expect(chmod("\(vmlab.path)/tree/program", 0o755) == 0)
            #expect(chmod("\(vmlab.path)/tree/secret", 0o600) == 0)
            #expect(chmod("\(vmlab.path)/tree/hollow/core", 0o700) == 0)
        }

        /// What a tree is: for each path its type and whether it may be executed, and a file's content or a link's target.
        private func description(of folder: String, modes: Bool) throws -> [String] {
            let paths = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
            return try paths.sorted().map { path in
                var status = stat()
                try #require(lstat("\(folder)/\(path)", &status) == 0)
                let mode = modes ? (status.st_mode & 0o100 == 0 ? "-" : "x") : ""
                switch status.st_mode & S_IFMT {
                case S_IFDIR: return "\(path)/ \(mode)"
                case S_IFLNK:
                    return try
                        "\(path) -> \(FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(path)"))"
                default:
                    let bytes = Array(try Data(contentsOf: URL(filePath: "\(folder)/\(path)")))
                    return "\(path) \(mode) \(bytes.count) \(bytes.hashValue)"
                }
            }
        }

        @Test func linux() async throws {
            try await VMLab.with { vmlab in
                try makeTree(vmlab)
                symlink("deep/er/still/text.txt", "\(vmlab.path)/tree/link")
                try vmlab.write(
                    "big",
                    bytes: (0..<(64 << 10)).flatMap { block in
                        [UInt8](repeating: UInt8(truncatingIfNeeded: block &* 31), count: 1024)
                    })
                try vmlab.write(
                    "lab.yaml",
                    """
                    lab: files
                    guests:
                      box: {image: busybox, memory: 512MiB}
                    timeouts: {task: 4m}
                    tasks:
                      - {name: tree, put: {./tree: /root/tree}, run: /root/tree/program && test $(stat -c %a /root/tree/secret) = 600, get: [/root/tree]}
                      - {name: file, put: {./tree/bytes: /new/place/renamed}, get: [/new/place/renamed]}
                      - {name: inside, put: {./tree/bytes: /root/}, run: cmp /root/bytes /root/tree/bytes}
                      - {name: read-only, run: chmod -R a-w /root/tree/deep, get: [/root/tree/deep]}
                      - {name: large, put: {./big: /root/big}, get: [/root/big]}
                      - {name: after-failure, run: echo kept > /root/kept; exit 4, get: [/root/kept]}
                      - {name: missing, run: 'true', get: [/root/no such, /root/kept]}
                      - {name: both, run: exit 5, get: [/root/none]}
                      - {name: no-room, put: {./big: /proc/nowhere}, run: echo never}
                    """)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                #expect(ended.status == 3, "\(ended.everything)")
                #expect(try vmlab.text("out/tasks/tree/box/output") == "I run\n", "\(report.outcomes)")
                let source = try description(of: "\(vmlab.path)/tree", modes: true)
                let back = try description(of: "\(vmlab.path)/out/tasks/tree/box/artifacts/tree", modes: true)
                #expect(back == source)
                #expect(try vmlab.bytes("out/tasks/file/box/artifacts/renamed") == Self.everyByte)
                #expect(try report.task("inside").outcome == .passed)
                #expect(try vmlab.text("out/tasks/read-only/box/artifacts/deep/er/still/text.txt") == "a\r\nb\n")

                let large = try report.task("large")
                #expect(large.outcome == .passed, "\(report.outcomes)")
                #expect(try vmlab.bytes("out/tasks/large/box/artifacts/big") == vmlab.bytes("big"))
                print("64 MiB in and out of the guest: \(large.duration) s")
                #expect(large.duration < 60)

                #expect(try report.task("after-failure").outcome == .failed)
                #expect(try vmlab.text("out/tasks/after-failure/box/artifacts/kept") == "kept\n")
                let missing = try report.task("missing")
                #expect(missing.outcome == .failed)
                #expect(missing.message?.contains("/root/no such") == true, "\(missing.message ?? "")")
                #expect(try vmlab.text("out/tasks/missing/box/artifacts/kept") == "kept\n")
                let both = try report.task("both")
                #expect(both.outcome == .failed && both.exit == 5)
                #expect(both.message?.contains("/root/none") == true, "\(both.message ?? "")")
                let noRoom = try report.task("no-room")
                #expect(noRoom.outcome == .error, "\(noRoom)")
                #expect(noRoom.message?.contains("/proc/nowhere") == true, "\(noRoom.message ?? "")")
                // A deep read-only tree must not outlive the test's folder.
                _ = try await Tool.run("chmod", ["-R", "u+w", vmlab.path], package: "coreutils")
            }
        }

        @Test func windows() async throws {
            try await VMLab.with { vmlab in
                try makeTree(vmlab)
                try vmlab.write(
                    "lab.yaml",
                    #"""
                    lab: files
                    guests:
                      win: {image: wine, memory: 256MiB}
                    timeouts: {task: 4m}
                    tasks:
                      - name: tree
                        put: {./tree: 'C:\work\tree'}
                        run: type C:\work\tree\deep\er\still\text.txt
                        get: ['C:\work\tree', 'c:/work/tree/bytes']
                      - name: made
                        run: |
                          mkdir "C:\out\a folder\empty"
                          copy /b C:\work\tree\bytes "C:\out\a folder\copy.bin" > nul
                          echo note> "C:\out\a folder\note.txt"
                        get: ['C:\out\a folder']
                      - name: after-failure
                        run: |
                          echo kept> C:\out\kept.txt
                          exit /b 4
                        get: ['C:\out\kept.txt']
                      - {name: missing, run: ver, get: ['C:\out\no such']}
                    """#)
                let ended = try await vmlab("run", "lab.yaml", "--out", "out")
                let report = try vmlab.report()
                #expect(ended.status == 1, "\(ended.everything)")
                #expect(try vmlab.text("out/tasks/tree/win/output") == "a\r\nb\n", "\(report.outcomes)")
                let source = try description(of: "\(vmlab.path)/tree", modes: false)
                let back = try description(of: "\(vmlab.path)/out/tasks/tree/win/artifacts/tree", modes: false)
                #expect(back == source)
                #expect(try vmlab.bytes("out/tasks/tree/win/artifacts/bytes") == Self.everyByte)
                let folder = "out/tasks/made/win/artifacts/a folder"
                #expect(try vmlab.bytes("\(folder)/copy.bin") == Self.everyByte)
                #expect(try vmlab.text("\(folder)/note.txt") == "note\r\n")
                #expect(vmlab.files(under: folder) == ["copy.bin", "empty", "note.txt"])
                #expect(try report.task("after-failure").outcome == .failed)
                #expect(try vmlab.text("out/tasks/after-failure/win/artifacts/kept.txt") == "kept\r\n")
                let missing = try report.task("missing")
                #expect(missing.outcome == .failed)
                #expect(missing.message?.contains(#"C:\out\no such"#) == true, "\(missing.message ?? "")")
            }
        }
    }
}
