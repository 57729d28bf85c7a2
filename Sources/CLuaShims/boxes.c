// Swift's functions, objects and errors as Lua sees them, and the trampolines between the two.

#include "context.h"

/// A userdata that keeps a Swift object. A script cannot make userdata, so mark and size tell ours from others'.
typedef struct box {
    const void *mark;
    int kind;
    void *object;
} box;

static const char box_mark, function_key, error_key, error_box_key, error_boxes_key;

/// The box of an error, whose table is at `index`; NULL for another table.
static void *to_error(lua_State *L, int index) {
    if (lua_type(L, index) != LUA_TTABLE || !lua_checkstack(L, 3)) return NULL;
    lua_pushvalue(L, index);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_boxes_key);
    lua_rotate(L, -2, 1);
    lua_rawget(L, -2);
    box *b = lua_touserdata(L, -1);
    lua_pop(L, 2);
    return b ? b->object : NULL;
}

void *luart_to_box(lua_State *L, int index, int kind) {
    if (kind == LUART_BOX_ERROR) return to_error(L, index);
    if (lua_type(L, index) != LUA_TUSERDATA || lua_rawlen(L, index) != sizeof(box)) return NULL;
    box *b = lua_touserdata(L, index);
    return b->mark == &box_mark && b->kind == kind ? b->object : NULL;
}

static void push_box(lua_State *L, int kind, void *object) {
    box *b = lua_newuserdatauv(L, sizeof *b, 0);
    *b = (box){&box_mark, kind, object};
}

static int collect(lua_State *L) {
    box *b = lua_touserdata(L, 1);
    if (!b || lua_rawlen(L, 1) != sizeof *b || b->mark != &box_mark || !b->object) return 0;
    void *object = b->object;
    b->object = NULL;
    context *c = context_of(L);
    c->granted++;
    c->host.release(b->kind, object);
    c->granted--;
    return 0;
}

/// The results of a callback, or its error raised now that Swift has unwound.
static int settle(lua_State *L, int results) { return results < 0 ? lua_error(L) : results; }

static void *callee(lua_State *L) {
    void *function = luart_to_box(L, lua_upvalueindex(1), LUART_BOX_FUNCTION);
    // Only a finalizer that runs while the state closes sees a function that is gone.
    if (!function) luaL_error(L, "the state is closing");
    return function;
}

static int call_at_once(lua_State *L) {
    check_stop(L);
    context *c = context_of(L);
    void *function = callee(L);
    c->granted++;
    int results = c->host.call(c->host.owner, L, function);
    c->granted--;
    return settle(L, results);
}

static const char no_yield[] = "attempt to yield across a C-call boundary";

static int finish_waiting(lua_State *L, int status, lua_KContext k) {
    (void)status, (void)k;
    context *c = context_of(L);
    set_mark(L, MARK_WAITING, false);
    if (is_refused(L)) {
        c->granted++;
        c->host.discard(c->host.owner);
        c->granted--;
        c->strand->waiting_count = 0;
        return luaL_error(L, no_yield);
    }
    c->granted++;
    int results = c->host.finish(c->host.owner, L);
    c->granted--;
    return settle(L, results);
}

static int call_and_wait(lua_State *L) {
    check_stop(L);
    context *c = context_of(L);
    void *function = callee(L);
    if (!lua_isyieldable(L) || !c->strand) return luaL_error(L, no_yield);
    c->granted++;
    int result = c->host.begin(c->host.owner, L, function);
    c->granted--;
    settle(L, result);
    note_waiting(c->strand, L, true);
    lua_settop(L, 0);
    return lua_yieldk(L, 0, 0, finish_waiting);
}

void luart_push_function(lua_State *L, void *function, bool waits) {
    push_box(L, LUART_BOX_FUNCTION, function);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &function_key);
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, waits ? call_and_wait : call_at_once, 1);
}

void luart_push_error(lua_State *L, void *error) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_boxes_key);
    lua_pushvalue(L, -2);
    push_box(L, LUART_BOX_ERROR, error);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_box_key);
    lua_setmetatable(L, -2);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &error_key);
    lua_setmetatable(L, -2);
}

void luart_push_object(lua_State *L, void *object) {
    push_box(L, LUART_BOX_OBJECT, object);
    lua_rotate(L, -2, 1);
    lua_setmetatable(L, -2);
}

static int describe_object(lua_State *L) {
    void *object = luart_to_box(L, 1, LUART_BOX_OBJECT);
    if (!object) {
        lua_pushfstring(L, "(%s)", luaL_typename(L, 1));
        return 1;
    }
    context *c = context_of(L);
    c->granted++;
    int results = c->host.describe(c->host.owner, L, object);
    c->granted--;
    return settle(L, results);
}

/// Pushes the field if it is a string.
static bool push_text(lua_State *L, int index, const char *field) {
    lua_pushstring(L, field);
    if (lua_rawget(L, index) == LUA_TSTRING) return true;
    lua_pop(L, 1);
    return false;
}

void luart_push_error_text(lua_State *L, int index) {
    index = lua_absindex(L, index);
    bool has_place = push_text(L, index, "place");
    if (has_place) lua_pushliteral(L, ": ");
    if (!push_text(L, index, "message")) lua_pushliteral(L, "(no message)");
    if (has_place) lua_concat(L, 3);
}

/// `place: message`, as the script may have changed them.
static int describe_error(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    luart_push_error_text(L, 1);
    return 1;
}

static int error_concatenation(lua_State *L) {
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int object_field(lua_State *L) {
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    lua_settop(L, 2);
    void *object = luart_to_box(L, 1, LUART_BOX_OBJECT);
    if (!object) return 0;
    context *c = context_of(L);
    c->granted++;
    int results = c->host.field(c->host.owner, L, object);
    c->granted--;
    return settle(L, results);
}

static int refuse_assignment(lua_State *L) {
    const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return luaL_error(L, "cannot set '%s': the fields of a %s are read only", field,
        lua_tostring(L, lua_upvalueindex(1)));
}

/// What all metatables of ours have; the metatable is on top of the stack.
static void complete(lua_State *L, const char *name) {
    lua_pushcfunction(L, collect);
    lua_setfield(L, -2, "__gc");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

void luart_complete_class(lua_State *L, const char *name) {
    lua_pushcclosure(L, object_field, 1);
    lua_setfield(L, -2, "__index");
    lua_pushstring(L, name);
    lua_pushcclosure(L, refuse_assignment, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushcfunction(L, describe_object);
    lua_setfield(L, -2, "__tostring");
    complete(L, name);
}

/// A function of the library `string` that takes an error of ours for its text.
static int string_function(lua_State *L) {
    if (to_error(L, 1)) {
        luaL_tolstring(L, 1, NULL);
        lua_replace(L, 1);
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/// Leaves the library `string` on the stack, whose functions take errors too.
static void push_string_functions(lua_State *L) {
    lua_getglobal(L, LUA_STRLIBNAME);
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pushcclosure(L, string_function, 1);
        lua_pushvalue(L, -2);
        lua_rotate(L, -2, 1);
        lua_rawset(L, -4);
    }
}

static void make_weak(lua_State *L, const char *mode) {
    lua_newtable(L);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
}

void open_boxes(lua_State *L) {
    lua_newtable(L);
    complete(L, "function");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &function_key);

    lua_newtable(L);
    make_weak(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_boxes_key);
    lua_newtable(L);
    complete(L, "error");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_box_key);

    lua_newtable(L);
    lua_pushcfunction(L, describe_error);
    lua_setfield(L, -2, "__tostring");
    push_string_functions(L);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, error_concatenation);
    lua_setfield(L, -2, "__concat");
    lua_pushliteral(L, "error");
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &error_key);
}

void luart_push_registry_table(lua_State *L, int table) {
    static const char keys[LUART_TABLES];
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &keys[table]) == LUA_TTABLE) return;
    lua_pop(L, 1);
    lua_newtable(L);
    if (table == LUART_TABLE_OBJECTS) make_weak(L, "v");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &keys[table]);
}
