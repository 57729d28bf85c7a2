// PCRE2's functions for texts of bytes: their names end in `_8`.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
