/// The limits of a lab, so that a mistyped number is an error and not an exhausted host.
enum Limits {
    /// Guests of a group, and of a lab.
    static let guests = 10_000
    /// Repetitions of a task.
    static let repetitions = 1_000_000
    /// Guests in all cells of a matrix.
    static let guestsOfCells = 100_000
    /// Runs of all tasks on all guests in all cells of a matrix.
    static let runs = 1_000_000
    /// Cells of a matrix.
    static let cells = 1000
    /// Characters of a value of the matrix.
    static let matrixValue = 256
    /// Values of the file, and `${{ … }}` in it, times the cells of its matrix.
    static let filled = (values: 5_000_000, expressions: 200_000)
}
