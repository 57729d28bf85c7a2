// What Swift cannot say to liblua itself: macros as functions, and everything that may raise a Lua error. A Lua error is a
// longjmp and must never pass over a Swift frame: Swift callbacks return a code, and the C functions here raise or yield
// after Swift has unwound.

#pragma once

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Why a strand must stop.
enum {
    LUART_STOP_NONE = 0,
    LUART_STOP_CANCELLED = 1,
    LUART_STOP_INSTRUCTIONS = 2,
};

/// What a Swift object behind a userdata is.
enum {
    LUART_BOX_FUNCTION = 1,
    LUART_BOX_OBJECT = 2,
    LUART_BOX_ERROR = 3,
};

/// A callback's answer: the value on top of the stack is an error to raise.
enum { LUART_RAISE = -1 };
/// `locate`'s answer: there is no such file.
enum { LUART_ABSENT = -2 };

/// A Lua call stack that Swift drives: the coroutine of one `run` or `call` with those it resumes. Its stop flag may be
/// set from any thread, the rest belongs to the state's thread.
typedef struct luart_strand luart_strand;

/// What C asks of Swift. While one of these runs, allocations are granted whatever the limit, so that none can raise.
/// Those that return a count leave so many results on top of the stack, or an error value and LUART_RAISE.
typedef struct luart_host {
    /// Passed to each function as `owner`.
    void *owner;
    /// Calls a function that answers at once.
    int (*call)(void *owner, lua_State *L, void *function);
    /// Notes the request of a function that waits; 0, or LUART_RAISE.
    int (*begin)(void *owner, lua_State *L, void *function);
    /// Gives the results of the strand's request.
    int (*finish)(void *owner, lua_State *L);
    /// Forgets the strand's request, which cannot wait where it is.
    void (*discard)(void *owner);
    /// Reads the field whose name is at index 2 of the object at index 1.
    int (*field)(void *owner, lua_State *L, void *object);
    /// The text of an object.
    int (*describe)(void *owner, lua_State *L, void *object);
    /// The source and the chunk name of the module whose name is at index 1, or LUART_ABSENT with a text.
    int (*locate)(void *owner, lua_State *L);
    /// Takes a line that the script prints.
    void (*print)(void *owner, const char *bytes, size_t count);
    /// Takes the last reference to a Swift object.
    void (*release)(int kind, void *object);
} luart_host;

/// A function on the call stack. The texts live as long as the function does.
typedef struct luart_frame {
    const char *source;
    size_t source_length;
    const char *name;
    int line;
    int defined;
    bool is_main;
    bool is_lua;
    /// The source as Lua's own messages name it.
    char short_source[LUA_IDSIZE];
} luart_frame;

/// A state with its libraries, or NULL when there is no memory. `memory` is in bytes.
lua_State *luart_new(const luart_host *host, size_t memory, bool trusted);
/// Frees the state; finalizers run.
void luart_close(lua_State *L);
/// Bytes in use.
size_t luart_used(lua_State *L);
/// Bytes that Lua code may still take; 0 beyond the limit.
size_t luart_left(lua_State *L);

/// A strand that may run so many instructions between two waits.
luart_strand *luart_strand_new(int64_t instructions);
/// Frees it; it must not be running.
void luart_strand_free(luart_strand *strand);
/// Makes it stop at the next check. From any thread; the first reason stays.
void luart_strand_stop(luart_strand *strand, int reason);
/// Why it stops, if it does.
int luart_strand_reason(const luart_strand *strand);

/// Makes `co` the strand's coroutine, with this function and its arguments on the stack.
void luart_strand_begin(luart_strand *strand, lua_State *co);
/// Starts or goes on with the strand: LUA_YIELD when it waits for its request, LUA_OK with results on top of its coroutine,
/// or an error with its value on top.
int luart_strand_resume(luart_strand *strand, int arguments, int *results);
/// Closes the strand's coroutines, the innermost first, which runs their pending `__close` with a budget of their own.
void luart_strand_close(luart_strand *strand);

/// Loads a text chunk onto the stack, or an error value. `name` as lua_load takes it.
int luart_load(lua_State *L, const char *bytes, size_t count, const char *name);
/// Pushes onto `L` a string that says the error value on top of `co`, asking its `__tostring`.
void luart_push_description(lua_State *L, lua_State *co, luart_strand *strand);
/// The function `level` calls up, 0 being the running one; false when there is none.
bool luart_get_frame(lua_State *L, int level, luart_frame *frame);
/// The coroutine that resumed the one `level` below, from the running one outwards; NULL at the end.
lua_State *luart_resumer(lua_State *L, int level);

/// Pushes a function of Swift's, whose reference goes to Lua.
void luart_push_function(lua_State *L, void *function, bool waits);
/// Makes the table on top of the stack, which has its fields, an error of Swift's, whose reference goes to Lua.
void luart_push_error(lua_State *L, void *error);
/// Pushes the text of the error at `index`; needs room for four values.
void luart_push_error_text(lua_State *L, int index);
/// Pushes an object of Swift's, whose reference goes to Lua, with the metatable on top of the stack, which it pops.
void luart_push_object(lua_State *L, void *object);
/// Completes the metatable of a class, whose methods' table is on top of the stack with the metatable below; pops the
/// methods.
void luart_complete_class(lua_State *L, const char *name);
/// The Swift object of a userdata, or of an error's table; NULL when it is none of this kind.
void *luart_to_box(lua_State *L, int index, int kind);

/// Tables of the registry.
enum {
    /// From a Swift object's address to its userdata, as long as the script has it.
    LUART_TABLE_OBJECTS,
    /// From a class's address to its metatable.
    LUART_TABLE_CLASSES,
    /// The names of modules that are being loaded.
    LUART_TABLE_LOADING,
    LUART_TABLES,
};
/// Pushes such a table, which is made at first use.
void luart_push_registry_table(lua_State *L, int table);

static inline const char *luart_short_source(const luart_frame *frame) { return frame->short_source; }
static inline void luart_pop(lua_State *L, int count) { lua_settop(L, -count - 1); }
static inline int luart_registry(void) { return LUA_REGISTRYINDEX; }
static inline const char *luart_string(lua_State *L, int index, size_t *count) {
    // A number would be changed in place, which may raise.
    return lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, count) : NULL;
}
static inline void luart_insert(lua_State *L, int index) { lua_rotate(L, index, 1); }
static inline void luart_push_globals(lua_State *L) { lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); }
static inline void luart_push_loaded(lua_State *L) { lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); }
