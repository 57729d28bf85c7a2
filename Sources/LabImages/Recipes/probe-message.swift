/// What probes say to each other: one Ethernet frame of the type for local experiments (IEEE 802, 88B5).
struct ProbeMessage: Equatable {
    /// What a message is for.
    enum Kind: UInt8 {
        /// A text for whoever waits for one.
        case text = 1
        /// Asks the guest of that name to answer.
        case ping = 2
        /// The answer, to the guest of that name.
        case pong = 3
    }

    var kind: Kind
    var sender: Text
    /// The text, or the name of the guest that is meant.
    var text: Text

    /// Behind two addresses: the type, the kind, and two lengths; frames are padded to 60 bytes.
    private static var header: Int { 19 }
    /// The longest text, so that it fits a frame of 1514 bytes beside the longest name.
    static var longestText: Int { 1200 }

    init(_ kind: Kind, from sender: Text, _ text: Text) {
        self.kind = kind
        self.sender = Text(sender.prefix(255))
        self.text = Text(text.prefix(Self.longestText))
    }

    /// The message in a frame; nil for anybody else's.
    init?(frame: Text) {
        guard frame.count >= Self.header, frame[12] == 0x88, frame[13] == 0xb5, let kind = Kind(rawValue: frame[14])
        else { return nil }
        let nameEnd = Self.header + Int(frame[15])
        let end = nameEnd + (Int(frame[16]) << 8 | Int(frame[17]))
        guard end <= frame.count else { return nil }
        self.init(kind, from: Text(frame[Self.header..<nameEnd]), Text(frame[nameEnd..<end]))
    }

    /// The frame, for everyone, from the card of that address.
    func frame(from address: [UInt8]) -> Text {
        var frame = Text(repeating: 0xff, count: 6) + address
        frame += [0x88, 0xb5, kind.rawValue, UInt8(sender.count), UInt8(text.count >> 8), UInt8(text.count & 255), 0]
        frame += sender + text
        return frame.count < 60 ? frame + Text(repeating: 0, count: 60 - frame.count) : frame
    }
}
