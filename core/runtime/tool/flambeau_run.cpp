// flambeau-run: runs a saved program without Python, by the C API alone.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>
#include "runtime/tool/npy.h"

namespace {

using namespace fb::tool;

constexpr const char* usage = R"(usage: flambeau-run MODEL.pt [options]
runs a program that torch.jit.save or flambeau.jit.save wrote

  --input FILE     a tensor in a .npy file, or what torch.save wrote in a .pt file; once for each argument
  --int N, --float X, --bool 0|1, --text S, --none
                   an argument that is no tensor
  --method NAME    what is called (forward)
  --out FILE       write the result to this .npy file; several tensors go to FILE.0.npy, FILE.1.npy, ...
  --time N         call it N times more and print how long a call takes
  --describe       print the declaration of the method only
)";

struct Free {
    void operator()(fb_value* v) const { fb_free_value(v); }
    void operator()(fb_model* m) const { fb_free_model(m); }
};
using Value = std::unique_ptr<fb_value, Free>;
using Model = std::unique_ptr<fb_model, Free>;

struct Options {
    std::string model, method = "forward", out;
    std::vector<Value> inputs;
    int times = 0;
    bool describe = false;
};

template <class T>
T* checked(T* handle, const fb_error& error) {
    if (!handle) throw std::runtime_error(error.message);
    return handle;
}

Value read_input(const std::string& path) {
    if (ends_with(path, ".npy")) return Value(read_npy(path));
    fb_error error;
    return Value(checked(fb_read_value(path.c_str(), &error), error));
}

double number(const std::string& s) {
    char* end = nullptr;
    const double v = std::strtod(s.c_str(), &end);
    if (s.empty() || *end) throw std::invalid_argument("'" + s + "' is no number");
    return v;
}

Options parsed(int argc, char** argv) {
    Options o;
    for (int i = 1; i < argc; ++i) {
        const std::string a = argv[i];
        auto next = [&]() -> std::string {
            if (i + 1 >= argc) throw std::invalid_argument(a + " takes an argument");
            return argv[++i];
        };
        if (a == "--help" || a == "-h") {
            std::fputs(usage, stdout);
            std::exit(0);
        } else if (a == "--input") o.inputs.push_back(read_input(next()));
        else if (a == "--int") o.inputs.emplace_back(fb_new_int(int64_t(number(next()))));
        else if (a == "--float") o.inputs.emplace_back(fb_new_float(number(next())));
        else if (a == "--bool") o.inputs.emplace_back(fb_new_bool(number(next()) != 0));
        else if (a == "--none") o.inputs.emplace_back(fb_new_none());
        else if (a == "--text") {
            const std::string s = next();
            o.inputs.emplace_back(fb_new_text(s.data(), s.size(), nullptr));
        } else if (a == "--method") o.method = next();
        else if (a == "--out") o.out = next();
        else if (a == "--time") o.times = int(number(next()));
        else if (a == "--describe") o.describe = true;
        else if (a.starts_with("-")) throw std::invalid_argument("unknown option " + a);
        else if (o.model.empty()) o.model = a;
        else throw std::invalid_argument("more than one model: " + a);
    }
    if (o.model.empty()) throw std::invalid_argument("no model is named");
    return o;
}

std::string text_of(const fb_value* v) {
    fb_error error;
    const Value t(checked(fb_to_text(v, &error), error));
    size_t n = 0;
    const char* s = fb_get_text(t.get(), &n, nullptr);
    return {s, n};
}

// The tensors of a result, whatever it is made of.
void collect(Value v, std::vector<Value>& tensors) {
    const fb_kind kind = fb_kind_of(v.get());
    if (kind == FB_KIND_TENSOR) {
        tensors.push_back(std::move(v));
    } else if (kind == FB_KIND_LIST || kind == FB_KIND_TUPLE || kind == FB_KIND_DICT) {
        const int64_t n = fb_length(v.get(), nullptr);
        for (int64_t i = 0; i < n; ++i) collect(Value(fb_item(v.get(), i, nullptr)), tensors);
    }
}

void write(Value result, const std::string& out) {
    std::vector<Value> tensors;
    collect(std::move(result), tensors);
    if (tensors.empty()) throw std::runtime_error("the result holds no tensor to write");
    const std::string stem = ends_with(out, ".npy") ? out.substr(0, out.size() - 4) : out;
    for (size_t i = 0; i < tensors.size(); ++i) {
        fb_error error;
        fb_tensor t;
        if (!fb_get_tensor(tensors[i].get(), &t, &error)) throw std::runtime_error(error.message);
        write_npy(tensors.size() == 1 ? out : stem + "." + std::to_string(i) + ".npy", t);
    }
}

int run(int argc, char** argv) {
    using Clock = std::chrono::steady_clock;
    auto since = [](Clock::time_point from) {
        return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
    };
    const Options o = parsed(argc, argv);
    fb_error error;
    const auto loading = Clock::now();
    const Model model(checked(fb_load(o.model.c_str(), &error), error));
    const double load_ms = since(loading);
    if (o.describe) {
        const Value d(checked(fb_declaration(model.get(), o.method.c_str(), &error), error));
        std::printf("%s\n", text_of(d.get()).c_str());
        return 0;
    }
    std::vector<const fb_value*> inputs;
    for (const Value& v : o.inputs) inputs.push_back(v.get());
    auto call = [&] {
        return Value(checked(fb_run(model.get(), o.method.c_str(), inputs.data(), int(inputs.size()), &error), error));
    };
    const auto first = Clock::now();
    Value result = call();
    const double first_ms = since(first);
    if (o.out.empty()) std::printf("%s\n", text_of(result.get()).c_str());
    else write(std::move(result), o.out);
    if (o.times > 0) {
        std::vector<double> ms;
        for (int i = 0; i < o.times; ++i) {
            const auto start = Clock::now();
            call();
            ms.push_back(since(start));
        }
        std::sort(ms.begin(), ms.end());
        std::fprintf(stderr, "load %.2f ms, first call %.2f ms, then median %.4f ms, best %.4f ms of %d\n", load_ms,
                     first_ms, ms[ms.size() / 2], ms[0], o.times);
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::invalid_argument& e) {
        std::fprintf(stderr, "flambeau-run: %s\n%s", e.what(), usage);
        return 2;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "flambeau-run: %s\n", e.what());
        return 1;
    }
}
