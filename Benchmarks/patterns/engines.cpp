// What regular expression engines cost on what labs search: PCRE2 compiled (fast), PCRE2 compiled with a callout at each step
// (careful, as a search goes on that backtracks too much), PCRE2 interpreted, and RE2.
//
//     c++ -O2 Benchmarks/patterns/engines.cpp -o /tmp/engines -lpcre2-8 -lre2 && /tmp/engines
//
// needs libpcre2-dev and libre2-dev. A search is ended after five seconds. RE2 has neither partial matches, by which a console is
// searched as it grows, nor lookaround and back references, which labs use; its `\d` and `\w` are ASCII.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <re2/re2.h>

#include <chrono>
#include <cstdio>
#include <string>

static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static const double limit = 5;

struct Watch {
    double end;
    long steps;
};

static int step(pcre2_callout_block *, void *data) {
    Watch *watch = static_cast<Watch *>(data);
    return (++watch->steps & 1023) == 0 && now() > watch->end ? PCRE2_ERROR_CALLOUT : 0;
}

struct PCRE2 {
    pcre2_code *code;
    pcre2_match_context *context = pcre2_match_context_create(nullptr);
    pcre2_match_data *data;
    Watch watch{};

    PCRE2(const std::string &pattern, bool careful, bool compiled) {
        pcre2_compile_context *lines = pcre2_compile_context_create(nullptr);
        pcre2_set_newline(lines, PCRE2_NEWLINE_ANY);
        int error;
        PCRE2_SIZE offset;
        code = pcre2_compile(
            (PCRE2_SPTR)pattern.data(), pattern.size(),
            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | (careful ? PCRE2_AUTO_CALLOUT : 0), &error, &offset, lines);
        if (compiled) {
            pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_SOFT);
            pcre2_jit_stack_assign(context, nullptr, pcre2_jit_stack_create(32 << 10, 64 << 20, nullptr));
        }
        pcre2_set_heap_limit(context, 64 << 10);
        // Without callouts it could not be ended.
        pcre2_set_match_limit(context, careful ? 0xffffffff : 10000000);
        if (careful) pcre2_set_callout(context, step, &watch);
        data = pcre2_match_data_create_from_pattern(code, nullptr);
    }

    int match(const char *text, size_t size, size_t start = 0, uint32_t options = 0) {
        watch = {now() + limit, 0};
        return pcre2_match(code, (PCRE2_SPTR)text, size, start, options | PCRE2_NO_UTF_CHECK, data, context);
    }
};

static void show(const char *name, int result, double time) {
    const char *word = result > 0                         ? "match"
                       : result == PCRE2_ERROR_NOMATCH    ? "none"
                       : result == PCRE2_ERROR_CALLOUT    ? "ended"
                       : result == PCRE2_ERROR_MATCHLIMIT ? "limit"
                                                          : "memory";
    printf(" | %s %-6s %8.1f ms", name, word, time * 1000);
}

static void compare(const char *name, const std::string &pattern, const std::string &text) {
    printf("%-34s", name);
    for (auto [form, careful, compiled] : {std::tuple("fast", false, true), {"careful", true, true}, {"interpreted", false, false}}) {
        PCRE2 engine(pattern, careful, compiled);
        double begun = now();
        int result = engine.match(text.data(), text.size());
        show(form, result, now() - begun);
    }
    RE2 re2("(?m)" + pattern, RE2::Quiet);
    double begun = now();
    bool found = re2.ok() && RE2::PartialMatch(text, re2);
    show("RE2", found ? 1 : -1, now() - begun);
    printf("\n");
    fflush(stdout);
}

// A console of `pieces` pieces of a line each, searched at each piece: from its start, and from where a match may have begun.
static void stream(int pieces) {
    const std::string line = "[   12.345678] systemd[1]: Started something or other.\n";
    PCRE2 engine("login: $", false, true);
    for (bool resumes : {false, true}) {
        std::string text;
        size_t start = 0;
        double begun = now();
        for (int piece = 0; piece < pieces; piece++) {
            text += line;
            int result = engine.match(text.data(), text.size(), resumes ? start : 0, PCRE2_PARTIAL_SOFT);
            start = result == PCRE2_ERROR_PARTIAL ? pcre2_get_ovector_pointer(engine.data)[0] : text.size();
        }
        printf("console of %d lines, %s: %.1f ms\n", pieces, resumes ? "resumed" : "from the start", (now() - begun) * 1000);
    }
}

int main() {
    std::string output, hex, words = "the quick brown fox jumps over the lazy dog again: fail";
    while (output.size() < 16 << 20) output += "[  12.345] test 4711 ok: the quick brown fox jumps over the lazy dog\n";
    for (unsigned i = 0; hex.size() < 100000; i = i * 1103515245 + 12345) hex += "0123456789abcdef"[i >> 28];
    compare(".*done, line of 300 KB", ".*done", std::string(300000, 'x'));
    compare("a*b, line of 300 KB", "a*b", std::string(300000, 'a'));
    compare("[0-9a-f]+ done, line of 100 KB", "[0-9a-f]+ done", hex);
    compare("^(a+)+$, 65 bytes", "^(a+)+$", std::string(64, 'a') + "b");
    compare("^(\\w+ ?)+: ok$, 55 bytes", "^(\\w+ ?)+: ok$", words);
    compare("ALL TESTS PASSED, 16 MiB", "ALL TESTS PASSED", output);
    compare("^ALL TESTS PASSED$, 16 MiB", "^ALL TESTS PASSED$", output);
    compare("\\d+ failed, 16 MiB", "\\d+ failed", output);
    compare("test (\\d+) ok: .*cat, 16 MiB", "test (\\d+) ok: .*cat", output);
    compare("(?i)passed, 16 MiB", "(?i)passed", output);
    compare("(.|\\n)*zzz, 16 MiB", "(.|\\n)*zzz", output);
    compare("(?s).*zzz, 16 MiB", "(?s).*zzz", output);
    stream(20000);
}
