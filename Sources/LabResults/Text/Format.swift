import Diagnostics
import Glibc
import Quantities

/// The text with blanks in front of it up to the width.
func pad(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - displayWidth(text))) + text
}

/// The text with blanks after it up to the width.
public func padEnd(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - displayWidth(text)))
}

/// `1 guest`, `3 guests`.
public func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

/// A time of day in UTC with milliseconds, as in `2026-11-22T11:00:00.123Z`.
func timestamp(_ time: Double) -> String {
    guard time.isFinite, abs(time) < 1e11 else { return "1970-01-01T00:00:00.000Z" }
    let milliseconds = Int((time * 1000).rounded())
    let (seconds, rest) = (Int((Double(milliseconds) / 1000).rounded(.down)), milliseconds % 1000)
    let date = calendar(seconds, gmtime_r)
    return "\(dateText(date))T\(pad2(date.tm_hour)):\(pad2(date.tm_min)):\(pad2(date.tm_sec))"
        + ".\(fixed(Double(rest < 0 ? rest + 1000 : rest) / 1000, 3).dropFirst(2))Z"
}

/// The time that `timestamp` wrote, in seconds since 1970; nil for any other text.
func time(_ timestamp: String) -> Double? {
    let numbers = timestamp.split { !$0.isNumber }.compactMap { Int32($0) }
    guard numbers.count == 7 else { return nil }
    var date = tm()
    (date.tm_year, date.tm_mon, date.tm_mday) = (numbers[0] &- 1900, numbers[1] &- 1, numbers[2])
    (date.tm_hour, date.tm_min, date.tm_sec) = (numbers[3], numbers[4], numbers[5])
    return Double(timegm(&date)) + Double(numbers[6]) / 1000
}

/// A time of day in the host's zone for a folder's name, as in `2026-11-22-110000`.
func folderTimestamp(_ time: Double) -> String {
    guard time.isFinite, abs(time) < 1e11 else { return "1970-01-01-000000" }
    let date = calendar(Int(time.rounded(.down)), localtime_r)
    return "\(dateText(date))-\(pad2(date.tm_hour))\(pad2(date.tm_min))\(pad2(date.tm_sec))"
}

private func calendar(
    _ seconds: Int, _ convert: (UnsafePointer<time_t>, UnsafeMutablePointer<tm>) -> UnsafeMutablePointer<tm>?
) -> tm {
    var time = time_t(seconds)
    var date = tm()
    _ = convert(&time, &date)
    return date
}

private func dateText(_ date: tm) -> String {
    "\(Int(date.tm_year) + 1900)-\(pad2(date.tm_mon + 1))-\(pad2(date.tm_mday))"
}

private func pad2(_ number: some BinaryInteger) -> String { number < 10 ? "0\(number)" : "\(number)" }
