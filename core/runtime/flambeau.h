/* flambeau's C API: programs that torch.jit.save or flambeau.jit.save wrote, run without Python.
 *
 *     fb_error error;
 *     fb_model* model = fb_load("model.pt", &error);
 *     fb_value* x = fb_new_tensor(data, FB_FLOAT32, 4, sizes, NULL, &error);
 *     fb_value* y = fb_run(model, "forward", (const fb_value* const[]){x}, 1, &error);
 *     fb_tensor t;
 *     if (fb_get_tensor(y, &t, &error)) use(t.data, t.sizes);
 *     fb_free_value(y); fb_free_value(x); fb_free_model(model);
 *
 * What fails returns NULL, 0 or -1 and fills the error, if one was given. Nothing aborts, nothing throws. NULL handles
 * are errors, and may be freed. All functions may be called from several threads at once, also on the same handles;
 * runs wait for each other, since each uses all cores by itself. Gradients are never recorded. In a process with a
 * Python interpreter, use flambeau.jit.load there. See docs/design/runtime.md.
 */
#ifndef FLAMBEAU_H
#define FLAMBEAU_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

#ifndef FB_API
#define FB_API __attribute__((visibility("default")))
#endif

typedef struct fb_model fb_model;
typedef struct fb_value fb_value; /* a tensor, number, text, list, tuple, dictionary, object or nothing */

typedef enum {
    FB_OK = 0,
    FB_ERROR_FILE = 1,        /* no such file, or it cannot be read */
    FB_ERROR_FORMAT = 2,      /* it is no archive of a program, or a damaged one */
    FB_ERROR_ARGUMENT = 3,    /* what was passed does not fit */
    FB_ERROR_UNSUPPORTED = 4, /* an operator or type that is not there */
    FB_ERROR_PROGRAM = 5,     /* the program raised an exception, or an operator failed */
    FB_ERROR_MEMORY = 6
} fb_code;

typedef struct {
    fb_code code;
    char message[2048];
} fb_error;

/* The numbers that files use. */
typedef enum {
    FB_UINT8 = 0,
    FB_INT8 = 1,
    FB_INT16 = 2,
    FB_INT32 = 3,
    FB_INT64 = 4,
    FB_FLOAT16 = 5,
    FB_FLOAT32 = 6,
    FB_FLOAT64 = 7,
    FB_COMPLEX64 = 9,
    FB_COMPLEX128 = 10,
    FB_BOOL = 11,
    FB_BFLOAT16 = 15,
    FB_UINT16 = 27,
    FB_UINT32 = 28,
    FB_UINT64 = 29
} fb_dtype;

typedef enum {
    FB_NONE,
    FB_KIND_BOOL,
    FB_KIND_INT,
    FB_KIND_FLOAT,
    FB_KIND_COMPLEX,
    FB_KIND_TEXT,
    FB_KIND_TENSOR,
    FB_KIND_LIST,
    FB_KIND_TUPLE,
    FB_KIND_DICT,
    FB_KIND_OTHER
} fb_kind;

/* How a tensor lies; pointers belong to the value and live as long. Strides count elements. */
typedef struct {
    void* data;
    fb_dtype dtype;
    int dims;
    const int64_t* sizes;
    const int64_t* strides;
} fb_tensor;

FB_API const char* fb_version(void);

/* --- models --- */
FB_API fb_model* fb_load(const char* path, fb_error* error);
FB_API fb_model* fb_load_bytes(const void* bytes, size_t size, fb_error* error);
FB_API void fb_free_model(fb_model* model);
/* The declaration of a method: "forward(Tensor x) -> Tensor"; a text to be freed as a value. */
FB_API fb_value* fb_declaration(const fb_model* model, const char* method, fb_error* error);
/* Calls a method; arguments that are left out take their defaults. The arguments stay the caller's. */
FB_API fb_value* fb_run(const fb_model* model, const char* method, const fb_value* const* arguments, int count,
                        fb_error* error);

/* --- values in; everything passed is copied --- */
FB_API fb_value* fb_new_tensor(const void* data, fb_dtype dtype, int dims, const int64_t* sizes,
                               const int64_t* strides /* NULL: row-major */, fb_error* error);
FB_API fb_value* fb_new_none(void);
FB_API fb_value* fb_new_bool(int value);
FB_API fb_value* fb_new_int(int64_t value);
FB_API fb_value* fb_new_float(double value);
FB_API fb_value* fb_new_text(const char* bytes, size_t size, fb_error* error);
FB_API fb_value* fb_new_list(const fb_value* const* items, size_t count, fb_error* error);
FB_API fb_value* fb_new_tuple(const fb_value* const* items, size_t count, fb_error* error);
FB_API fb_value* fb_new_dict(const fb_value* const* keys, const fb_value* const* values, size_t count, fb_error* error);
/* A tensor, or numbers and texts in lists and dictionaries, that torch.save wrote. */
FB_API fb_value* fb_read_value(const char* path, fb_error* error);
FB_API void fb_free_value(fb_value* value);

/* --- values out --- */
FB_API fb_kind fb_kind_of(const fb_value* value);
FB_API int fb_get_tensor(const fb_value* value, fb_tensor* tensor, fb_error* error); /* 1, or 0 where it is none */
FB_API int64_t fb_get_int(const fb_value* value, fb_error* error);                   /* of a bool, too */
FB_API double fb_get_float(const fb_value* value, fb_error* error);
FB_API const char* fb_get_text(const fb_value* value, size_t* size, fb_error* error); /* lives as long as the value */
FB_API int64_t fb_length(const fb_value* value, fb_error* error); /* of a list, tuple or dictionary */
FB_API fb_value* fb_item(const fb_value* value, int64_t index, fb_error* error);
FB_API fb_value* fb_key(const fb_value* value, int64_t index, fb_error* error); /* of a dictionary; of a named tuple */
FB_API fb_value* fb_to_text(const fb_value* value, fb_error* error);            /* as programs print it */

#ifdef __cplusplus
}
#endif
#endif
