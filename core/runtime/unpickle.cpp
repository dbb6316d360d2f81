#include "runtime/unpickle.h"
#include <cstring>
#include "runtime/interpret.h"

namespace fb::runtime {
namespace {

// What only files hold: the name of a function or class, and a storage.
struct Global final : Heap {
    Global(std::string path, const Class* kind) : path(std::move(path)), kind(kind) {}
    std::string path;
    const Class* kind;
};
struct Stored final : Heap {
    Stored(Ptr<Storage> s, DType t) : storage(std::move(s)), dtype(t) {}
    Ptr<Storage> storage;
    DType dtype;
};
template <class T>
const T* hidden(const Any& v) {
    const Ptr<Heap>* h = std::get_if<Ptr<Heap>>(&v);
    return h ? dynamic_cast<const T*>(h->get()) : nullptr;
}

const std::unordered_map<std::string, DType>& storage_types() {
    static const std::unordered_map<std::string, DType> all{
        {"FloatStorage", DType::f32},     {"DoubleStorage", DType::f64},       {"HalfStorage", DType::f16},
        {"BFloat16Storage", DType::bf16}, {"LongStorage", DType::i64},         {"IntStorage", DType::i32},
        {"ShortStorage", DType::i16},     {"CharStorage", DType::i8},          {"ByteStorage", DType::u8},
        {"BoolStorage", DType::b1},       {"ComplexFloatStorage", DType::c64}, {"ComplexDoubleStorage", DType::c128},
        {"UInt16Storage", DType::u16},    {"UInt32Storage", DType::u32},       {"UInt64Storage", DType::u64}};
    return all;
}

class Unpickler {
public:
    Unpickler(const Archive& archive, const std::string& record, const std::string& folder, const Program* program)
        : archive_(archive), record_(record), folder_(folder), program_(program), bytes_(archive.read(record)) {}

    Any run() {
        for (;;) {
            const uint8_t code = take<uint8_t>();
            if (code == '.') {
                Any v = pop();
                if (hidden<Heap>(v)) refuse("it holds no value");
                return v;
            }
            step(code);
        }
    }

private:
    [[noreturn]] void refuse(const std::string& why) const {
        fail(ErrorKind::Runtime, "torch.jit.load: ", record_, " of the archive cannot be read: ", why);
    }
    template <class T>
    T take() {
        T v;
        std::memcpy(&v, skip(sizeof v), sizeof v);
        return v;
    }
    const uint8_t* skip(size_t n) {
        if (n > bytes_.size() - at_) refuse("it is cut off");
        at_ += n;
        return bytes_.data() + at_ - n;
    }
    std::string string_of(size_t n) {
        const uint8_t* p = skip(n);
        return {reinterpret_cast<const char*>(p), n};
    }
    std::string line() {
        const void* end = std::memchr(bytes_.data() + at_, '\n', bytes_.size() - at_);
        if (!end) refuse("it is cut off");
        std::string s = string_of(size_t(static_cast<const uint8_t*>(end) - bytes_.data()) - at_);
        ++at_;
        return s;
    }

    void push(Any v) { stack_.push_back(std::move(v)); }
    Any pop() {
        if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) refuse("a value is missing");
        Any v = std::move(stack_.back());
        stack_.pop_back();
        return v;
    }
    const Any& top() const {
        if (stack_.empty()) refuse("a value is missing");
        return stack_.back();
    }
    std::vector<Any> to_mark() {
        if (marks_.empty()) refuse("a mark is missing");
        const auto from = stack_.begin() + ptrdiff_t(marks_.back());
        std::vector<Any> items(std::make_move_iterator(from), std::make_move_iterator(stack_.end()));
        stack_.erase(from, stack_.end());
        marks_.pop_back();
        return items;
    }
    void remember(size_t i) {
        if (i > bytes_.size()) refuse("a number in it is too large");
        if (i >= memo_.size()) memo_.resize(i + 1);
        memo_[i] = top();
    }
    void recall(size_t i) {
        if (i >= memo_.size()) refuse("it names a value that is not there");
        push(memo_[i]);
    }
    void put_items(const std::vector<Any>& items) {
        List* l = mutable_as<List>(top());
        if (!l) refuse("it adds to what is no list");
        l->items.insert(l->items.end(), items.begin(), items.end());
    }
    void set_items(const std::vector<Any>& items) {
        Dict* d = mutable_as<Dict>(top());
        if (!d || items.size() % 2) refuse("it adds to what is no dictionary");
        for (size_t i = 0; i < items.size(); i += 2) {
            if (items_of(items[i]) || as<Dict>(items[i]) || hidden<Heap>(items[i])) refuse("a key is no plain value");
            d->set(items[i], items[i + 1]);
        }
    }
    void make_tuple(size_t n) {
        std::vector<Any> items(n);
        while (n) items[--n] = pop();
        push(tuple(std::move(items)));
    }

    void step(uint8_t code) {
        switch (code) {
            case 0x80: skip(1); break;  // protocol
            case 0x95: skip(8); break;  // frame
            case '(': marks_.push_back(stack_.size()); break;
            case 'N': push(None{}); break;
            case 0x88: push(true); break;
            case 0x89: push(false); break;
            case 'J': push(int64_t(take<int32_t>())); break;
            case 'K': push(int64_t(take<uint8_t>())); break;
            case 'M': push(int64_t(take<uint16_t>())); break;
            case 0x8a: push(long_number()); break;
            case 'G': push(big_endian_double()); break;
            case 'X': push(text(string_of(take<uint32_t>()))); break;
            case 0x8c: push(text(string_of(take<uint8_t>()))); break;
            case ']': push(list()); break;
            case '}': push(make<Dict>()); break;
            case ')': push(tuple({})); break;
            case 't': push(tuple(to_mark())); break;
            case 0x85: make_tuple(1); break;
            case 0x86: make_tuple(2); break;
            case 0x87: make_tuple(3); break;
            case 'l': push(list(to_mark())); break;
            case 'a': {
                const Any v = pop();
                put_items({v});
                break;
            }
            case 'e': put_items(to_mark()); break;
            case 's': {
                const Any v = pop(), k = pop();
                set_items({k, v});
                break;
            }
            case 'u': set_items(to_mark()); break;
            case 'q': remember(take<uint8_t>()); break;
            case 'r': remember(take<uint32_t>()); break;
            case 0x94: remember(memo_.size()); break;
            case 'h': recall(take<uint8_t>()); break;
            case 'j': recall(take<uint32_t>()); break;
            case '0': pop(); break;
            case 'c': {
                const std::string module = line();
                push(global(module, line()));
                break;
            }
            case 0x93: {
                const Any name = pop(), module = pop();
                push(global(string(module), string(name)));
                break;
            }
            case 'Q': push(storage(pop())); break;
            case 'R': {
                const Any args = pop(), function = pop();
                push(reduce(function, args));
                break;
            }
            case 0x81: {
                const Any args = pop(), kind = pop();
                push(fresh(kind, args));
                break;
            }
            case 'b': build(pop()); break;
            default: refuse(str("it has an instruction that is not allowed: ", int(code)));
        }
    }

    int64_t long_number() {
        const size_t n = take<uint8_t>();
        if (n > 8) refuse("a number in it is too large");
        const uint8_t* p = skip(n);
        uint64_t v = 0;
        for (size_t i = 0; i < n; ++i) v |= uint64_t(p[i]) << (8 * i);
        if (n && n < 8 && p[n - 1] & 0x80) v |= ~uint64_t(0) << (8 * n);
        return int64_t(v);
    }
    double big_endian_double() {
        const uint8_t* p = skip(8);
        uint64_t v = 0;
        for (int i = 0; i < 8; ++i) v = v << 8 | p[i];
        double d;
        std::memcpy(&d, &v, 8);
        return d;
    }

    Any global(const std::string& module, const std::string& name) {
        const std::string path = module + "." + name;
        const Class* kind = nullptr;
        if (module.starts_with("__torch__")) {
            kind = program_ ? program_->find_class(path) : nullptr;
            if (!kind)
                fail(ErrorKind::NotImplemented, "torch.jit.load: the archive holds an object of ", path,
                     ", which its code does not define\n(objects of C++ classes, as of quantized layers, cannot be "
                     "read)");
        }
        return Ptr<Heap>(make<Global>(path, kind));
    }

    // ('storage', type, key, location, number of elements)
    Any storage(const Any& id) {
        const auto* parts = items_of(id);
        if (!parts || parts->size() < 5 || !as<Text>((*parts)[0]) || string((*parts)[0]) != "storage")
            refuse("it names no storage");
        const Global* type = hidden<Global>((*parts)[1]);
        const std::string key = string((*parts)[2]);
        const int64_t count = integer((*parts)[4]);
        if (const auto found = storages_.find(key); found != storages_.end()) return found->second;
        DType dtype = DType::none;
        if (type && type->path == "torch.storage.UntypedStorage") dtype = DType::u8;
        else if (type && type->path.starts_with("torch.")) {
            const auto t = storage_types().find(type->path.substr(6));
            if (t != storage_types().end()) dtype = t->second;
        }
        if (dtype == DType::none)
            fail(ErrorKind::NotImplemented, "the archive holds a storage of ", type ? type->path : "an unknown type",
                 ", which flambeau cannot read");
        const Bytes bytes = archive_.read(folder_ + "/" + key);
        if (count < 0 || uint64_t(count) > bytes.size() / itemsize(dtype))
            refuse("a storage is shorter than announced");
        Ptr<Storage> s = Storage::allocate(bytes.size());
        if (!bytes.empty()) std::memcpy(s->data(), bytes.data(), bytes.size());
        return storages_[key] = Ptr<Heap>(make<Stored>(std::move(s), dtype));
    }

    // (storage, offset, sizes, strides, …)
    Tensor tensor(const std::vector<Any>& a) {
        const Stored* s = a.size() >= 4 ? hidden<Stored>(a[0]) : nullptr;
        const auto *sizes = s ? items_of(a[2]) : nullptr, *strides = s ? items_of(a[3]) : nullptr;
        if (!sizes || !strides || sizes->size() != strides->size() || sizes->size() > 64)
            refuse("a tensor has no shape");
        const int64_t offset = integer(a[1]);
        const __int128 room = s->storage->nbytes() / itemsize(s->dtype);
        Dims shape, steps;
        __int128 last = offset, count = 1;
        bool empty = false;
        for (size_t i = 0; i < sizes->size(); ++i) {
            shape.push_back(integer((*sizes)[i]));
            steps.push_back(integer((*strides)[i]));
            if (shape[i] < 0 || steps[i] < 0) refuse("a tensor has a negative size");
            if (shape[i] == 0) empty = true;
            else if (steps[i] > 0 || shape[i] > 1) last += __int128(shape[i] - 1) * steps[i];
            if (last > room) last = room;  // large enough to be refused
            if (shape[i] && count <= (__int128(1) << 62) / shape[i]) count *= shape[i];
            else if (shape[i]) refuse("a tensor is too large");
        }
        if (offset < 0 || (empty ? offset > room : last >= room)) refuse("a tensor lies outside of its storage");
        Tensor t = TensorImpl::create();
        t->storage = s->storage;
        t->dtype = s->dtype;
        note_dtype(t->dtype);
        t->offset = offset;
        t->set_shape(shape, steps);
        return t;
    }

    Any reduce(const Any& function, const Any& args) {
        const Global* g = hidden<Global>(function);
        if (!g) refuse("it calls what is no function");
        if (g->kind) return fresh(function, args);
        const auto* a = items_of(args);
        if (!a) refuse("it calls a function without arguments");
        auto argument = [&](size_t i) -> const Any& {
            if (i >= a->size()) refuse("it calls " + g->path + " with too few arguments");
            return (*a)[i];
        };
        const std::string& path = g->path;
        if (path == "torch._utils._rebuild_tensor_v2") return tensor(*a);
        if (path == "torch._utils._rebuild_parameter") return argument(0);
        if (path == "collections.OrderedDict") {
            Any made = make<Dict>();
            if (!a->empty() && items_of((*a)[0]))
                for (const Any& pair : *items_of((*a)[0])) {
                    const auto* kv = items_of(pair);
                    if (!kv || kv->size() != 2) refuse("a dictionary has no pairs");
                    mutable_as<Dict>(made)->set((*kv)[0], (*kv)[1]);
                }
            return made;
        }
        if (path.starts_with("torch.jit._pickle.")) {  // lists that say what they hold
            const std::string name = path.substr(18);
            if (name == "build_intlist" || name == "build_doublelist" || name == "build_boollist" ||
                name == "build_tensorlist" || name == "restore_type_tag")
                return argument(0);
        }
        if (path == "builtins.complex" || path == "__builtin__.complex")
            return C128(real(argument(0)), real(argument(1)));
        if (path == "torch.device" || path == "torch._C.device")
            return device_of(string(argument(0)) + (a->size() > 1 ? ":" + to_text((*a)[1]) : ""));
        if (path == "torch.Size") return argument(0);
        fail(ErrorKind::NotImplemented, "the archive names ", path, ", which flambeau does not read without Python");
    }

    Any fresh(const Any& kind, const Any& args) {
        const Global* g = hidden<Global>(kind);
        if (g && g->path == "collections.OrderedDict") return make<Dict>();
        if (!g || !g->kind) refuse("it makes an object of what is no class");
        const auto* a = items_of(args);
        if (g->kind->base == "NamedTuple" || g->kind->base == "Enum")
            return construct(*g->kind, {a ? *a : std::vector<Any>{args}, {}});
        return make<Object>(g->kind, g->kind->attributes.size());
    }

    void build(const Any& state) {
        Object* o = mutable_as<Object>(top());
        if (!o) {
            if (as<Dict>(top())) return;  // attributes of an OrderedDict: a state_dict's versions
            refuse("it gives a state to what is no object");
        }
        if (o->kind->method("__setstate__")) {
            call_method(top(), "__setstate__", {{state}, {}});
            return;
        }
        const Dict* d = as<Dict>(state);
        if (!d) refuse("an object has no attributes");
        for (size_t i = 0; i < o->slots.size(); ++i) {
            const Any* found = d->find(text(o->kind->attributes[i]));
            if (found && hidden<Heap>(*found)) refuse("an attribute is no value");
            if (found) o->slots[i] = *found;
        }
    }

    const Archive& archive_;
    const std::string &record_, &folder_;
    const Program* program_;
    const Bytes bytes_;
    size_t at_ = 0;
    std::vector<Any> stack_, memo_;
    std::vector<size_t> marks_;
    std::unordered_map<std::string, Any> storages_;
};

}  // namespace

Any unpickle(const Archive& archive, const std::string& record, const std::string& folder, const Program* program) {
    return Unpickler(archive, record, folder, program).run();
}

std::shared_ptr<Program> load_program(std::vector<uint8_t> file) {
    const Archive archive(std::move(file));
    check(archive.has("constants.pkl") && archive.has("data.pkl"),
          "PytorchStreamReader failed locating file constants.pkl: file not found\n"
          "The file is no program: it was not written by torch.jit.save");
    auto p = std::make_shared<Program>();
    p->version = archive.has("version") ? std::atoi(archive.read_text("version").c_str()) : 3;
    const Any constants = unpickle(archive, "constants.pkl", "constants", p.get());
    if (items_of(constants)) p->constants = *items_of(constants);
    std::vector<std::pair<std::string, std::string>> texts;
    for (const std::string& record : archive.records("code/"))
        if (record.ends_with(".py")) texts.emplace_back(record, archive.read_text(record));
    p->define(texts);
    p->module = unpickle(archive, "data.pkl", "data", p.get());
    check(as<Object>(p->module), "torch.jit.load: the archive holds no module");
    return p;
}

Any load_tensors(std::vector<uint8_t> file) { return unpickle(Archive(std::move(file)), "data.pkl", "data", nullptr); }

}  // namespace fb::runtime
