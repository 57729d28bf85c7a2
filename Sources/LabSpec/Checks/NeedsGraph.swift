import Diagnostics

struct NeedsGraph {
    private let tasks: [TaskDraft]
    /// The first task of each name.
    private var index: [String: Int] = [:]

    init(_ tasks: [TaskDraft]) {
        self.tasks = tasks
        for (number, task) in tasks.enumerated() {
            if let name = task.name, index[name.value] == nil { index[name.value] = number }
        }
    }

    /// Whether a task's name was refused: it may be one that another needs.
    private var hasNameless: Bool { tasks.contains { $0.name == nil && $0.place.says("name") } }

    /// Reports needs that name no task, their own task, a task twice, or go in a circle.
    func check(_ decoding: Decoding) {
        let names = tasks.compactMap(\.name?.value)
        let hasNameless = hasNameless
        for task in tasks {
            var seen: Set<String> = []
            for need in task.needs ?? [] {
                if need.value == task.name?.value {
                    decoding.error(
                        "the task \(need.value.quoted()) needs itself", remedy: "leave it out", at: need.span)
                } else if index[need.value] == nil {
                    guard !hasNameless else { continue }
                    decoding.error(
                        "there is no task \(need.value.quoted())",
                        remedy: decoding.didYouMean(need.value, names)
                            ?? "tasks: \(names.listed)",
                        at: need.span)
                } else if !seen.insert(need.value).inserted {
                    decoding.error("the task \(need.value.quoted()) is needed twice", remedy: "keep one", at: need.span)
                }
            }
        }
        checkCycles(decoding)
    }

    /// Walks the graph depth first without calling itself: chains of needs may be as long as the file.
    private func checkCycles(_ decoding: Decoding) {
        enum Mark { case new, open, done }
        var marks = [Mark](repeating: .new, count: tasks.count)
        for root in tasks.indices where marks[root] == .new {
            marks[root] = .open
            var trail: [(task: Int, next: Int)] = [(root, 0)]
            while let (task, next) = trail.last {
                let needs = tasks[task].needs ?? []
                guard next < needs.count else {
                    marks[task] = .done
                    trail.removeLast()
                    continue
                }
                trail[trail.count - 1].next += 1
                guard let needed = index[needs[next].value], needed != task else { continue }
                switch marks[needed] {
                case .new:
                    marks[needed] = .open
                    trail.append((needed, 0))
                case .open:
                    let start = trail.firstIndex { $0.task == needed } ?? 0
                    let names = trail[start...].map { tasks[$0.task].name?.value ?? "" } + [needs[next].value]
                    decoding.error(
                        "tasks need each other in a cycle: \(circle(names))", remedy: "remove one of these needs",
                        at: needs[next].span)
                case .done: break
                }
            }
        }
    }

    /// `a → b → a`, the middle of a long one left out.
    private func circle(_ names: [String]) -> String {
        let shown = names.count > 12 ? names.prefix(6) + ["…"] + names.suffix(5) : names[...]
        return shown.joined(separator: " → ")
    }
}
