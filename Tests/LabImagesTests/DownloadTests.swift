import Diagnostics
import Foundation
import Hashing
import HostSystem
import LabSpec
import Testing

@testable import LabImages

/// Disks from the web, from a server of this host with a certificate of its own.
@Suite(
    "Downloads",
    .enabled("needs curl, openssl and python3") {
        ["curl", "openssl", "python3"].allSatisfy { Tool.find($0) != nil }
    }, .serialized)
struct DownloadTests {
    /// A folder that is served over TLS, by Python.
    private func withServer(
        _ cache: TemporaryCache, _ body: (_ address: String, _ folder: String, _ store: ImageStore) async throws -> Void
    ) async throws {
        let folder = "\(cache.directory)/www"
        try FileTree.makeFolder(folder)
        let (key, certificate) = ("\(cache.directory)/key.pem", "\(cache.directory)/cert.pem")
        try await Tool.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                certificate,
            ]
        ).checked("openssl")
        let program = """
            from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
            from os import chdir
            from ssl import PROTOCOL_TLS_SERVER, SSLContext
            from sys import argv
            chdir(argv[1])
            server = ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
            context = SSLContext(PROTOCOL_TLS_SERVER)
            context.load_cert_chain(argv[3], argv[2])
            server.socket = context.wrap_socket(server.socket, server_side=True)
            print(server.server_port, flush=True)
            server.serve_forever()
            """
        let port = Completion<Int>()
        let server = Task {
            _ = try await Tool.run("python3", ["-c", program, folder, key, certificate]) { line in
                if let number = Int(line) { port.fulfil(number) }
            }
        }
        defer { server.cancel() }
        let number = try await withDeadline(.now + .seconds(60)) { try await port.wait() }
        let store = ImageStore(
            cacheDirectory: "\(cache.directory)/cache", catalog: ImageCatalog([]),
            fetchEnvironment: ["CURL_CA_BUNDLE": certificate])
        try await body("https://localhost:\(number)", folder, store)
    }

    @Test("a disk is fetched once and kept; another sum, a missing file and a server that is not trusted are told")
    func fetched() async throws {
        try await withCache { cache in
            try await withServer(cache) { address, folder, store in
                let content = Array("a disk\n".utf8)
                try SmallFile.replace("\(folder)/disk.qcow2", with: content)
                let sum = SHA256.hex("a disk\n")
                let download = DiskDownload(url: "\(address)/disk.qcow2", sha256: sum)
                let path = try await store.fetch(download, at: nil) { _, _ in }
                #expect(try SmallFile.bytes(path) == content)
                // It needs no server again.
                try FileTree.remove("\(folder)/disk.qcow2")
                #expect(try await store.fetch(download, at: nil) { _, _ in } == path)

                let gone = DiskDownload(url: "\(address)/disk.qcow2", sha256: SHA256.hex("other"))
                let missing = await #expect(throws: Diagnostic.self) {
                    try await store.fetch(gone, at: nil) { _, _ in }
                }
                #expect(missing?.cause?.contains("404") == true)

                try SmallFile.replace("\(folder)/disk.qcow2", with: Array("changed\n".utf8))
                let wrong = await #expect(throws: Diagnostic.self) { try await store.fetch(gone, at: nil) { _, _ in } }
                #expect(wrong?.message.hasSuffix("is not what the lab asks for") == true)
                #expect(wrong?.cause?.contains(SHA256.hex("changed\n")) == true)
                // Nothing of it is kept.
                #expect(cache.names("downloads") == [sum])

                let stranger = ImageStore(cacheDirectory: "\(cache.directory)/other", catalog: ImageCatalog([]))
                let untrusted = await #expect(throws: Diagnostic.self) {
                    try await stranger.fetch(download, at: nil) { _, _ in }
                }
                #expect(untrusted?.cause?.contains("certificate") == true)
            }
        }
    }

    @Test("a download that was cut off goes on, and begins anew where the server cannot do that")
    func goesOn() async throws {
        try await withCache { cache in
            try await withServer(cache) { address, folder, store in
                let text = String(repeating: "0123456789", count: 1000)
                try SmallFile.replace("\(folder)/disk", with: Array(text.utf8))
                let sum = SHA256.hex(text)
                try FileTree.makeFolder("\(store.directory)/downloads")
                // Python's server knows no ranges.
                try SmallFile.replace("\(store.directory)/downloads/\(sum).part", with: Array(text.utf8.prefix(700)))
                let path = try await store.fetch(
                    DiskDownload(url: "\(address)/disk", sha256: sum), at: nil
                ) { _, _ in }
                #expect(try SmallFile.bytes(path) == Array(text.utf8))
            }
        }
    }
}
