import Diagnostics
import Testing

@testable import LabSpec

@Suite("What runs scripts") struct ShellTests {
    @Test("A10: a task's `shell`, its group's, that of `defaults`")
    func keys() throws {
        let lab = try lab(
            """
            lab: l
            defaults: {image: debian, shell: bash}
            guests: {a: {}, b: {shell: python3 -u}}
            tasks: [{name: t, run: x, shell: sh}, {name: u, run: x}]
            """)
        #expect(lab.groups.map(\.shell) == ["bash", "python3 -u"])
        #expect(lab.tasks.map(\.shell) == ["sh", nil])
        #expect(
            errors("lab: l\nguests: {a: {image: debian}}\ntasks: [{name: t, run: x, shell: ''}]").contains(
                "`shell` is empty"))
    }

    @Test("`user`, `cwd`, `stdin` and `stderr` of a task")
    func surroundings() throws {
        let lab = try lab(
            """
            lab: l
            guests: {a: {image: debian}}
            tasks:
              - {name: t, run: x, user: ada.b, cwd: /usr, stdin: 'text', stderr: separate}
              - {name: u, script: work.sh, stdin: {file: work.sh}, expect: {stderr: '^e'}}
              - {name: v, run: x}
            """)
        #expect(lab.tasks.map(\.user) == ["ada.b", nil, nil] && lab.tasks.map(\.folder) == ["/usr", nil, nil])
        #expect(lab.tasks.map(\.input) == [.text(Array("text".utf8)), .file(fixtures + "/work.sh"), nil])
        #expect(lab.tasks.map(\.separatesErrors) == [true, true, false])
        #expect(lab.tasks.map(\.expect.stderr.count) == [0, 1, 0])
    }

    @Test(
        "A10: a line that looks at the status of a failed one is warned of",
        arguments: [
            ("grep x f\necho $?", "echo $?"), ("grep x f; test $? -eq 1", "grep x f; test $? -eq 1"),
            ("make\n\nif [ $? -ne 0 ]; then exit 1; fi", "if [ $? -ne 0 ]; then exit 1; fi"),
            ("a\n# now\n[ \"$?\" = 1 ]", "[ \"$?\" = 1 ]"), ("a\nstatus=$?", "status=$?"),
            // These see a failure, or do not ask for one.
            ("a || status=$?", nil), ("a ||\n  echo $?", nil), ("a || {\n  echo $?\n}", nil),
            ("trap 'rm f; echo $?' EXIT\na", nil),
            ("set +e\na\necho $?", nil), ("#!/bin/sh\na\necho $?", nil), ("echo $?", nil), ("a\nb", nil),
            ("if a; then b; else echo $?; fi", nil),
        ])
    func failedLines(script: String, line: String?) throws {
        #expect(FailedLineCheck.lineInVain(of: script) == line)
    }

    @Test("A10: the warning is at the task's `run`, and none where another shell is named")
    func warning() throws {
        let text = """
            lab: l
            guests: {a: {image: debian}, b: {image: debian, shell: sh}}
            tasks:
              - {name: t, on: a, run: "x; echo $?"}
              - {name: u, on: a, run: "x; echo $?", shell: sh}
              - {name: v, on: b, run: "x; echo $?"}
            """
        let file = try LabFile.parse(SourceFile(path: "lab.yaml", text: text), directory: fixtures)
        #expect(
            file.warnings.map(\.message) == [
                "a script stops at its first failing line, so the line `x; echo $?` never sees a failure"
            ])
        #expect(file.warnings.first?.span?.start.line == 4)
    }
}
