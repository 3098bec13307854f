/* Errors are filled where they are known; the session sends them. */
#include "broker/error.h"

#include <stdarg.h>
#include <stdio.h>

bool error_set(struct error *error, uint16_t code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    error->code = code;
    vsnprintf(error->detail, sizeof(error->detail), format, arguments);
    va_end(arguments);
    return false;
}
