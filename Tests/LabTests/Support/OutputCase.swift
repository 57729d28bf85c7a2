import Foundation
import LabResults
import Testing

/// One command whose output and exit status must arrive exactly.
struct OutputCase {
    let name: String
    let script: String
    var env: [String: String] = [:]
    /// Host file, by its name in the test's folder, to guest path.
    var put: [String: String] = [:]
    var get: [String] = []
    var needs: [String] = []
    var exit: Int32 = 0
    /// The bytes; nil when the test looks at them itself.
    let output: [UInt8]?

    init(
        _ name: String, _ script: String, env: [String: String] = [:], put: [String: String] = [:],
        get: [String] = [], needs: [String] = [], exit: Int32 = 0, prints output: [UInt8]?
    ) {
        (self.name, self.script, self.env, self.put) = (name, script, env, put)
        (self.get, self.needs, self.exit, self.output) = (get, needs, exit, output)
    }

    init(
        _ name: String, _ script: String, env: [String: String] = [:], put: [String: String] = [:],
        needs: [String] = [], exit: Int32 = 0, prints output: String
    ) {
        self.init(name, script, env: env, put: put, needs: needs, exit: exit, prints: Array(output.utf8))
    }
}

/// A lab of one guest `box` whose tasks are output cases. Written as JSON, which is YAML and quotes everything.
struct OutputLab {
    var image: String
    var memory: String
    var cases: [OutputCase]

    func write(to vmlab: VMLab) throws {
        let tasks = cases.map { item -> [String: Any] in
            var task: [String: Any] = [
                "name": item.name, "run": item.script, "expect": ["exit": Int(item.exit)], "timeout": "4m",
            ]
            if !item.env.isEmpty { task["env"] = item.env }
            if !item.put.isEmpty {
                task["put"] = Dictionary(uniqueKeysWithValues: item.put.map { ("./\($0.key)", $0.value) })
            }
            if !item.get.isEmpty { task["get"] = item.get }
            if !item.needs.isEmpty { task["needs"] = item.needs }
            return task
        }
        // Of bytes, not of time: a kernel that stalls on a busy host is no failure here.
        let lab: [String: Any] = [
            "lab": "outputs", "guests": ["box": ["image": image, "memory": memory]], "tasks": tasks,
            "fail-on": [String](),
        ]
        let options: JSONSerialization.WritingOptions = [.prettyPrinted, .withoutEscapingSlashes]
        try vmlab.write("lab.yaml", bytes: Array(JSONSerialization.data(withJSONObject: lab, options: options)))
    }

    /// Checks each case against the run's results.
    func check(_ vmlab: VMLab) throws {
        let report = try vmlab.report()
        for item in cases {
            let result = try report.task(item.name)
            #expect(result.exit == item.exit, "\(item.name): \(result)")
            #expect(result.outcome == .passed, "\(item.name): \(result)")
            guard let expected = item.output else { continue }
            let output = try vmlab.output(item.name, on: "box")
            #expect(result.outputBytes == output.count, "\(item.name)")
            if output != expected {
                let place = zip(output, expected).prefix { $0 == $1 }.count
                Issue.record(
                    """
                    \(item.name): \(output.count) bytes, expected \(expected.count); from byte \(place) on \
                    \(excerpt(output, place)), expected \(excerpt(expected, place))
                    """)
            }
        }
    }

    private func excerpt(_ bytes: [UInt8], _ place: Int) -> String {
        String(decoding: bytes.dropFirst(place).prefix(80), as: UTF8.self).debugDescription
    }
}
