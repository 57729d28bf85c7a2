// What the C functions share about a state and its strands.

#pragma once

#include "CLuaShims.h"
#include <stdatomic.h>

enum {
    /// Instructions between two checks of the stop flag.
    CHECK_INTERVAL = 1000,
    /// What a coroutine's resumption counts for, so that many short ones do not escape the budget.
    RESUME_COST = 100,
    /// Coroutines within each other; liblua's own limit of C calls (200) comes first, but for `__close`, see close_thread.
    DEPTH = 256,
    /// `coroutine.close` within `__close` within `coroutine.close`…: see close_thread.
    CLOSE_DEPTH = 8,
    /// Bytes that a script may still ask for at once when it must stop.
    STOPPED_ALLOCATION = 64 * 1024,
    /// Instructions for all pending `__close` of a strand that ends.
    CLOSE_INSTRUCTIONS = 10 * 1000 * 1000,
};

struct luart_strand {
    atomic_int stop;
    bool is_closing;
    int64_t executed, limit;
    lua_State *top;
    /// Who resumed whom: the resumers of what runs now, the outermost first.
    lua_State *resumers[DEPTH];
    int resumer_count;
    /// Whoever waits for the request, the innermost first.
    lua_State *waiting[DEPTH];
    int waiting_count;
};

typedef struct context {
    luart_host host;
    lua_State *main;
    bool is_trusted;
    size_t used, limit;
    /// Above 0 while Swift frames are active, when no allocation may fail.
    int granted;
    int close_depth;
    luart_strand *strand;
    /// The warning being put together.
    char warning[512];
    size_t warning_length;
} context;

/// The state's context. Each coroutine's extra space holds its address (new ones copy the main one's), and two marks in the
/// low bits.
context *context_of(lua_State *L);

/// Marks of a coroutine.
enum {
    /// It waits for a request of Swift's, itself or through those it resumed.
    MARK_WAITING = 1,
    /// It is a strand's first one, which Swift resumes.
    MARK_TOP = 2,
    /// A hook raised in it. If that ended it, liblua leaves its hooks off: what it would run now could not be stopped.
    MARK_HOOK_RAISED = 4,
};
bool has_mark(lua_State *L, uintptr_t mark);
void set_mark(lua_State *L, uintptr_t mark, bool on);

/// Why what runs must stop now.
int stop_reason(context *c);
/// Raises when what runs must stop.
void check_stop(lua_State *L);
/// Counts instructions of C's own, and raises when what runs must stop.
void count_instructions(lua_State *L, int count);
/// lua_resetthread with a bound to nesting. LUA_OK, or an error with its value on top of `co`.
int close_thread(context *c, lua_State *co);
/// Notes that `co` waits as the innermost, or as the next one further out.
void note_waiting(luart_strand *s, lua_State *co, bool is_innermost);

/// What a coroutine that waits for a request is resumed with when it may not.
void push_refusal(lua_State *L);
/// Whether what it was resumed with says so.
bool is_refused(lua_State *L);

/// Opens `coroutine` with functions that let requests through.
int open_coroutine(lua_State *L);
/// Gives `string` a matcher that can be stopped.
void open_patterns(lua_State *L);
/// Replaces functions of `string`, `table` and `utf8` that could run on where no hook stops them.
void bound_libraries(lua_State *L);
/// Replaces functions of the base library, adds `print` and `require`, and takes away what the sandbox forbids.
void adapt_libraries(lua_State *L, bool trusted);
/// Makes the metatables of functions and errors; the library `string` learns to take errors.
void open_boxes(lua_State *L);
