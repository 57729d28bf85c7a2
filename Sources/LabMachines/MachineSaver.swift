import LabEngine

/// Keeps a machine's memory, devices and disks in files: each kind of process in its own way.
protocol MachineSaver: Sendable {
    /// See `Machine.save`. `migration` receives what QEMU tells of it.
    func save(_ monitor: QMPClient, _ migration: MigrationWatch, to folder: String) async throws -> SavedMachine
}

extension QEMUSaver: MachineSaver {}
