import GuestConsole
import LabSpec

extension Dialect {
    static func of(_ console: ConsoleSpec) -> Dialect {
        let reactions = console.reactions.map {
            Reaction($0.expect.text, .type(Array($0.send.utf8)), times: $0.times)
        }
        if case .sh = console.dialect, !console.announces {
            return .sh(
                prompt: console.prompt ?? #"[#$] $"#, user: console.user, password: console.password,
                reactions: reactions, sharesConsole: console.ports == 1)
        }
        var dialect: Dialect =
            switch console.dialect {
            case .sh: .sh
            case .cmd: .cmd
            case .sac: .sac(user: console.user ?? "Administrator", password: console.password ?? "")
            case .uefi: .uefi
            }
        // The lab's reactions come first, so that they win over built-in ones.
        dialect.reactions = reactions + dialect.reactions
        return dialect
    }
}
