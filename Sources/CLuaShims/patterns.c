// `string.find`, `match`, `gmatch` and `gsub` as the manual describes them (§6.4.1), with one difference: each step of a match
// counts as an instruction, so that a pattern that backtracks without end is stopped as a loop is. liblua's own matcher runs to
// its end whatever happens, which can be after the universe's.

// For memmem.
#define _GNU_SOURCE
#include "context.h"
#include <ctype.h>
#include <string.h>

enum {
    ESCAPE = '%',
    /// liblua's limits.
    CAPTURES = 32,
    NESTING = 200,
    /// What a capture's length is while it is open, and when it is a position (`()`).
    OPEN = -1,
    POSITION = -2,
};

typedef struct {
    lua_State *L;
    const char *text, *text_end, *pattern_end;
    int nesting;
    /// Steps that are not counted yet.
    int steps;
    int count;
    struct {
        const char *start;
        ptrdiff_t length;
    } captures[CAPTURES];
} matcher;

static unsigned char byte(char c) { return (unsigned char)c; }

static void step(matcher *m) {
    if (++m->steps < CHECK_INTERVAL) return;
    count_instructions(m->L, m->steps);
    m->steps = 0;
}

// ---- One character

/// The end of the single-character class at `p`.
static const char *class_end(matcher *m, const char *p) {
    char first = *p++;
    if (first == ESCAPE) {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (first != '[') return p;
    if (*p == '^') p++;
    do {
        if (p == m->pattern_end) luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == ESCAPE && p < m->pattern_end) p++;
    } while (*p != ']');
    return p + 1;
}

static bool is_in_class(int c, int class) {
    bool is;
    switch (tolower(class)) {
    case 'a': is = isalpha(c); break;
    case 'c': is = iscntrl(c); break;
    case 'd': is = isdigit(c); break;
    case 'g': is = isgraph(c); break;
    case 'l': is = islower(c); break;
    case 'p': is = ispunct(c); break;
    case 's': is = isspace(c); break;
    case 'u': is = isupper(c); break;
    case 'w': is = isalnum(c); break;
    case 'x': is = isxdigit(c); break;
    default: return class == c;
    }
    return isupper(class) ? !is : is;
}

/// Whether a set, from its `[` to its `]`, has the character.
static bool is_in_set(int c, const char *p, const char *last) {
    bool found = true;
    if (p[1] == '^') {
        found = false;
        p++;
    }
    while (++p < last) {
        if (*p == ESCAPE) {
            if (is_in_class(c, byte(*++p))) return found;
        } else if (p[1] == '-' && p + 2 < last) {
            p += 2;
            if (byte(p[-2]) <= c && c <= byte(*p)) return found;
        } else if (byte(*p) == c) {
            return found;
        }
    }
    return !found;
}

/// Whether the text at `s` begins with a character of the class from `p` to `end`.
static bool is_single(matcher *m, const char *s, const char *p, const char *end) {
    step(m);
    if (s >= m->text_end) return false;
    int c = byte(*s);
    switch (*p) {
    case '.': return true;
    case ESCAPE: return is_in_class(c, byte(p[1]));
    case '[': return is_in_set(c, p, end - 1);
    default: return byte(*p) == c;
    }
}

// ---- Items of several characters

static const char *match(matcher *m, const char *s, const char *p);

static const char *match_balance(matcher *m, const char *s, const char *p) {
    if (p >= m->pattern_end - 1) luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->text_end || *s != p[0]) return NULL;
    int depth = 1;
    while (++s < m->text_end) {
        step(m);
        if (*s == p[1]) {
            if (--depth == 0) return s + 1;
        } else if (*s == p[0]) {
            depth++;
        }
    }
    return NULL;
}

/// As many as there are, then fewer, then the rest of the pattern at `end + 1`.
static const char *match_most(matcher *m, const char *s, const char *p, const char *end) {
    ptrdiff_t count = 0;
    while (is_single(m, s + count, p, end)) count++;
    for (; count >= 0; count--) {
        const char *found = match(m, s + count, end + 1);
        if (found) return found;
    }
    return NULL;
}

static const char *match_fewest(matcher *m, const char *s, const char *p, const char *end) {
    while (true) {
        const char *found = match(m, s, end + 1);
        if (found) return found;
        if (!is_single(m, s, p, end)) return NULL;
        s++;
    }
}

// ---- Captures

static const char *open_capture(matcher *m, const char *s, const char *p, ptrdiff_t length) {
    if (m->count >= CAPTURES) luaL_error(m->L, "too many captures");
    m->captures[m->count].start = s;
    m->captures[m->count].length = length;
    m->count++;
    const char *found = match(m, s, p);
    if (!found) m->count--;
    return found;
}

static const char *close_capture(matcher *m, const char *s, const char *p) {
    int last = m->count - 1;
    while (last >= 0 && m->captures[last].length != OPEN) last--;
    if (last < 0) luaL_error(m->L, "invalid pattern capture");
    m->captures[last].length = s - m->captures[last].start;
    const char *found = match(m, s, p);
    if (!found) m->captures[last].length = OPEN;
    return found;
}

static const char *match_capture(matcher *m, const char *s, int digit) {
    int index = digit - '1';
    if (index < 0 || index >= m->count || m->captures[index].length == OPEN) {
        luaL_error(m->L, "invalid capture index %%%d", index + 1);
    }
    // A position has no text: its length is beyond any.
    size_t length = (size_t)m->captures[index].length;
    if ((size_t)(m->text_end - s) < length || memcmp(m->captures[index].start, s, length) != 0) return NULL;
    return s + length;
}

static bool is_frontier(matcher *m, const char *s, const char *set, const char *end) {
    int before = s == m->text ? 0 : byte(s[-1]);
    int at = s == m->text_end ? 0 : byte(*s);
    return !is_in_set(before, set, end - 1) && is_in_set(at, set, end - 1);
}

// ---- The whole

/// The rest of the pattern from `p` at `s`: where its match ends, or NULL.
static const char *match_rest(matcher *m, const char *s, const char *p) {
    while (p != m->pattern_end) {
        step(m);
        switch (*p) {
        case '(':
            return p[1] == ')' ? open_capture(m, s, p + 2, POSITION) : open_capture(m, s, p + 1, OPEN);
        case ')': return close_capture(m, s, p + 1);
        case '$':
            if (p + 1 == m->pattern_end) return s == m->text_end ? s : NULL;
            break;
        case ESCAPE:
            if (p[1] == 'b') {
                s = match_balance(m, s, p + 2);
                if (!s) return NULL;
                p += 4;
                continue;
            }
            if (p[1] == 'f') {
                p += 2;
                if (*p != '[') luaL_error(m->L, "missing '[' after '%%f' in pattern");
                const char *end = class_end(m, p);
                if (!is_frontier(m, s, p, end)) return NULL;
                p = end;
                continue;
            }
            if (isdigit(byte(p[1]))) {
                s = match_capture(m, s, byte(p[1]));
                if (!s) return NULL;
                p += 2;
                continue;
            }
            break;
        }
        const char *end = class_end(m, p);
        switch (*end) {
        case '*': return match_most(m, s, p, end);
        case '-': return match_fewest(m, s, p, end);
        case '+': return is_single(m, s, p, end) ? match_most(m, s + 1, p, end) : NULL;
        case '?':
            if (is_single(m, s, p, end)) {
                const char *found = match(m, s + 1, end + 1);
                if (found) return found;
            }
            p = end + 1;
            break;
        default:
            if (!is_single(m, s, p, end)) return NULL;
            s++;
            p = end;
        }
    }
    return s;
}

static const char *match(matcher *m, const char *s, const char *p) {
    if (m->nesting == NESTING) luaL_error(m->L, "pattern too complex");
    m->nesting++;
    const char *found = match_rest(m, s, p);
    m->nesting--;
    return found;
}

/// Begins anew, at another place of the text.
static const char *match_at(matcher *m, const char *s, const char *p) {
    m->count = 0;
    m->nesting = 0;
    step(m);
    return match(m, s, p);
}

static matcher matcher_of(lua_State *L, const char *text, size_t length, const char *pattern, size_t pattern_length) {
    matcher m;
    m.L = L;
    m.text = text;
    m.text_end = text + length;
    m.pattern_end = pattern + pattern_length;
    m.steps = 0;
    m.count = 0;
    m.nesting = 0;
    return m;
}

// ---- Results

/// Pushes one capture; without any, the first is the whole match.
static void push_capture(matcher *m, int index, const char *s, const char *end) {
    if (index >= m->count) {
        if (index != 0) luaL_error(m->L, "invalid capture index %%%d", index + 1);
        lua_pushlstring(m->L, s, (size_t)(end - s));
        return;
    }
    ptrdiff_t length = m->captures[index].length;
    const char *start = m->captures[index].start;
    if (length == OPEN) luaL_error(m->L, "unfinished capture");
    if (length == POSITION) {
        lua_pushinteger(m->L, start - m->text + 1);
    } else {
        lua_pushlstring(m->L, start, (size_t)length);
    }
}

/// Pushes all captures, or the whole match when there are none and `s` is given; their count.
static int push_captures(matcher *m, const char *s, const char *end) {
    int count = m->count == 0 && s ? 1 : m->count;
    luaL_checkstack(m->L, count, "too many captures");
    for (int i = 0; i < count; i++) push_capture(m, i, s, end);
    return count;
}

/// The optional argument that says where to begin, from 0; beyond the text's end when nothing can be found there.
static size_t beginning(lua_State *L, int index, size_t length) {
    lua_Integer position = luaL_optinteger(L, index, 1);
    if (position > 0) return (size_t)position - 1;
    if (position == 0 || position < -(lua_Integer)length) return 0;
    return length - (size_t)-position;
}

static bool is_plain(const char *pattern, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return false;
    }
    return true;
}

static int find_or_match(lua_State *L, bool is_find) {
    check_stop(L);
    size_t length, pattern_length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &pattern_length);
    size_t start = beginning(L, 3, length);
    if (start > length) {
        lua_pushnil(L);
        return 1;
    }
    if (is_find && (lua_toboolean(L, 4) || is_plain(pattern, pattern_length))) {
        const char *found = memmem(text + start, length - start, pattern, pattern_length);
        if (!found) {
            lua_pushnil(L);
            return 1;
        }
        lua_pushinteger(L, found - text + 1);
        lua_pushinteger(L, found - text + (lua_Integer)pattern_length);
        return 2;
    }
    matcher m = matcher_of(L, text, length, pattern, pattern_length);
    bool is_anchored = *pattern == '^';
    if (is_anchored) pattern++;
    for (const char *s = text + start; s <= m.text_end; s++) {
        const char *end = match_at(&m, s, pattern);
        if (end && is_find) {
            lua_pushinteger(L, s - text + 1);
            lua_pushinteger(L, end - text);
            return push_captures(&m, NULL, NULL) + 2;
        }
        if (end) return push_captures(&m, s, end);
        if (is_anchored) break;
    }
    lua_pushnil(L);
    return 1;
}

static int find(lua_State *L) { return find_or_match(L, true); }
static int match_function(lua_State *L) { return find_or_match(L, false); }

/// The iterator of `gmatch`. Its upvalues: the text, the pattern, where to go on (from 0), where the last match ended or -1.
static int next_match(lua_State *L) {
    check_stop(L);
    size_t length, pattern_length;
    const char *text = lua_tolstring(L, lua_upvalueindex(1), &length);
    const char *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_length);
    lua_Integer start = lua_tointeger(L, lua_upvalueindex(3));
    lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
    matcher m = matcher_of(L, text, length, pattern, pattern_length);
    for (; start <= (lua_Integer)length; start++) {
        const char *end = match_at(&m, text + start, pattern);
        if (!end || end - text == last) continue;
        lua_pushinteger(L, end - text);
        lua_copy(L, -1, lua_upvalueindex(3));
        lua_replace(L, lua_upvalueindex(4));
        return push_captures(&m, text + start, end);
    }
    lua_pushinteger(L, start);
    lua_replace(L, lua_upvalueindex(3));
    return 0;
}

static int gmatch(lua_State *L) {
    size_t length;
    luaL_checklstring(L, 1, &length);
    luaL_checkstring(L, 2);
    size_t start = beginning(L, 3, length);
    lua_settop(L, 2);
    lua_pushinteger(L, (lua_Integer)(start > length ? length + 1 : start));
    lua_pushinteger(L, -1);
    lua_pushcclosure(L, next_match, 4);
    return 1;
}

/// The replacement's text, in which `%1` and the like stand for captures.
static void add_text(matcher *m, luaL_Buffer *result, const char *s, const char *end) {
    size_t left;
    const char *text = lua_tolstring(m->L, 3, &left);
    const char *escape;
    while ((escape = memchr(text, ESCAPE, left))) {
        luaL_addlstring(result, text, (size_t)(escape - text));
        char what = escape[1];
        if (what == ESCAPE) {
            luaL_addchar(result, ESCAPE);
        } else if (what == '0') {
            luaL_addlstring(result, s, (size_t)(end - s));
        } else if (isdigit(byte(what))) {
            push_capture(m, what - '1', s, end);
            luaL_tolstring(m->L, -1, NULL);
            lua_remove(m->L, -2);
            luaL_addvalue(result);
        } else {
            luaL_error(m->L, "invalid use of '%c' in replacement string", ESCAPE);
        }
        left -= (size_t)(escape + 2 - text);
        text = escape + 2;
    }
    luaL_addlstring(result, text, left);
}

/// Adds what stands for the match; whether that is another text.
static bool add_replacement(matcher *m, luaL_Buffer *result, const char *s, const char *end, int type) {
    lua_State *L = m->L;
    switch (type) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
        break;
    default:
        add_text(m, result, s, end);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(result, s, (size_t)(end - s));
        return false;
    }
    if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(result);
    return true;
}

static int gsub(lua_State *L) {
    check_stop(L);
    size_t length, pattern_length;
    const char *s = luaL_checklstring(L, 1, &length);
    const char *pattern = luaL_checklstring(L, 2, &pattern_length);
    int type = lua_type(L, 3);
    luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
        "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)length + 1), count = 0;
    matcher m = matcher_of(L, s, length, pattern, pattern_length);
    bool is_anchored = *pattern == '^', is_changed = false;
    if (is_anchored) pattern++;
    const char *last = NULL;
    luaL_Buffer result;
    luaL_buffinit(L, &result);
    while (count < most) {
        const char *end = match_at(&m, s, pattern);
        if (end && end != last) {
            count++;
            is_changed |= add_replacement(&m, &result, s, end, type);
            s = last = end;
        } else if (s < m.text_end) {
            luaL_addchar(&result, *s++);
        } else {
            break;
        }
        if (is_anchored) break;
    }
    if (is_changed) {
        luaL_addlstring(&result, s, (size_t)(m.text_end - s));
        luaL_pushresult(&result);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, count);
    return 2;
}

void open_patterns(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"find", find}, {"match", match_function}, {"gmatch", gmatch}, {"gsub", gsub}, {NULL, NULL},
    };
    lua_getglobal(L, LUA_STRLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
