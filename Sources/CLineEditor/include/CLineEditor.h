// libedit's callbacks as three functions: its settings are global variables, which Swift's checks for data races refuse.
// Everything here is for one thread, the one that reads the terminal.

#pragma once

#include <stdbool.h>

// Takes a line, or NULL at the end of input. The line belongs to the editor.
typedef void (*line_editor_taker)(const char *line);
// The ways in which a word may go on, as an array that ends with NULL, all of it from malloc; NULL for none.
typedef char **(*line_editor_completer)(const char *word);

// Makes the terminal on standard input give keys and not lines from now on, between prompts too: a Ctrl-D that is typed ahead
// would otherwise become the end of a line that nobody reads, and a NUL to the next prompt. Its settings are the caller's to restore.
void line_editor_open(void);
// Shows the prompt; `take` is called by `line_editor_read` when a line is complete.
void line_editor_begin(const char *prompt, line_editor_taker take, line_editor_completer complete);
// Takes what is typed. To be called when there is something to read on standard input.
void line_editor_read(void);
// Ends the prompt.
void line_editor_end(void);
// Adds a line to the history.
void line_editor_remember(const char *line);
// Reads and writes the history; false when that fails. At most `most` lines are kept.
bool line_editor_load(const char *path);
bool line_editor_save(const char *path, int most);
