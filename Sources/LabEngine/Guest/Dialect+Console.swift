import GuestConsole
import LabSpec

extension Dialect {
    /// The dialect of a guest's console.
    static func of(_ console: ConsoleSpec) -> Dialect {
        switch console.dialect {
        case .sh where console.announces: .sh
        case .sh: .sh(prompt: console.prompt ?? #"[#$] $"#, user: console.user, password: console.password)
        case .cmd: .cmd
        case .sac: .sac(user: console.user ?? "Administrator", password: console.password ?? "")
        case .uefi: .uefi
        }
    }
}
