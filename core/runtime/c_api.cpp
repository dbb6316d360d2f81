#include "runtime/flambeau.h"
#include <cstring>
#include <functional>
#include <mutex>
#include <stdexcept>
#include "op/op.h"
#include "runtime/archive.h"
#include "runtime/interpret.h"

using namespace fb;
using namespace fb::runtime;

struct fb_model {
    std::shared_ptr<const Program> program;
};
struct fb_value {
    Any value;
    std::shared_ptr<const Program> program;  // objects point to its classes
};

namespace {

// Operators expect what the interpreter lock gives them in Python: one caller at a time.
std::mutex& one_at_a_time() {
    static auto* m = new std::mutex;
    return *m;
}

void tell(fb_error* error, fb_code code, std::string_view message) {
    if (!error) return;
    error->code = code;
    const size_t n = std::min(message.size(), sizeof error->message - 1);
    std::memcpy(error->message, message.data(), n);
    error->message[n] = '\0';
}

fb_code code_of(ErrorKind kind, fb_code usual) {
    return kind == ErrorKind::NotImplemented ? FB_ERROR_UNSUPPORTED
           : kind == ErrorKind::OutOfMemory  ? FB_ERROR_MEMORY
                                             : usual;
}

// Runs f, alone in this process; whatever it throws becomes an error and `failed` the result.
template <class T, class F>
T guarded(fb_error* error, fb_code usual, T failed, F&& f) noexcept {
    if (error) tell(error, FB_OK, "");
    try {
        const std::lock_guard lock(one_at_a_time());
        const GradGuard off(false);
        return f();
    } catch (const Error& e) { tell(error, code_of(e.kind, usual), e.text); } catch (const std::bad_alloc&) {
        tell(error, FB_ERROR_MEMORY, "out of memory");
    } catch (const std::length_error&) {
        tell(error, FB_ERROR_MEMORY, "out of memory");
    } catch (const std::exception& e) { tell(error, usual, e.what()); } catch (...) {
        tell(error, usual, "an unknown error");
    }
    return failed;
}

// A run is as the call of a module in Python: results may wait to be joined with what follows them, until the end.
class Running {
public:
    Running() { ++tls.modules; }
    ~Running() { --tls.modules; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
};

template <class T>
const T& given(const T* handle, const char* what) {
    if (!handle) fail(ErrorKind::Value, what, " is NULL");
    return *handle;
}
fb_value* handle(Any v, std::shared_ptr<const Program> p = nullptr) { return new fb_value{std::move(v), std::move(p)}; }

std::vector<Any> copies(const fb_value* const* items, size_t count, std::shared_ptr<const Program>& owner) {
    std::vector<Any> all;
    if (count) given(items, "the list of values");
    for (size_t i = 0; i < count; ++i) {
        all.push_back(given(items[i], "a value").value);
        if (items[i]->program) owner = items[i]->program;
    }
    return all;
}

fb_model* loaded(const std::function<Bytes()>& read, fb_error* error) {
    return guarded<fb_model*>(error, FB_ERROR_FORMAT, nullptr, [&]() -> fb_model* {
        Bytes bytes;
        try {
            bytes = read();
        } catch (const Error& e) {
            tell(error, FB_ERROR_FILE, e.text);
            return nullptr;
        }
        const Running running;  // a __setstate__ runs operators
        return new fb_model{load_program(std::move(bytes))};
    });
}

const Function& method_of(const Program& p, const char* name) {
    const Class& kind = *as<Object>(p.module)->kind;
    const Function* f = kind.method(&given(name, "the name of the method"));
    if (f && !f->text->parameters.empty()) return *f;
    std::string known;
    for (const auto& [n, method] : kind.methods) known += (known.empty() ? "" : ", ") + n;
    fail(ErrorKind::Attribute, "Module [", kind.name, "] is missing the required \"", name, "\" function\nit has ",
         known.empty() ? "none" : known);
}

// An argument as the program takes it: a float where one is asked for.
Any taken(const Type& type, Any v) {
    if (type.name == "Optional" && !type.of.empty()) return is_none(v) ? v : taken(type.of[0], std::move(v));
    if (type.name == "float" && as<int64_t>(v)) return real(v);
    if (type.name == "Device" && as<Text>(v)) return device_of(string(v));
    if (type.name == "List" && !type.of.empty() && items_of(v)) {
        std::vector<Any> items;
        for (const Any& x : *items_of(v)) items.push_back(taken(type.of[0], x));
        return list(std::move(items));
    }
    return v;
}

std::vector<Any> checked_arguments(const Function& f, const fb_value* const* arguments, int count) {
    check_value(count >= 0, "a negative number of arguments");
    std::shared_ptr<const Program> owner;
    std::vector<Any> values = copies(arguments, size_t(count), owner);
    if (values.size() + 1 > f.types.size())
        fail(ErrorKind::Value, f.name, "() expected at most ", f.types.size() - 1, " argument(s) but received ",
             values.size(), " argument(s). Declaration: ", f.declaration());
    for (size_t i = 0; i < values.size(); ++i) {
        const Type& type = f.types[i + 1];
        if (!type.fits(values[i]))
            fail(ErrorKind::Value, f.name, "() Expected a value of type '", type.text(), "' for argument '",
                 f.text->parameters[i + 1].name, "' but instead found type '", type_name(values[i]),
                 "'.\nDeclaration: ", f.declaration());
        values[i] = taken(type, std::move(values[i]));
    }
    return values;
}

}  // namespace

extern "C" {

const char* fb_version(void) { return FB_VERSION; }

fb_model* fb_load(const char* path, fb_error* error) {
    return loaded([&] { return read_file(&given(path, "the path")); }, error);
}
fb_model* fb_load_bytes(const void* bytes, size_t size, fb_error* error) {
    return loaded(
        [&] {
            const auto* p = static_cast<const uint8_t*>(bytes);
            check_value(p || !size, "the bytes are NULL");
            return Bytes(p, p + size);
        },
        error);
}
void fb_free_model(fb_model* model) {
    const std::lock_guard lock(one_at_a_time());
    delete model;
}

fb_value* fb_declaration(const fb_model* model, const char* method, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        return handle(text(method_of(*given(model, "the model").program, method).declaration()));
    });
}

fb_value* fb_run(const fb_model* model, const char* method, const fb_value* const* arguments, int count,
                 fb_error* error) {
    bool started = false;
    return guarded<fb_value*>(error, FB_ERROR_PROGRAM, nullptr, [&]() -> fb_value* {
        const auto& program = given(model, "the model").program;
        try {
            const Running running;
            const Function& f = method_of(*program, method);
            Arguments a{checked_arguments(f, arguments, count), {}};
            a.values.insert(a.values.begin(), program->module);
            started = true;
            Any result = call_function(f, a);
            compute_waiting();
            return handle(std::move(result), program);
        } catch (const Error& e) {
            if (started) throw;
            tell(error, code_of(e.kind, FB_ERROR_ARGUMENT), e.text);
            return nullptr;
        }
    });
}

// ---------------------------------------------------------------- values in
fb_value* fb_new_tensor(const void* data, fb_dtype dtype, int dims, const int64_t* sizes, const int64_t* strides,
                        fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        const int code = int(dtype);  // whatever the caller's number
        const size_t size = code >= 0 && code < kDTypeLimit ? itemsize(DType(code)) : 0;
        check_value(size && DType(dtype) != DType::c32, "no such dtype: ", int(dtype));
        check_value(dims >= 0 && dims <= 64, "a tensor of ", dims, " dimensions");
        check_value(dims == 0 || sizes, "the sizes are NULL");
        const IntSpan shape(sizes, size_t(dims));
        for (int64_t n : shape) check_value(n >= 0, "a negative size: ", n);
        Tensor t = empty(shape, DType(dtype));
        check_value(data || !t.numel(), "the data are NULL");
        const Dims rows = contiguous_strides(shape);
        if (t.numel() && strides && !same(rows, IntSpan(strides, size_t(dims)))) {
            char* to = static_cast<char*>(t.data());
            Dims at(size_t(dims), 0);
            for (int64_t k = 0; k < t.numel(); ++k, to += size) {
                int64_t from = 0;
                for (int d = 0; d < dims; ++d) from += at[size_t(d)] * strides[d];
                std::memcpy(to, static_cast<const char*>(data) + from * int64_t(size), size);
                for (int d = dims; d-- && ++at[size_t(d)] == shape[size_t(d)];) at[size_t(d)] = 0;
            }
        } else if (t.numel()) {
            std::memcpy(t.data(), data, size_t(t.numel()) * size);
        }
        return handle(std::move(t));
    });
}
fb_value* fb_new_none(void) {
    return guarded<fb_value*>(nullptr, FB_ERROR_ARGUMENT, nullptr, [] { return handle(None{}); });
}
fb_value* fb_new_bool(int value) {
    return guarded<fb_value*>(nullptr, FB_ERROR_ARGUMENT, nullptr, [&] { return handle(value != 0); });
}
fb_value* fb_new_int(int64_t value) {
    return guarded<fb_value*>(nullptr, FB_ERROR_ARGUMENT, nullptr, [&] { return handle(value); });
}
fb_value* fb_new_float(double value) {
    return guarded<fb_value*>(nullptr, FB_ERROR_ARGUMENT, nullptr, [&] { return handle(value); });
}
fb_value* fb_new_text(const char* bytes, size_t size, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        check_value(bytes || !size, "the text is NULL");
        return handle(text(std::string(bytes, size)));
    });
}
fb_value* fb_new_list(const fb_value* const* items, size_t count, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        std::shared_ptr<const Program> owner;
        std::vector<Any> all = copies(items, count, owner);
        return handle(list(std::move(all)), owner);
    });
}
fb_value* fb_new_tuple(const fb_value* const* items, size_t count, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        std::shared_ptr<const Program> owner;
        std::vector<Any> all = copies(items, count, owner);
        return handle(tuple(std::move(all)), owner);
    });
}
fb_value* fb_new_dict(const fb_value* const* keys, const fb_value* const* values, size_t count, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        std::shared_ptr<const Program> owner;
        const std::vector<Any> k = copies(keys, count, owner), v = copies(values, count, owner);
        auto d = make<Dict>();
        for (size_t i = 0; i < count; ++i) d->set(k[i], v[i]);
        return handle(Any(d), owner);
    });
}
fb_value* fb_read_value(const char* path, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_FORMAT, nullptr, [&]() -> fb_value* {
        Bytes bytes;
        try {
            bytes = read_file(&given(path, "the path"));
        } catch (const Error& e) {
            tell(error, FB_ERROR_FILE, e.text);
            return nullptr;
        }
        return handle(load_tensors(std::move(bytes)));
    });
}
void fb_free_value(fb_value* value) {
    const std::lock_guard lock(one_at_a_time());
    delete value;
}

// ---------------------------------------------------------------- values out
fb_kind fb_kind_of(const fb_value* value) {
    static constexpr fb_kind kinds[] = {FB_NONE,       FB_KIND_BOOL,   FB_KIND_INT,  FB_KIND_FLOAT, FB_KIND_COMPLEX,
                                        FB_KIND_OTHER, FB_KIND_TENSOR, FB_KIND_TEXT, FB_KIND_LIST,  FB_KIND_TUPLE,
                                        FB_KIND_DICT,  FB_KIND_OTHER,  FB_KIND_OTHER};
    return value ? kinds[value->value.index()] : FB_NONE;
}
int fb_get_tensor(const fb_value* value, fb_tensor* tensor, fb_error* error) {
    return guarded(error, FB_ERROR_ARGUMENT, 0, [&] {
        const Tensor* t = as<Tensor>(given(value, "the value").value);
        if (!t) fail(ErrorKind::Type, "the value is no tensor but a ", type_name(value->value));
        given(tensor, "the place for the tensor");
        // What reads conjugated or negated is written down, once.
        if ((*t)->lazy()) const_cast<fb_value*>(value)->value = op_to_plain(*t);
        t = as<Tensor>(value->value);
        check(t->device() == kCPU, "the tensor has no memory here: it lies on ", t->device());
        *tensor = {t->numel() ? (*t)->escaping_data() : nullptr, fb_dtype(t->dtype()), int(t->dim()), t->sizes().data(),
                   t->strides().data()};
        return 1;
    });
}
int64_t fb_get_int(const fb_value* value, fb_error* error) {
    return guarded<int64_t>(error, FB_ERROR_ARGUMENT, -1, [&] { return integer(given(value, "the value").value); });
}
double fb_get_float(const fb_value* value, fb_error* error) {
    return guarded<double>(error, FB_ERROR_ARGUMENT, -1, [&] { return real(given(value, "the value").value); });
}
const char* fb_get_text(const fb_value* value, size_t* size, fb_error* error) {
    return guarded<const char*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        const std::string& s = string(given(value, "the value").value);
        if (size) *size = s.size();
        return s.c_str();
    });
}
int64_t fb_length(const fb_value* value, fb_error* error) {
    return guarded<int64_t>(error, FB_ERROR_ARGUMENT, -1, [&] {
        const Any& v = given(value, "the value").value;
        if (const auto* l = items_of(v)) return int64_t(l->size());
        if (const Dict* d = as<Dict>(v)) return int64_t(d->items().size());
        fail(ErrorKind::Type, "a ", type_name(v), " has no items");
    });
}
static size_t place_in(size_t n, int64_t index) {
    check_index(index >= 0 && uint64_t(index) < n, "there is no item ", index, " among ", n);
    return size_t(index);
}
fb_value* fb_item(const fb_value* value, int64_t index, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        const Any& v = given(value, "the value").value;
        if (const auto* l = items_of(v)) return handle((*l)[place_in(l->size(), index)], value->program);
        if (const Dict* d = as<Dict>(v))
            return handle(d->items()[place_in(d->items().size(), index)].second, value->program);
        fail(ErrorKind::Type, "a ", type_name(v), " has no items");
    });
}
fb_value* fb_key(const fb_value* value, int64_t index, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr, [&] {
        const Any& v = given(value, "the value").value;
        if (const Dict* d = as<Dict>(v))
            return handle(d->items()[place_in(d->items().size(), index)].first, value->program);
        if (const Tuple* t = as<Tuple>(v); t && t->kind)
            return handle(text(t->kind->attributes[place_in(t->kind->attributes.size(), index)]));
        fail(ErrorKind::Type, "a ", type_name(v), " has no keys");
    });
}
fb_value* fb_to_text(const fb_value* value, fb_error* error) {
    return guarded<fb_value*>(error, FB_ERROR_ARGUMENT, nullptr,
                              [&] { return handle(text(to_text(given(value, "the value").value))); });
}

}  // extern "C"
