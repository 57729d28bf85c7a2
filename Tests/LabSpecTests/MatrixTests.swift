import Diagnostics
import Testing

@testable import LabSpec

@Suite struct MatrixTests {
    @Test func cellsAsInGitHubActions() throws {
        let file = try LabFile.load(path: fixtures + "/good/matrix.yaml")
        #expect(
            file.labs.map { $0.cell?.id } == [
                "kernel=6.1,fs=ext4,count=2", "kernel=6.6,fs=ext4,count=2,extra=quick", "kernel=6.6,fs=xfs,count=2",
                "kernel=mainline,fs=btrfs,count=1",
            ])
        let quick = file.labs[1]
        #expect(quick.groups[0].count == 2 && quick.groups[0].memory == .gibibytes(2))
        #expect(quick.groups[0].env.map(\.value) == ["ext4", "<quick>"])
        #expect(quick.tasks[0].name == "mkfs-ext4")
        guard case .run(let text) = quick.tasks[0].action else { return #expect(Bool(false)) }
        #expect(text == "mkfs.ext4 /dev/vdb\nuname -r\n")
        // What only another cell has is the empty text.
        #expect(file.labs[0].groups[0].env[1].value == "<>")
        #expect(file.labs[3].guests.map(\.name) == ["lin-1"])
    }

    /// GitHub's own example of `include`.
    @Test func includeExtendsCellsWithoutChangingThem() throws {
        let file = try LabFile.parse(
            SourceFile(
                path: "l",
                text: """
                    lab: x
                    matrix:
                      fruit: [apple, pear]
                      animal: [cat, dog]
                      include:
                        - color: green
                        - {color: pink, animal: cat}
                        - {fruit: apple, shape: circle}
                        - fruit: banana
                        - {fruit: banana, animal: cat}
                    guests: {a: {image: debian}}
                    tasks: [{name: t, run: 1}]
                    """), directory: "/")
        #expect(
            file.labs.map { $0.cell?.id } == [
                "fruit=apple,animal=cat,color=pink,shape=circle", "fruit=apple,animal=dog,color=green,shape=circle",
                "fruit=pear,animal=cat,color=pink", "fruit=pear,animal=dog,color=green", "fruit=banana",
                "fruit=banana,animal=cat",
            ])
    }

    @Test func whatIsWrongInSomeCellsSaysInWhich() {
        let text = errors(
            """
            lab: x
            matrix: {image: [debian, wine, debain]}
            guests: {a: {image: "${{ matrix.image }}", cuont: 1}}
            tasks: [{name: t, run: 1}]
            """)
        #expect(
            text == """
                lab.yaml:3:21: error: there is no image `debain` (did you mean `debian`?)
                   3 | guests: {a: {image: "${{ matrix.image }}", cuont: 1}}
                     |                     ^~~~~~~~~~~~~~~~~~~~~
                  note: in the matrix cell image=debain
                lab.yaml:3:44: error: a guest group has no key `cuont` (did you mean `count`?)
                   3 | guests: {a: {image: "${{ matrix.image }}", cuont: 1}}
                     |                                            ^~~~~
                """)
    }

    @Test func anExpressionIsShownWhereItStands() {
        let text = errors(
            """
            lab: x
            matrix: {kernel: [a]}
            guests: {a: {image: debian, count: "${{ matrix.kernle }}"}}
            tasks:
              - name: t
                run: |
                  one
                  two ${{ env.X }}
            """)
        #expect(
            text == """
                lab.yaml:3:37: error: the matrix has no axis `kernle` (did you mean `kernel`?)
                   3 | guests: {a: {image: debian, count: "${{ matrix.kernle }}"}}
                     |                                     ^~~~~~~~~~~~~~~~~~~~
                lab.yaml:8:11: error: `${{ env.X }}` is not known here (only `${{ matrix.axis }}` is filled in)
                   8 |       two ${{ env.X }}
                     |           ^~~~~~~~~~~~
                """)
    }

    @Test(arguments: [
        ("matrix: {a: []}", "2:13: error: `a` is an empty list"),
        ("matrix: {}", "2:9: error: `matrix` must be a map of axes, not a map"),
        ("matrix: {a: [1, 1]}", "2:17: error: the axis `a` has `1` twice"),
        ("matrix: {a: [[1]]}", "2:14: error: a value of `a` must be a string, a number or a boolean, not a list"),
        ("matrix: {a: [1], exclude: [{b: 1}]}", "2:29: error: `exclude` names `b`, which is not an axis"),
        ("matrix: {a: [1], exclude: [{a: 1}]}", "2:9: error: the matrix has no cells"),
        ("matrix: {include: [{a: 1}, {a: 1}]}", "2:32: error: the matrix has the cell `a=1` twice"),
        ("matrix: {include: []}", "2:9: error: the matrix has no cells"),
        ("matrix: {a b: [1]}", "2:10: error: the axis is not a name"),
    ])
    func wrongMatrices(_ matrix: String, _ expected: String) {
        let text = errors(
            "lab: x\n\(matrix)\nguests: {a: {image: debian, count: \"${{ matrix.zzz }}\"}}\ntasks: [{name: t, run: 1}]\n"
        )
        #expect(text.hasPrefix("lab.yaml:" + expected))
    }

    @Test func aBrokenMatrixDoesNotHideTheRestNorBlameIt() {
        let text = errors(
            "lab: x\nmatrix: {a: []}\nguests: {a: {image: \"${{ matrix.a }}\", cuont: 2}}\ntasks: [{name: t, run: 1}]\n"
        )
        #expect(text.split(separator: "\n").filter { $0.contains("error:") }.count == 2)
    }

    /// A name that could not be filled in may be the one that something else means.
    @Test func anUnknownAxisIsTheOnlyMistake() {
        let text = errors(
            """
            lab: x
            matrix: {a: [debian]}
            images: {"i-${{ matrix.b }}": {from: debian}}
            networks: ["n-${{ matrix.b }}"]
            guests: {"g-${{ matrix.b }}": {image: i-1, networks: [n-1], count: "${{ matrix.b }}"}}
            tasks: [{name: "t-${{ matrix.b }}", on: g-1, run: ls}, {name: u, run: ls, needs: t-1}]
            """)
        let messages = text.split(separator: "\n").filter { $0.contains("error:") }
        #expect(messages.count == 5)
        #expect(messages.allSatisfy { $0.contains("the matrix has no axis `b` (did you mean `a`?)") })
    }

    @Test func whatSomeCellUsesIsUsed() throws {
        let file = try LabFile.parse(
            SourceFile(
                path: "l",
                text: """
                    lab: x
                    matrix: {image: [one, two]}
                    images: {one: {from: debian}, two: {from: debian}, three: {from: debian}}
                    guests: {a: {image: "${{ matrix.image }}"}}
                    tasks: [{name: t, run: 1}]
                    """), directory: "/")
        #expect(file.labs.count == 2 && file.warnings.map(\.message) == ["no guest boots the image `three`"])
    }

    @Test func expressionsNeedAMatrix() {
        let text = errors("lab: x\nguests: {a: {image: debian}}\ntasks: [{name: t, run: \"${{ matrix.a }}\"}]\n")
        #expect(text.hasPrefix("lab.yaml:3:25: error: `${{ matrix.a }}`, but the lab has no matrix"))
    }

    @Test func cellsAndSizeAreBounded() {
        let values = (0..<101).map(String.init).joined(separator: ", ")
        let rest = "guests: {a: {image: debian}}\ntasks: [{name: t, run: 1}]\n"
        #expect(errors("lab: x\nmatrix: {a: [\(values)], b: [\(values)]}\n" + rest).contains("more than 1000 cells"))
        let axes = (0..<100).map { "a\($0): [\(values)]" }.joined(separator: ", ")
        #expect(errors("lab: x\nmatrix: {\(axes)}\n" + rest).contains("more than 1000 cells"))
        let many = "env: {" + (0..<50_000).map { "V\($0): 1" }.joined(separator: ", ") + "}\n"
        #expect(errors("lab: x\nmatrix: {a: [\(values)]}\n" + many + rest).contains("too large for a matrix"))
        let long = String(repeating: "x", count: 257)
        #expect(errors("lab: x\nmatrix: {a: [\(long)]}\n" + rest).contains("longer than 256"))
    }
}

@Suite struct SettingTests {
    private static let text = """
        lab: x
        defaults: {memory: 1GiB}
        matrix: {kernel: [6.1, 6.6]}
        networks: {lan: }
        guests: {lin: {image: debian, count: 5, networks: [lan]}}
        tasks: [{name: kernel, run: uname}, {name: other, run: ls}]
        """

    @Test func settingsChangeTheTree() throws {
        let lab = try lab(
            Self.text,
            [
                ("guests.lin.count", "2"), ("defaults.memory", "512MiB"), ("tasks.kernel.timeout", "1m"),
                ("matrix.kernel", "[6.1]"), ("networks.lan.nat", "true"), ("timeouts.boot", "9m"),
                ("guests.win", "{image: wine}"), ("env.A", "x=y.z"), ("env.B", ""),
            ])
        #expect(lab.guests.map(\.name) == ["lin-1", "lin-2", "win"])
        #expect(lab.groups[0].memory == .mebibytes(512))
        #expect(lab.tasks[0].timeout == .seconds(60) && lab.tasks[1].timeout == nil)
        #expect(lab.cell?.id == "kernel=6.1" && lab.networks[0].nat && lab.timeouts.boot == .seconds(540))
        #expect(lab.groups[0].env == [EnvironmentVariable("A", "x=y.z"), EnvironmentVariable("B", "")])
    }

    private static let mistakes: [(key: String, value: String, expected: String)] = [
        (
            "guests.lin.cuont", "2",
            """
            --set:1:12: error: a guest group has no key `cuont` (did you mean `count`?)
               1 | guests.lin.cuont=2
                 |            ^~~~~
            """
        ),
        (
            "guests.lin.count", "many",
            """
            --set:1:18: error: `count` must be a whole number from 1 to 10000, not `many`
               1 | guests.lin.count=many
                 |                  ^~~~
            """
        ),
        (
            "tasks.kernal.timeout", "1m",
            """
            --set:1:7: error: no element of the list is named `kernal` (did you mean `kernel`?)
               1 | tasks.kernal.timeout=1m
                 |       ^~~~~~
            """
        ),
        (
            "lab.x", "1",
            """
            --set:1:5: error: `x` cannot be set within `x` (set the whole value instead)
               1 | lab.x=1
                 |     ^
            """
        ),
        (
            "matrix.kernel", "[6.1",
            """
            --set:1:15: error: this list is never closed (add `]`)
               1 | matrix.kernel=[6.1
                 |               ^
              cause: libyaml: while parsing a flow sequence: did not find expected ',' or ']'
            """
        ),
        (
            "guests..count", "1",
            """
            --set:1:8: error: a key is missing in `guests..count` (write it as `guests.lin.count=2`)
               1 | guests..count=1
                 |        ^
            """
        ),
    ]

    @Test(arguments: mistakes)
    func mistakesAreShownInTheSetting(_ key: String, _ value: String, _ expected: String) {
        #expect(errors(Self.text, [(key, value)]) == expected)
    }

    @Test func theFileComesFirst() {
        let text = errors(Self.text + "\ncolour: 1\n", [("guests.lin.cuont", "2"), ("", "x")])
        let places = text.split(separator: "\n").filter { $0.contains("error:") }.map { $0.prefix { $0 != " " } }
        #expect(places == ["lab.yaml:7:1:", "--set:1:1:", "--set:1:12:"])
    }

    private func warnings(_ matrix: String) throws -> [String] {
        let text = "lab: x\nmatrix: \(matrix)\nguests: {web: {image: debian}}\ntasks: [{name: t, run: 1}]\n"
        let file = try LabFile.parse(SourceFile(path: "lab.yaml", text: text), directory: "/")
        return file.warnings.map { $0.rendered().split(separator: "\n").first.map(String.init) ?? "" }
    }

    @Test("N23: what `exclude` and `include` name in vain is told at the key, with what was meant")
    func nearMissesInTheMatrix() throws {
        let lab = "lab: x\nmatrix: {kernel: [a, b], exclude: [{kernal: a}]}\nguests: {w: {image: debian}}\n"
        #expect(
            errors(lab + "tasks: [{name: t, run: 1}]").hasPrefix(
                "lab.yaml:2:37: error: `exclude` names `kernal`, which is not an axis (did you mean `kernel`?)"))
        #expect(
            try warnings("{kernel: [6.1, 6.6], exclude: [{kernel: 6.10}]}") == [
                "lab.yaml:2:49: warning: `exclude` has no effect: the axis `kernel` has no value `6.10` (did you mean `6.1`?)"
            ])
        #expect(try warnings("{a: [x, y], b: [p, q], exclude: [{a: x, b: p}, {a: x}]}") == [])
        #expect(
            try warnings("{kernel: [a, b], include: [{kernal: c, fs: ext4}]}") == [
                "lab.yaml:2:37: warning: `include` adds `kernal`, which is not an axis (did you mean `kernel`?)"
            ])
        #expect(
            try warnings("{kernel: [a, b], fs: [x], include: [{kernel: c}]}") == [
                "lab.yaml:2:46: warning: `include` matches no combination: it would make a cell without `fs` (name every axis for a cell of its own)"
            ])
        #expect(try warnings("{kernel: [a, b], fs: [x], include: [{kernel: c, fs: y}, {kernel: a, more: 1}]}") == [])
    }

    @Test("N23: a setting of a guest, an axis or an image that is not there says what was meant")
    func nearMissesInSettings() {
        let text = "lab: x\nmatrix: {kernel: [a]}\nguests: {web: {image: debian}}\ntasks: [{name: t, run: 1}]\n"
        for (key, value, message) in [
            ("guests.wbe.count", "3", "--set:1:8: error: `guests` has no `wbe` (did you mean `web`?)"),
            ("matrix.kernal", "[b]", "--set:1:8: error: `matrix` has no `kernal` (did you mean `kernel`?)"),
            ("guests.other.memory", "1GiB", "--set:1:8: error: `guests` has no `other` (it has web)"),
            ("guests.web.cuont", "3", "--set:1:12: error: a guest group has no key `cuont` (did you mean `count`?)"),
            ("gests.web.count", "3", "--set:1:1: error: a lab has no key `gests` (did you mean `guests`?)"),
        ] {
            let said = errors(text, [(key, value)])
            #expect(said.hasPrefix(message), "\(said)")
        }
        for (key, value) in [
            ("guests.web.count", "3"), ("guests.new", "{image: debian}"), ("env.NEW", "x"), ("timeouts.boot", "5m"),
        ] {
            let said = errors(text, [(key, value)])
            #expect(said.isEmpty, "\(said)")
        }
    }

    @Test("N23: YAML 1.1's booleans are told at the value, with how they are written")
    func oldBooleans() {
        for (word, remedy) in [
            ("yes", "`true`"), ("On", "`true`"), ("1", "`true`"), ("no", "`false`"), ("off", "`false`"),
            ("'true'", "`true` without quotes"), ("\"no\"", "`false` without quotes"),
        ] {
            let said = errors(
                "lab: x\nguests: {web: {image: debian}}\ntasks: [{name: t, run: 1, reboot: \(word)}]\n")
            #expect(said.hasPrefix("lab.yaml:3:35: error: `reboot` must be `true` or `false`"), "\(said)")
            #expect(said.contains("(write \(remedy))"), "\(said)")
        }
    }

    @Test("A21: keys that begin with x- are the author's own, for anchors and other tools")
    func ownKeys() throws {
        let text = """
            lab: x
            x-common: &common {timeout: 30s, run: "echo ${{ not.ours }}"}
            x-list: [1, {a: b}]
            guests: {web: &web {image: debian, x-note: about it}, other: *web}
            tasks:
              - {name: t, x-owner: me, timeout: 30s, run: 'true'}
            """
        let lab = try lab(text)
        #expect(lab.tasks.first?.timeout == .seconds(30) && lab.groups.count == 2)
        let used = errors(text.replacing("timeout: 30s, run: 'true'", with: "<<: *common"))
        #expect(used.contains("`${{ not.ours }}` is not known here"), "\(used)")
        let rest = "tasks: [{name: t, run: 1}]\n"
        #expect(errors("lab: x\nguests: {x-a: {image: debian}}\n" + rest).isEmpty)
        #expect(errors("lab: x\nX-a: 1\nguests: {a: {image: debian}}\n" + rest).contains("has no key `X-a`"))
    }
}
