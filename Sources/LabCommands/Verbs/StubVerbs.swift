import ArgumentParser
struct PsVerb: ParsableCommand {}
struct LogsVerb: ParsableCommand {}
struct GCVerb: ParsableCommand {}
