#include "cpu/lapack.h"
#include <dlfcn.h>
#include <link.h>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include "base/error.h"
#include "base/names.h"

namespace fb::lapack {

void (*load_more)() = nullptr;

namespace {

struct Library {
    void* handle = nullptr;
    std::string prefix, suffix;  // around the Fortran name and its underscore
};

// NumPy's copy is in the process already when Python runs us: open that one rather than a second.
std::string loaded_openblas() {
    std::string path;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* out) {
            if (!std::strstr(info->dlpi_name, "scipy_openblas64_")) return 0;
            *static_cast<std::string*>(out) = info->dlpi_name;
            return 1;
        },
        &path);
    return path;
}

std::string own_directory() {
    Dl_info info;
    if (!dladdr(reinterpret_cast<void*>(&own_directory), &info) || !info.dli_fname) return ".";
    const std::string file = info.dli_fname;
    return file.substr(0, file.rfind('/') + 1);
}

Library open_library() {
    if (loaded_openblas().empty() && load_more) load_more();
    const std::string packages = own_directory() + "../";
    struct Candidate {
        std::string path;
        const char *prefix, *suffix;
    };
    const Candidate candidates[] = {
        {loaded_openblas(), "scipy_", "64_"},
        {packages + "scipy_openblas64/lib/libscipy_openblas64_.so", "scipy_", "64_"},
        {packages + "scipy_openblas64/lib/libscipy_openblas.so", "scipy_", "64_"},
        {"libopenblas64_.so.0", "", "64_"},
        {"liblapack64.so.3", "", "64_"},
    };
    for (const auto& [path, prefix, suffix] : candidates) {
        if (path.empty()) continue;
        void* h = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!h) continue;
        if (dlsym(h, (prefix + std::string("dgemm_") + suffix).c_str())) return {h, prefix, suffix};
        dlclose(h);
    }
    return {};
}

// Finding it may run Python, which lets other threads go on: no lock is held meanwhile, nor that of a static variable.
const Library& library() {
    static std::atomic<const Library*> found{nullptr};
    const Library* l = found.load(std::memory_order_acquire);
    if (!l) {
        const Library* mine = new Library(open_library());
        if (found.compare_exchange_strong(l, mine)) l = mine;
        else delete mine;  // another thread was first
    }
    return *l;
}

}  // namespace

bool available() { return library().handle != nullptr; }

void* find_symbol(const char* name) {
    const Library& l = library();
    return l.handle ? dlsym(l.handle, (l.prefix + name + "_" + l.suffix).c_str()) : nullptr;
}

void* symbol(const char* name) {
    if (void* f = find_symbol(name)) return f;
    if (!available())
        fail(ErrorKind::Runtime, "this operation needs LAPACK, which was not found.\n",
             "Install it with `pip install scipy-openblas64` (NumPy's own copy is used when NumPy has one).");
    fail(ErrorKind::Runtime, "the LAPACK library has no function '", name, "'");
}

namespace {

// How many threads OpenBLAS had before the first of the guards that live now.
struct Threads {
    std::mutex lock;
    int guards = 0, before = 0;
    int (*get)() = nullptr;
    void (*set)(int) = nullptr;

    Threads() {
        const Library& l = library();
        if (!l.handle) return;
        const auto find = [&](const char* name) { return dlsym(l.handle, (l.prefix + name + l.suffix).c_str()); };
        get = reinterpret_cast<int (*)()>(find("openblas_get_num_threads"));
        set = reinterpret_cast<void (*)(int)>(find("openblas_set_num_threads"));
    }
};
Threads& threads() {
    static auto* t = new Threads;
    return *t;
}

}  // namespace

OneThread::OneThread(bool wanted) : on_(wanted && available() && threads().get && threads().set) {
    if (!on_) return;
    Threads& t = threads();
    const std::lock_guard<std::mutex> guard(t.lock);
    if (t.guards++ == 0 && (t.before = t.get()) != 1) t.set(1);
}
OneThread::~OneThread() {
    if (!on_) return;
    Threads& t = threads();
    const std::lock_guard<std::mutex> guard(t.lock);
    if (--t.guards == 0 && t.before != 1) t.set(t.before);
}

void refuse_type(const char* name, DType t) {
    // The kernel that PyTorch names, and the function that asks for floating point before it (empty: the kernel does).
    struct Refusal {
        const char *routine, *kernel, *function;
    };
    static constexpr Refusal known[] = {
        {"linalg_cholesky", "cholesky_cpu", "linalg.cholesky"},
        {"lu_factor", "lu_cpu", ""},
        {"linalg_solve", "lu_cpu", "linalg.solve"},
        {"triangular_solve", "triangular_solve_cpu", ""},
        {"linalg_eigh", "linalg_eigh_cpu", ""},
        {"linalg_eig", "linalg_eig_out_cpu", "linalg.eig"},
        {"linalg_svd", "linalg_svd_cpu", "linalg.svd"},
        {"geqrf", "geqrf_cpu", ""},
        {"orgqr", "orgqr_cpu", ""},
        {"ldl_factor", "ldl_factor_kernel_cpu", "torch.linalg.ldl_factor_ex"},
    };
    const std::string_view routine = name;
    if (routine == "linalg_lstsq")
        fail(ErrorKind::Runtime, "This function doesn't handle types other than float and double");
    Refusal r{name, name, name};
    for (const Refusal& k : known)
        if (routine == k.routine) r = k;
    if (is_integral(t, true) && *r.function)
        fail(ErrorKind::Runtime, r.function, ": Expected a floating point or complex tensor as input. Got ", t);
    fail(ErrorKind::NotImplemented, '"', r.kernel, "\" not implemented for '", t,
         "'\nLAPACK works in float32 and float64: convert with .float()");
}

}  // namespace fb::lapack
