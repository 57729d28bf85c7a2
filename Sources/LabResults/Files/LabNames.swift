/// The default name of a lab file: the file's name without its extension, or its folder's for a file named `lab`.
public func labName(ofFile path: String) -> String {
    let parts = path.split(separator: "/").filter { $0 != "." && $0 != ".." }
    guard let file = parts.last else { return path }
    let ending = [".yaml", ".yml", ".lua"].first { file.hasSuffix($0) && file.utf8.count > $0.utf8.count } ?? ""
    let stem = file.dropLast(ending.count)
    return String(stem == "lab" && parts.count > 1 ? parts[parts.count - 2] : stem)
}

/// Folder names for the results of several lab files, in their order; equal names are numbered from the second (`disk`, `disk-2`).
public func folderNames(ofFiles paths: [String]) -> [String] {
    var taken: Set<String> = []
    return paths.map { path in
        let stem = labName(ofFile: path)
        var name = stem
        var number = 1
        // Ends: every number gives another name, and finitely many are taken.
        while !taken.insert(name).inserted {
            number += 1
            name = "\(stem)-\(number)"
        }
        return name
    }
}
