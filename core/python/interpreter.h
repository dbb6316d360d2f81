// CPython's declarations, every reference a weak one: where no interpreter is in the process the library loads all the
// same, with the binding asleep, and serves the C API (docs/design/runtime.md). Calls go through the same tables as
// ever.
#pragma once
#define PyAPI_FUNC(type) __attribute__((weak, visibility("default"))) type
#define PyAPI_DATA(type) extern __attribute__((weak, visibility("default"))) type
#include <Python.h>
