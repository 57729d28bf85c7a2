import Diagnostics
import Foundation
import HostSystem

/// Reports of tasks that have ended, by their places. They lie in a file without a name, of which memory holds only where each
/// is: a run may have a million of them.
final class TaskSpool {
    private struct Place {
        var offset: Int
        var count: Int
        var outcome: Outcome
    }

    /// Closed where the reports are in memory.
    private let file: OwnedDescriptor
    private var end = 0
    private var places: [Int: Place] = [:]
    /// Those that no file took.
    private var kept: [Int: TaskReport] = [:]
    private let encoder = JSONEncoder()
    private let decoder = JSONDecoder()

    /// A spool with a file in `folder`; without one, or where none can be made, in memory.
    init(in folder: String? = nil) {
        if let folder {
            file = (try? OwnedDescriptor.temporaryFile(in: folder)) ?? OwnedDescriptor(owning: -1)
        } else {
            file = OwnedDescriptor(owning: -1)
        }
        encoder.nonConformingFloatEncodingStrategy = RunReport.floats
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    }

    /// How the task at a place ended; nil when none has.
    func outcome(at place: Int) -> Outcome? { places[place]?.outcome ?? kept[place]?.outcome }

    /// Keeps a report, in the place of an earlier one.
    func keep(_ report: TaskReport, at place: Int) {
        guard file.isOpen, let bytes = try? Array(encoder.encode(report)),
            (try? writeAll(file.number, bytes[...], at: end)) != nil
        else {
            kept[place] = report
            return
        }
        kept[place] = nil
        places[place] = Place(offset: end, count: bytes.count, outcome: report.outcome)
        end += bytes.count
    }

    /// The report at a place; nil when there is none.
    func report(at place: Int) -> TaskReport? {
        if let report = kept[place] { return report }
        guard let found = places[place], let bytes = try? file.read(upTo: found.count, at: found.offset) else {
            return nil
        }
        return try? decoder.decode(TaskReport.self, from: Data(bytes))
    }
}
