#include "base/library.h"

#include <dlfcn.h>

bool library_load(const char *name, const char *const *functions, size_t count, void **found)
{
    void *handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    for (size_t i = 0; i < count; i++) {
        found[i] = handle ? dlsym(handle, functions[i]) : NULL;
        if (!found[i])
            return false;
    }
    return handle;
}

const char *library_error(void)
{
    const char *error = dlerror();
    return error ? error : "no reason is known";
}
