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
        ("matrix: {a: [[1]]}", "2:14: error: a value of `a` must be a text, a number or a truth value, not a list"),
        ("matrix: {a: [1], exclude: [{b: 1}]}", "2:32: error: `exclude` names `b`, which is not an axis"),
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
}
