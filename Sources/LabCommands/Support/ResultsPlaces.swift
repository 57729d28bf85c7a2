import Diagnostics
import LabResults

/// Where the runs of one command leave their results: `results/<lab>-<time>` for each file, or with `--out` that very
/// directory for a single file and a folder in it for each of several. The cells of a file's matrix share its place.
struct ResultsPlaces {
    /// The directory of `--out`; nil without it.
    private let given: RunDirectory?
    /// The folders in it, by file; empty for a single file.
    private let folders: [String]
    /// The directory of the file whose runs go on now.
    private var current: (file: Int, directory: RunDirectory)?

    /// Places for these lab files. Throws when `out` cannot be used: it is then as it was.
    init(files: [String], out: String?) throws(Diagnostic) {
        given = if let out { try RunDirectory.create(lab: "", out: out) } else { nil }
        folders = files.count > 1 ? folderNames(ofFiles: files) : []
    }

    /// The directory of one run, made now. Throws when the host cannot make it.
    mutating func directory(for job: RunJob) throws(Diagnostic) -> RunDirectory {
        let place: RunDirectory
        if let current, current.file == job.file {
            place = current.directory
        } else {
            current = nil
            place =
                if let given { folders.isEmpty ? given : try given.part(folders[job.file]) } else {
                    try RunDirectory.create(lab: job.name)
                }
            current = (job.file, place)
        }
        guard let cell = job.cell else { return place }
        return try place.part(cell)
    }
}
