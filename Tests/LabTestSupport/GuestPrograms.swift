import Glibc
import HostSystem
import Testing

/// The freestanding guests of Tests/Guests.
public enum GuestPrograms {
    /// Where `make guests` puts them, with the links of a part package followed.
    public static let folder: String = {
        let checkout = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        return "\(FilePath.real(checkout + "/Tests") ?? checkout + "/Tests")/../.build/guests"
    }()
}

extension Trait where Self == ConditionTrait {
    /// The test runs guests of Tests/Guests on `/dev/kvm`.
    public static var requiresGuests: Self {
        .enabled("the test guests are not built: `make guests`") {
            access(GuestPrograms.folder + "/echo.elf", R_OK) == 0
        }
    }
}
