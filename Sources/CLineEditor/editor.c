#include "CLineEditor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <editline/readline.h>

static line_editor_taker taker;
static line_editor_completer completer;
// What the completer said last, and how much of it has been given away.
static char **words;
static int given;

static void take(char *line) {
    taker(line);
    free(line);
}

static char *next_word(const char *text, int state) {
    (void)text;
    if (state == 0) given = 0;
    return words && words[given] ? words[given++] : NULL;
}

static char **complete(const char *text, int start, int end) {
    (void)start;
    (void)end;
    // Never file names.
    rl_attempted_completion_over = 1;
    words = completer(text);
    if (!words) return NULL;
    char **matches = rl_completion_matches(text, next_word);
    // The words themselves were given away one by one.
    free(words);
    words = NULL;
    return matches;
}

void line_editor_begin(const char *prompt, line_editor_taker take_line, line_editor_completer complete_word) {
    taker = take_line;
    completer = complete_word;
    rl_attempted_completion_function = complete;
    // A name with its dots and colons is one word.
    rl_completer_word_break_characters = (char *)" \t\n\"'`=;|&{}()+-*/%~#[]<>,^";
    rl_completion_append_character = 0;
    rl_callback_handler_install(prompt, take);
}

void line_editor_read(void) { rl_callback_read_char(); }

void line_editor_end(void) { rl_callback_handler_remove(); }

void line_editor_remember(const char *line) { add_history(line); }

void line_editor_open(void) {
    // Libedit learns the terminal's own characters when a prompt begins, and only while the terminal gives lines.
    rl_callback_handler_install("", take);
    rl_parse_and_bind("setty -x -icanon -echo");
    rl_callback_handler_remove();
}

bool line_editor_load(const char *path) {
    using_history();
    return read_history(path) == 0;
}

bool line_editor_save(const char *path, int most) {
    stifle_history(most);
    return write_history(path) == 0;
}
