import Diagnostics
import Foundation
import HostSystem
import Testing

@testable import LabSpec

@Suite("What a lab may name of the host")
struct AccessTests {
    /// Decodes a lab in a folder of its own, which has the file `mine`, a link out of it and one that stays.
    private func problems(_ tasks: String, images: String = "", allow: [String] = []) throws -> [Diagnostic] {
        let base = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
            .appendingPathComponent("vmlab-\(UUID())").path
        try FileManager.default.createDirectory(atPath: base + "/lab", withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: base) }
        for file in ["secret", "lab/mine"] {
            try "x".write(toFile: "\(base)/\(file)", atomically: true, encoding: .utf8)
        }
        try FileManager.default.createSymbolicLink(atPath: base + "/lab/out", withDestinationPath: "../secret")
        try FileManager.default.createSymbolicLink(atPath: base + "/lab/in", withDestinationPath: "mine")
        let text = """
            lab: x
            \(images)
            guests: {a: {image: debian}}
            tasks:
              - {name: t, \(tasks)}
            """
        do throws(DiagnosticList) {
            let access = HostAccess(to: allow.map { $0.hasPrefix("/") ? $0 : "\(base)/\($0)" })
            _ = try LabFile.parse(
                SourceFile(path: "lab.yaml", text: text), directory: base + "/lab", access: access)
            return []
        } catch {
            return error.all
        }
    }

    @Test(
        "S2: what lies outside of the lab's folder is refused at its place, and the message names the option",
        arguments: [
            "put: {/etc/passwd: /root/x}", "put: {../secret: /root/x}", "put: {./out: /root/x}", "script: /etc/passwd",
            "lua: ../secret.lua", "script: ./out", "put: {/nowhere/at/all: /root/x}",
        ])
    func outside(task: String) throws {
        let found = try problems(task)
        let problem = try #require(found.first)
        #expect(found.count == 1)
        #expect(problem.message.contains("is outside of what may be read here"))
        #expect(problem.remedy?.contains("--allow /") == true)
        #expect(problem.span?.start.line == 5)
    }

    @Test("S2: disks, kernels and firmware are no exception")
    func images() throws {
        let found = try problems(
            "run: ls",
            images: "images: {own: {os: linux, disk: /etc/passwd, kernel: ../secret}}\ndefaults: {image: own}")
        #expect(!found.isEmpty)
    }

    @Test(
        "S2: what lies in the lab's folder, and what --allow names, is the lab's",
        arguments: [
            ("put: {./mine: /root/x}", []), ("put: {./in: /root/x}", []), ("put: {.: /root/x}", []),
            ("put: {../secret: /root/x}", ["secret"]), ("put: {./out: /root/x}", ["secret"]),
            ("put: {../secret: /root/x}", ["."]), ("put: {/etc/passwd: /root/x}", ["/etc"]),
        ])
    func inside(task: String, allow: [String]) throws {
        #expect(try problems(task, allow: allow).map(\.message) == [])
    }

    @Test(
        "S4: a NUL in a path is an error at its place",
        arguments: [
            #"put: {"mi\0ne": /root/x}"#, #"put: {mine: "/root/\0x"}"#, #"get: ["/root/\0x"]"#, #"script: "x\0y""#,
            #"get: [{path: "/root/\0x"}]"#, #"put: {mine: {to: "/root/\0x"}}"#,
        ])
    func nul(task: String) throws {
        let found = try problems(task)
        #expect(found.contains { $0.message.contains("NUL") && $0.span?.start.line == 5 }, "\(found.map(\.message))")
    }

    @Test("put and get have long forms")
    func forms() throws {
        let text = """
            lab: x
            guests: {a: {image: debian}}
            tasks:
              - name: t
                put: {/etc/passwd: {to: /root/, links: follow}, /etc/group: /root/g}
                get: [{path: '/root/*.log', limit: 10GiB}, /root/x]
            """
        let lab = try #require(try LabFile.parse(SourceFile(path: "lab.yaml", text: text), directory: "/").labs.first)
        let task = try #require(lab.tasks.first)
        #expect(task.put.map(\.links) == [.follow, .keep])
        #expect(task.put.map(\.guest) == ["/root/", "/root/g"])
        #expect(task.get == [FileCollection("/root/*.log", limit: .gibibytes(10)), "/root/x"])
    }
}
