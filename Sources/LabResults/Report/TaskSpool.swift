import HostSystem
import JSON

/// Results of ended tasks by their places, in an unnamed file of which memory holds only the offsets: a run may have a million.
final class TaskSpool {
    private struct Place {
        var offset: Int
        var count: Int
        var outcome: Outcome
    }

    /// Closed where the results are in memory.
    private let file: OwnedDescriptor
    private var end = 0
    private var places: [Int: Place] = [:]
    /// Results that could not be written to the file.
    private var kept: [Int: TaskResult] = [:]

    /// A spool with a file in `folder`; without one, or where none can be made, in memory.
    init(in folder: String? = nil) {
        if let folder {
            file = (try? OwnedDescriptor.temporaryFile(in: folder)) ?? OwnedDescriptor(owning: -1)
        } else {
            file = OwnedDescriptor(owning: -1)
        }
    }

    func outcome(at place: Int) -> Outcome? { places[place]?.outcome ?? kept[place]?.outcome }

    /// Keeps a result, in the place of an earlier one.
    func keep(_ result: TaskResult, at place: Int) {
        let bytes = Array(result.json.line.utf8)
        guard file.isOpen, (try? writeAll(file.number, bytes[...], at: end)) != nil else {
            kept[place] = result
            return
        }
        kept[place] = nil
        places[place] = Place(offset: end, count: bytes.count, outcome: result.outcome)
        end += bytes.count
    }

    func result(at place: Int) -> TaskResult? {
        if let result = kept[place] { return result }
        guard let found = places[place], let bytes = try? file.read(upTo: found.count, at: found.offset) else {
            return nil
        }
        return (try? JSONValue(parsing: bytes)).flatMap { TaskResult($0) }
    }
}
