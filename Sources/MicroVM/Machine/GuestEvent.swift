/// What happens to a machine by its guest's doing.
package enum GuestEvent: Sendable, Hashable {
    /// The guest switched it off.
    case poweredOff
    /// The guest reset it: by the keyboard controller, ACPI's reset register, or a triple fault.
    case reset(by: ResetCause)
    /// The guest said that its kernel panicked; it runs on.
    case panicked
    /// A processor cannot go on: why.
    case failed(String)

    /// What made a guest's machine reset.
    package enum ResetCause: String, Sendable, Hashable {
        case keyboardController = "keyboard controller"
        case resetRegister = "reset register"
        case tripleFault = "triple fault"
    }
}
