import Diagnostics
import Foundation
import Glibc

/// Reports of tasks that have ended, by their places. They lie in a file without a name, of which memory holds only where each
/// is: a run may have a million of them.
final class TaskSpool {
    private struct Place {
        var offset: Int
        var count: Int
        var outcome: Outcome
    }

    /// `O_TMPFILE`, which is a macro that Swift does not see: a file without a name in a folder.
    private static let temporary: Int32 = 0o20_000_000 | O_DIRECTORY

    private var descriptor: Int32 = -1
    private var end = 0
    private var places: [Int: Place] = [:]
    /// Those that no file took.
    private var kept: [Int: TaskReport] = [:]
    private let encoder = JSONEncoder()
    private let decoder = JSONDecoder()

    /// A spool with a file in `folder`; without one, or where none can be made, in memory.
    init(in folder: String? = nil) {
        encoder.nonConformingFloatEncodingStrategy = RunReport.floats
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        if let folder { descriptor = open(folder, Self.temporary | O_RDWR | O_CLOEXEC, 0o600) }
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// How the task at a place ended; nil when none has.
    func outcome(at place: Int) -> Outcome? { places[place]?.outcome ?? kept[place]?.outcome }

    /// Keeps a report, in the place of an earlier one.
    func keep(_ report: TaskReport, at place: Int) {
        guard descriptor >= 0, let bytes = try? encoder.encode(report), write(bytes) else {
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
        guard let found = places[place] else { return nil }
        var bytes = [UInt8](repeating: 0, count: found.count)
        guard pread(descriptor, &bytes, found.count, off_t(found.offset)) == found.count else { return nil }
        return try? decoder.decode(TaskReport.self, from: Data(bytes))
    }

    private func write(_ bytes: Data) -> Bool {
        bytes.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, off_t(end)) == $0.count }
    }
}
