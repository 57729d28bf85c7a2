// The state: its memory, its libraries, its strands and what stops them.

#include "context.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uintptr_t *extra(lua_State *L) { return (uintptr_t *)lua_getextraspace(L); }

context *context_of(lua_State *L) { return (context *)(*extra(L) & ~(uintptr_t)7); }

bool has_mark(lua_State *L, uintptr_t mark) { return (*extra(L) & mark) != 0; }

void set_mark(lua_State *L, uintptr_t mark, bool on) { *extra(L) = on ? *extra(L) | mark : *extra(L) & ~mark; }

/// Whether what runs must stop and asks for much: a C function that makes a large string ends so between two hooks.
static bool is_refused_memory(context *c, size_t more) {
    return more > STOPPED_ALLOCATION && stop_reason(c) == LUART_STOP_CANCELLED;
}

static void *allocate(void *data, void *block, size_t old, size_t new) {
    context *c = data;
    // Without a block, `old` says what kind of object it will be.
    if (!block) old = 0;
    if (new == 0) {
        free(block);
        c->used -= old;
        return NULL;
    }
    if (new > old && c->granted == 0) {
        if (c->used >= c->limit || new - old > c->limit - c->used || is_refused_memory(c, new - old)) return NULL;
    }
    void *moved = realloc(block, new);
    if (!moved) {
        if (c->granted == 0) return NULL;
        // An error would jump over Swift frames.
        fputs("out of memory\n", stderr);
        abort();
    }
    c->used += new - old;
    return moved;
}

/// Warnings come in pieces. Only errors in finalizers and `warn` make them.
static void warn(void *data, const char *text, int to_be_continued) {
    context *c = data;
    if (c->warning_length == 0 && !to_be_continued && text[0] == '@') return;
    size_t room = sizeof c->warning - c->warning_length;
    size_t count = strnlen(text, room);
    memcpy(c->warning + c->warning_length, text, count);
    c->warning_length += count;
    if (to_be_continued) return;
    char line[sizeof c->warning + 16];
    int length = snprintf(line, sizeof line, "Lua warning: %.*s", (int)c->warning_length, c->warning);
    c->warning_length = 0;
    c->granted++;
    c->host.print(c->host.owner, line, (size_t)length);
    c->granted--;
}

int stop_reason(context *c) {
    luart_strand *s = c->strand;
    if (!s) return LUART_STOP_NONE;
    if (s->is_closing) return s->executed > CLOSE_INSTRUCTIONS ? LUART_STOP_INSTRUCTIONS : LUART_STOP_NONE;
    if (s->executed > s->limit) luart_strand_stop(s, LUART_STOP_INSTRUCTIONS);
    return luart_strand_reason(s);
}

static const char refusal_mark;

void push_refusal(lua_State *L) { lua_pushlightuserdata(L, (void *)&refusal_mark); }

bool is_refused(lua_State *L) { return lua_gettop(L) > 0 && lua_touserdata(L, -1) == (void *)&refusal_mark; }

void note_waiting(luart_strand *s, lua_State *co, bool is_innermost) {
    if (is_innermost) s->waiting_count = 0;
    set_mark(co, MARK_WAITING, true);
    s->waiting[s->waiting_count++] = co;
}

static void hook(lua_State *L, lua_Debug *activation);

static void raise_stop(lua_State *L, int reason) {
    // From now on at each instruction, so that a loop around `pcall` ends too.
    if (lua_gethookcount(L) != 1) lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    lua_pushstring(L, reason == LUART_STOP_CANCELLED ? "cancelled" : "too many instructions without waiting");
    lua_error(L);
}

void check_stop(lua_State *L) {
    int reason = stop_reason(context_of(L));
    if (reason != LUART_STOP_NONE) raise_stop(L, reason);
}

void count_instructions(lua_State *L, int count) {
    luart_strand *s = context_of(L)->strand;
    if (s) s->executed += count;
    check_stop(L);
}

static void hook(lua_State *L, lua_Debug *activation) {
    (void)activation;
    context *c = context_of(L);
    int interval = lua_gethookcount(L);
    if (c->strand) c->strand->executed += interval;
    set_mark(L, MARK_HOOK_RAISED, false);
    int reason = stop_reason(c);
    if (reason == LUART_STOP_NONE) {
        // A coroutine may outlive the strand that was stopped in it.
        if (interval != CHECK_INTERVAL) lua_sethook(L, hook, LUA_MASKCOUNT, CHECK_INTERVAL);
    } else if (lua_isyieldable(L)) {
        // No `pcall` holds a yield up: like a request it goes out to Swift, which closes the coroutines.
        note_waiting(c->strand, L, true);
        lua_yield(L, 0);
    } else {
        set_mark(L, MARK_HOOK_RAISED, true);
        raise_stop(L, reason);
    }
}

lua_State *luart_new(const luart_host *host, size_t memory, bool trusted) {
    // Aligned so that the low bits are free for marks.
    context *c = aligned_alloc(64, (sizeof *c + 63) / 64 * 64);
    if (!c) return NULL;
    memset(c, 0, sizeof *c);
    c->host = *host;
    c->is_trusted = trusted;
    c->limit = memory;
    c->granted = 1;
    lua_State *L = lua_newstate(allocate, c);
    if (!L) {
        free(c);
        return NULL;
    }
    c->main = L;
    *extra(L) = (uintptr_t)c;
    lua_setwarnf(L, warn, c);

    luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
    luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
    luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
    luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
    luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
    luaL_requiref(L, LUA_COLIBNAME, open_coroutine, 1);
    if (trusted) {
        luaL_requiref(L, LUA_LOADLIBNAME, luaopen_package, 1);
        luaL_requiref(L, LUA_IOLIBNAME, luaopen_io, 1);
        luaL_requiref(L, LUA_OSLIBNAME, luaopen_os, 1);
        luaL_requiref(L, LUA_DBLIBNAME, luaopen_debug, 1);
    }
    lua_settop(L, 0);
    open_patterns(L);
    bound_libraries(L);
    open_boxes(L);
    adapt_libraries(L, trusted);
    // Coroutines made from here on inherit it.
    lua_sethook(L, hook, LUA_MASKCOUNT, CHECK_INTERVAL);
    return L;
}

void luart_close(lua_State *L) {
    context *c = context_of(L);
    lua_close(L);
    free(c);
}

size_t luart_used(lua_State *L) { return context_of(L)->used; }

size_t luart_left(lua_State *L) {
    context *c = context_of(L);
    return c->used < c->limit ? c->limit - c->used : 0;
}

luart_strand *luart_strand_new(int64_t instructions) {
    luart_strand *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->limit = instructions;
    return s;
}

void luart_strand_free(luart_strand *s) { free(s); }

void luart_strand_stop(luart_strand *s, int reason) {
    int none = LUART_STOP_NONE;
    atomic_compare_exchange_strong(&s->stop, &none, reason);
}

int luart_strand_reason(const luart_strand *s) { return atomic_load_explicit(&s->stop, memory_order_relaxed); }

void luart_strand_begin(luart_strand *s, lua_State *co) {
    s->top = co;
    set_mark(co, MARK_TOP, true);
}

int luart_strand_resume(luart_strand *s, int arguments, int *results) {
    context *c = context_of(s->top);
    int granted = c->granted;
    luart_strand *outer = c->strand;
    c->granted = 0;
    c->strand = s;
    s->executed = 0;
    s->waiting_count = 0;
    s->resumer_count = 0;
    int status = lua_resume(s->top, NULL, arguments, results);
    c->strand = outer;
    c->granted = granted;
    if (status == LUA_YIELD) {
        luart_pop(s->top, *results);
        *results = 0;
    }
    return status;
}

int close_thread(context *c, lua_State *co) {
    // lua_resetthread of 5.4.4 forgets how many C calls there are already: without a bound, closing within `__close` within
    // closing overflows the C stack.
    if (lua_status(co) > LUA_YIELD && has_mark(co, MARK_HOOK_RAISED)) {
        lua_pushliteral(co, "cancelled");
        return LUA_ERRRUN;
    }
    if (c->close_depth >= CLOSE_DEPTH || !lua_checkstack(co, 1)) {
        lua_pushliteral(co, "C stack overflow");
        return LUA_ERRERR;
    }
    c->close_depth++;
    set_mark(co, MARK_WAITING, false);
    int status = lua_resetthread(co);
    c->close_depth--;
    return status;
}

void luart_strand_close(luart_strand *s) {
    context *c = context_of(s->top);
    int granted = c->granted;
    luart_strand *outer = c->strand;
    c->granted = 0;
    c->strand = s;
    s->executed = 0;
    s->is_closing = true;
    s->resumer_count = 0;
    if (s->waiting_count == 0) s->waiting[s->waiting_count++] = s->top;
    // A copy: what `__close` resumes may note itself as waiting, before it is refused.
    lua_State *waiting[DEPTH];
    int count = s->waiting_count;
    memcpy(waiting, s->waiting, sizeof waiting);
    for (int i = 0; i < count; i++) {
        lua_State *co = waiting[i];
        // An error that it ended with comes out again, which is no news.
        bool has_failed = lua_status(co) > LUA_YIELD && lua_checkstack(c->main, 2) && lua_checkstack(co, 1);
        if (has_failed) {
            // A copy: what is on top of the stack is what lua_resetthread takes for the error.
            lua_pushvalue(co, -1);
            lua_xmove(co, c->main, 1);
        }
        int status = close_thread(c, co);
        bool is_news = status != LUA_OK;
        if (has_failed) {
            if (is_news) {
                lua_pushvalue(co, -1);
                lua_xmove(co, c->main, 1);
                is_news = !lua_rawequal(c->main, -1, -2);
                lua_pop(c->main, 1);
            }
            lua_pop(c->main, 1);
        }
        if (is_news) {
            size_t length;
            const char *text = luart_string(co, -1, &length);
            warn(c, "error in __close: ", 1);
            warn(c, text ? text : "(not a text)", 0);
        }
    }
    s->waiting_count = 0;
    c->strand = outer;
    c->granted = granted;
}

int luart_load(lua_State *L, const char *bytes, size_t count, const char *name) {
    context *c = context_of(L);
    int granted = c->granted;
    // The parser runs protected, so its memory may be refused.
    c->granted = 0;
    int status = luaL_loadbufferx(L, bytes, count, name, "t");
    c->granted = granted;
    return status;
}

static int describe(lua_State *L) {
    if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        if (lua_isstring(L, -1)) return 1;
    } else if (lua_isstring(L, 1)) {
        luaL_tolstring(L, 1, NULL);
        return 1;
    } else if (lua_istable(L, 1)) {
        lua_pushliteral(L, "message");
        if (lua_rawget(L, 1) == LUA_TSTRING) return 1;
    }
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return 1;
}

void luart_push_description(lua_State *L, lua_State *co, luart_strand *s) {
    context *c = context_of(L);
    lua_pushcfunction(L, describe);
    lua_pushvalue(co, -1);
    lua_xmove(co, L, 1);
    int granted = c->granted;
    c->granted = 0;
    c->strand = s;
    lua_pcall(L, 1, 1, 0);
    c->strand = NULL;
    c->granted = granted;
}

bool luart_get_frame(lua_State *L, int level, luart_frame *frame) {
    lua_Debug activation;
    if (!lua_getstack(L, level, &activation) || !lua_getinfo(L, "Sln", &activation)) return false;
    frame->source = activation.source;
    frame->source_length = activation.srclen;
    frame->name = activation.name;
    frame->line = activation.currentline;
    frame->defined = activation.linedefined;
    memcpy(frame->short_source, activation.short_src, sizeof frame->short_source);
    frame->is_main = activation.what[0] == 'm';
    frame->is_lua = activation.what[0] != 'C';
    return true;
}

lua_State *luart_resumer(lua_State *L, int level) {
    luart_strand *s = context_of(L)->strand;
    return s && level < s->resumer_count ? s->resumers[s->resumer_count - 1 - level] : NULL;
}
