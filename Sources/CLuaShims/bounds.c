// Functions of the library that would run on where no hook can stop them: over lengths that only a metamethod or an argument
// claims, or with another C function for each step.

// For mempcpy.
#define _GNU_SOURCE
#include "context.h"
#include <string.h>

/// More elements than fit a script's memory, and few enough that a loop of C's over them takes a second or so.
enum { MOST_ELEMENTS = 1 << 24 };

static void check_elements(lua_State *L, lua_Integer first, lua_Integer last) {
    // As unsigned numbers: the distance may be beyond what a signed one holds.
    if (last >= first && (lua_Unsigned)last - (lua_Unsigned)first >= MOST_ELEMENTS) {
        luaL_error(L, "too many elements (at most %d at once)", (int)MOST_ELEMENTS);
    }
}

/// Goes on with liblua's function, which has no upvalues of its own.
static int original(lua_State *L) { return lua_tocfunction(L, lua_upvalueindex(1))(L); }

/// A function that is quick enough as it is: a loop of calls ends with the next one.
static int checked(lua_State *L) {
    check_stop(L);
    return original(L);
}

/// `insert`, `remove`, `sort`, `unpack` and `concat` go over what the table says its length is, unless told otherwise.
static int over_length(lua_State *L) {
    check_stop(L);
    if (lua_istable(L, 1)) check_elements(L, 1, luaL_len(L, 1));
    return original(L);
}

static int concat(lua_State *L) {
    check_stop(L);
    if (lua_istable(L, 1)) {
        lua_Integer first = luaL_optinteger(L, 3, 1);
        check_elements(L, first, luaL_opt(L, luaL_checkinteger, 4, luaL_len(L, 1)));
    }
    return original(L);
}

static int move(lua_State *L) {
    check_stop(L);
    check_elements(L, luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
    return original(L);
}

/// The order of `sort` when it is C's.
static int compare(lua_State *L) {
    check_stop(L);
    if (lua_isnil(L, lua_upvalueindex(1))) {
        lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    } else {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 2, 1);
    }
    return 1;
}

static int sort(lua_State *L) {
    if (lua_isnoneornil(L, 2) || lua_iscfunction(L, 2)) {
        lua_settop(L, 2);
        lua_pushcclosure(L, compare, 1);
    }
    return over_length(L);
}

static int repeat(lua_State *L) {
    size_t length, between;
    const char *text = luaL_checklstring(L, 1, &length);
    lua_Integer count = luaL_checkinteger(L, 2);
    const char *separator = luaL_optlstring(L, 3, "", &between);
    check_stop(L);
    if (count <= 0 || length + between == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    if ((lua_Unsigned)count > PTRDIFF_MAX / (length + between)) return luaL_error(L, "resulting string too large");
    size_t whole = (size_t)count * length + (size_t)(count - 1) * between;
    luaL_Buffer result;
    char *to = luaL_buffinitsize(L, &result, whole);
    for (lua_Integer i = 0; i < count; i++) {
        if (i > 0) to = mempcpy(to, separator, between);
        to = mempcpy(to, text, length);
    }
    luaL_pushresultsize(&result, whole);
    return 1;
}

/// Replaces a field of the table on top of the stack by `function` with the old value as its upvalue.
static void wrap_field(lua_State *L, const char *name, lua_CFunction function) {
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

void bound_libraries(lua_State *L) {
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushcfunction(L, repeat);
    lua_setfield(L, -2, "rep");

    lua_getglobal(L, LUA_TABLIBNAME);
    wrap_field(L, "insert", over_length);
    wrap_field(L, "remove", over_length);
    wrap_field(L, "sort", sort);
    wrap_field(L, "concat", concat);
    wrap_field(L, "move", move);

    lua_getglobal(L, LUA_UTF8LIBNAME);
    wrap_field(L, "len", checked);
    wrap_field(L, "offset", checked);
    wrap_field(L, "codepoint", checked);
    lua_settop(L, 0);
}
