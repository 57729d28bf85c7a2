// The library `coroutine`, as the manual describes it (§6.2), with one difference: a function of Swift's that waits yields a
// request, and whoever resumed its coroutine lets the request through and waits as well, up to the strand's first coroutine,
// whose resumer is Swift. The script sees nothing of it: meanwhile the coroutine counts as running.

#include "context.h"

static lua_State *coroutine_at(lua_State *L, int index) {
    lua_State *co = lua_tothread(L, index);
    luaL_argexpected(L, co, index, "coroutine");
    return co;
}

static int resume_result(lua_State *L, lua_State *co, int status, int results) {
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        luart_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

/// What `resume` answers when the coroutine waits for a request: yield, and come back.
enum { WAITS = -2 };

/// Resumes with the topmost arguments: results on the stack and their count, -1 with an error value, or WAITS.
static int resume(lua_State *L, lua_State *co, int arguments) {
    luart_strand *s = context_of(L)->strand;
    // Coroutines that make coroutines in a loop: each has its own interval until it is checked, so that without this the
    // end of the innermost would only be the next one's turn to make more.
    check_stop(L);
    if (has_mark(co, MARK_WAITING)) {
        lua_pushliteral(L, "cannot resume non-suspended coroutine");
        return -1;
    }
    if (!lua_checkstack(co, arguments + 1)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    if (s && s->resumer_count == DEPTH) {
        lua_pushliteral(L, "C stack overflow");
        return -1;
    }
    lua_xmove(L, co, arguments);
    while (true) {
        int results;
        if (s) {
            s->executed += RESUME_COST;
            s->resumers[s->resumer_count++] = L;
        }
        int status = lua_resume(co, L, arguments, &results);
        if (s) s->resumer_count--;
        if (status != LUA_YIELD || !has_mark(co, MARK_WAITING)) return resume_result(L, co, status, results);
        luart_pop(co, results);
        if (s && lua_isyieldable(L) && s->waiting_count < DEPTH) return WAITS;
        set_mark(co, MARK_WAITING, false);
        check_stop(L);
        push_refusal(co);
        arguments = 1;
    }
}

static int wait_too(lua_State *L, lua_KFunction next) {
    note_waiting(context_of(L)->strand, L, false);
    return lua_yieldk(L, 0, 0, next);
}

/// Before a coroutine that waited goes on, for the request itself or a refusal from further out.
static int go_on(lua_State *L, lua_State *co) {
    bool refused = is_refused(L);
    set_mark(L, MARK_WAITING, false);
    set_mark(co, MARK_WAITING, false);
    if (!refused) return resume(L, co, 0);
    push_refusal(L);
    return resume(L, co, 1);
}

static int finish_resume(lua_State *L, int results);

static int go_on_resume(lua_State *L, int status, lua_KContext k) {
    (void)status, (void)k;
    return finish_resume(L, go_on(L, lua_tothread(L, 1)));
}

static int finish_resume(lua_State *L, int results) {
    if (results == WAITS) return wait_too(L, go_on_resume);
    lua_pushboolean(L, results >= 0);
    int count = results < 0 ? 1 : results;
    lua_rotate(L, -(count + 1), 1);
    return count + 1;
}

static int co_resume(lua_State *L) {
    lua_State *co = coroutine_at(L, 1);
    return finish_resume(L, resume(L, co, lua_gettop(L) - 1));
}

static int finish_wrap(lua_State *L, int results);

static int go_on_wrap(lua_State *L, int status, lua_KContext k) {
    (void)status, (void)k;
    return finish_wrap(L, go_on(L, lua_tothread(L, lua_upvalueindex(1))));
}

static int finish_wrap(lua_State *L, int results) {
    if (results == WAITS) return wait_too(L, go_on_wrap);
    if (results >= 0) return results;
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) {
        // Its pending variables see the error, and may replace it.
        status = close_thread(context_of(L), co);
        if (status != LUA_OK) lua_xmove(co, L, 1);
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int call_wrapped(lua_State *L) {
    return finish_wrap(L, resume(L, lua_tothread(L, lua_upvalueindex(1)), lua_gettop(L)));
}

static int co_create(lua_State *L) {
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int co_wrap(lua_State *L) {
    co_create(L);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

static int co_yield(lua_State *L) {
    // Swift resumes a strand's first coroutine, and has no use for a script's values there.
    if (has_mark(L, MARK_TOP)) return luaL_error(L, "attempt to yield from outside a coroutine");
    return lua_yield(L, lua_gettop(L));
}

static const char *status_of(lua_State *L, lua_State *co) {
    if (L == co) return "running";
    if (has_mark(co, MARK_WAITING)) return "normal";
    switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK: {
        lua_Debug activation;
        if (lua_getstack(co, 0, &activation)) return "normal";
        return lua_gettop(co) == 0 ? "dead" : "suspended";
    }
    default: return "dead";
    }
}

static int co_status(lua_State *L) {
    lua_pushstring(L, status_of(L, coroutine_at(L, 1)));
    return 1;
}

static int co_isyieldable(lua_State *L) {
    lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(co) && !has_mark(co, MARK_TOP));
    return 1;
}

static int co_running(lua_State *L) {
    bool is_main = lua_pushthread(L) || has_mark(L, MARK_TOP);
    lua_pushboolean(L, is_main);
    return 2;
}

static int co_close(lua_State *L) {
    lua_State *co = coroutine_at(L, 1);
    const char *status = status_of(L, co);
    if (status[0] != 'd' && status[0] != 's') return luaL_error(L, "cannot close a %s coroutine", status);
    if (close_thread(context_of(L), co) == LUA_OK) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    return 2;
}

int open_coroutine(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"create", co_create}, {"resume", co_resume}, {"running", co_running}, {"status", co_status},
        {"wrap", co_wrap}, {"yield", co_yield}, {"isyieldable", co_isyieldable}, {"close", co_close}, {NULL, NULL},
    };
    luaL_newlib(L, functions);
    return 1;
}
