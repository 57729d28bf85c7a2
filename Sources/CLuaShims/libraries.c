// What the standard library is like for scripts: see adapt_libraries.

#include "context.h"
#include <string.h>

static int print(lua_State *L) {
    luaL_Buffer line;
    int count = lua_gettop(L);
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_pushresult(&line);
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    context *c = context_of(L);
    c->granted++;
    c->host.print(c->host.owner, bytes, length);
    c->granted--;
    return 0;
}

/// `load`, of text only: a made-up binary chunk can do anything to the interpreter.
static int load_text(lua_State *L) {
    if (!lua_isstring(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    if (lua_gettop(L) < 3) lua_settop(L, 3);
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/// `setmetatable` without finalizers: they run with hooks off, so that an endless one could not be stopped.
static int set_metatable(lua_State *L) {
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(L, "cannot change a protected metatable");
    }
    lua_settop(L, 2);
    if (type == LUA_TTABLE) {
        lua_pushliteral(L, "__gc");
        if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "'__gc' is not available to this script");
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

static int collect_garbage(lua_State *L) {
    static const char *const options[] = {"collect", "count", NULL};
    int option = luaL_checkoption(L, 1, "collect", options);
    // A full collection takes long; see that a loop of them ends soon after it must.
    check_stop(L);
    if (option == 1) {
        lua_pushnumber(L, (lua_Number)lua_gc(L, LUA_GCCOUNT) + (lua_Number)lua_gc(L, LUA_GCCOUNTB) / 1024);
    } else {
        lua_pushinteger(L, lua_gc(L, LUA_GCCOLLECT));
    }
    return 1;
}

/// The message handler of `xpcall`. When the hook raised, it would run within the hook, where no other hook can stop it.
static int handle_message(lua_State *L) {
    if (stop_reason(context_of(L)) != LUART_STOP_NONE) return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int finish_xpcall(lua_State *L, int status, lua_KContext extra) {
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_pushboolean(L, 0);
        lua_pushvalue(L, -2);
        return 2;
    }
    return lua_gettop(L) - (int)extra;
}

static int protected_call_with_handler(lua_State *L) {
    int count = lua_gettop(L);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, handle_message, 1);
    lua_replace(L, 2);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    // f, handler, true, f, arguments…
    lua_rotate(L, 3, 2);
    return finish_xpcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 2, 2, finish_xpcall), 2);
}

static int finish_require(lua_State *L, int status, lua_KContext k) {
    (void)k;
    // name, loaded, loading, result or error
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    lua_rawset(L, 3);
    if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
    return 1;
}

/// `require`: a module that is loaded, else a file beside the script, else (when trusted) what Lua itself finds.
static int require(lua_State *L) {
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_settop(L, 1);
    luart_push_loaded(L);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 2) != LUA_TNIL) return 1;
    lua_settop(L, 2);
    luart_push_registry_table(L, LUART_TABLE_LOADING);
    lua_pushvalue(L, 1);
    if (lua_rawget(L, 3) != LUA_TNIL) {
        return luaL_error(L, "module '%s' is being loaded already: it requires itself, perhaps through another",
            lua_tostring(L, 1));
    }
    lua_settop(L, 3);

    context *c = context_of(L);
    c->granted++;
    int found = c->host.locate(c->host.owner, L);
    c->granted--;
    if (found == LUART_ABSENT && c->is_trusted) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 1);
        lua_call(L, 1, LUA_MULTRET);
        return lua_gettop(L) - 4;
    }
    if (found < 0) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    }
    size_t length;
    const char *source = lua_tolstring(L, -2, &length);
    if (luaL_loadbufferx(L, source, length, lua_tostring(L, -1), "t") != LUA_OK) return lua_error(L);
    lua_replace(L, 4);
    lua_settop(L, 4);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, 3);
    lua_pushvalue(L, 1);
    return finish_require(L, lua_pcallk(L, 1, 1, 0, 0, finish_require), 0);
}

static int refuse_exit(lua_State *L) {
    return luaL_error(L, "'os.exit' would end the whole program: return from the script, or call 'error'");
}

/// Replaces the global `name` by `function` with the old one as its upvalue.
static void wrap_global(lua_State *L, const char *name, lua_CFunction function) {
    lua_getglobal(L, name);
    lua_pushcclosure(L, function, 1);
    lua_setglobal(L, name);
}

static void remove_from(lua_State *L, const char *library, const char *name) {
    lua_getglobal(L, library);
    lua_pushnil(L);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

void adapt_libraries(lua_State *L, bool trusted) {
    lua_register(L, "print", print);
    lua_register(L, "xpcall", protected_call_with_handler);
    wrap_global(L, "require", require);
    if (trusted) {
        lua_getglobal(L, LUA_OSLIBNAME);
        lua_pushcfunction(L, refuse_exit);
        lua_setfield(L, -2, "exit");
        lua_pop(L, 1);
        return;
    }
    wrap_global(L, "load", load_text);
    lua_register(L, "setmetatable", set_metatable);
    lua_register(L, "collectgarbage", collect_garbage);
    remove_from(L, LUA_GNAME, "dofile");
    remove_from(L, LUA_GNAME, "loadfile");
    remove_from(L, LUA_STRLIBNAME, "dump");
}
