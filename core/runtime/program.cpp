// From text to functions that can run: every name gets what it stands for.
#include "runtime/program.h"
#include <cmath>
#include <set>
#include "runtime/interpret.h"

namespace fb::runtime {
namespace {

const std::unordered_map<std::string, int64_t>& numbers() {  // dtypes, memory formats and layouts by name
    static const std::unordered_map<std::string, int64_t> all = [] {
        std::unordered_map<std::string, int64_t> m{{"contiguous_format", 0},
                                                   {"preserve_format", 1},
                                                   {"channels_last", 2},
                                                   {"channels_last_3d", 3},
                                                   {"strided", 0},
                                                   {"sparse_coo", 1},
                                                   {"sparse_csr", 2},
                                                   {"half", 5},
                                                   {"float", 6},
                                                   {"double", 7},
                                                   {"short", 2},
                                                   {"int", 3},
                                                   {"long", 4}};
        for (int i = 0; i < kDTypeLimit; ++i)
            if (itemsize(DType(i))) m[name(DType(i))] = i;
        return m;
    }();
    return all;
}

template <class F>
void each_expression(const Expr& e, F&& f) {
    f(e);
    for (const auto& k : e.kids)
        if (k) each_expression(*k, f);
}
void note_names(const Expr& target, std::set<std::string>& names) {
    if (target.kind == Expr::Name) names.insert(target.text);
    if (target.kind == Expr::TupleOf || target.kind == Expr::ListOf)
        for (const auto& k : target.kids) note_names(*k, names);
}
void note_locals(const Block& block, std::set<std::string>& names) {
    auto comprehensions = [&](const ExprPtr& e) {
        if (!e) return;
        each_expression(*e, [&](const Expr& x) {
            if (x.kind == Expr::ListFor) note_names(*x.kids[1], names);
            if (x.kind == Expr::DictFor) note_names(*x.kids[2], names);
        });
    };
    for (const Statement& s : block) {
        for (const auto& t : s.targets) note_names(*t, names);
        comprehensions(s.value);
        note_locals(s.body, names);
        note_locals(s.other, names);
    }
}

}  // namespace

// ---------------------------------------------------------------- types
Type type_of(const Expr* e) {
    static const std::unordered_map<std::string, std::string> same{
        {"None", "NoneType"},   {"device", "Device"}, {"torch.Tensor", "Tensor"},
        {"Scalar", "number"},   {"Number", "number"}, {"list", "List"},
        {"dict", "Dict"},       {"tuple", "Tuple"},   {"torch.device", "Device"},
        {"torch.dtype", "int"}, {"dtype", "int"}};
    if (!e) return {"Tensor", {}};
    if (e->kind == Expr::Constant) return {as<Text>(e->value) ? string(e->value) : "NoneType", {}};
    if (e->kind == Expr::Subscript) {
        Type t = type_of(e->kids[0].get());
        const Expr& of = *e->kids[1];
        if (of.kind == Expr::TupleOf)
            for (const auto& k : of.kids) t.of.push_back(type_of(k.get()));
        else t.of.push_back(type_of(&of));
        if (t.name == "Final" && t.of.size() == 1) return Type(t.of[0]);
        if (t.name == "Tuple" && of.kind == Expr::TupleOf && of.kids.empty()) t.of.clear();
        return t;
    }
    const std::string path = dotted(*e);
    check(!path.empty(), "an annotation of the program names no type, line ", e->line);
    const auto found = same.find(path);
    return {found == same.end() ? path : found->second, {}};
}

bool Type::fits(const Any& v) const {
    if (name == "Optional") return is_none(v) || of.empty() || of[0].fits(v);
    if (name == "Union") return std::any_of(of.begin(), of.end(), [&](const Type& t) { return t.fits(v); });
    if (name == "Tensor") return as<Tensor>(v);
    if (name == "int") return as<int64_t>(v);
    if (name == "float") return as<double>(v) || as<int64_t>(v);
    if (name == "bool") return as<bool>(v);
    if (name == "str") return as<Text>(v);
    if (name == "Device") return as<Device>(v) || as<Text>(v);
    if (name == "NoneType") return is_none(v);
    if (name == "number" || name == "complex") return as<int64_t>(v) || as<double>(v) || as<C128>(v);
    if (name == "List") {
        const auto* items = items_of(v);
        return items &&
               (of.empty() || std::all_of(items->begin(), items->end(), [&](const Any& x) { return of[0].fits(x); }));
    }
    if (name == "Tuple") {
        const Tuple* t = as<Tuple>(v);
        if (!t || t->items.size() != of.size()) return t && of.empty();
        for (size_t i = 0; i < of.size(); ++i)
            if (!of[i].fits(t->items[i])) return false;
        return true;
    }
    if (name == "Dict") {
        const Dict* d = as<Dict>(v);
        return d && (of.size() < 2 || std::all_of(d->items().begin(), d->items().end(), [&](const auto& kv) {
                         return of[0].fits(kv.first) && of[1].fits(kv.second);
                     }));
    }
    return true;  // a class: its own code will tell
}

std::string Type::text() const {
    std::string s = name;
    for (size_t i = 0; i < of.size(); ++i) s += (i ? ", " : "[") + of[i].text();
    return of.empty() ? s : s + "]";
}

std::string Function::declaration() const {
    std::string s = name + "(";
    for (size_t i = 0; i < text->parameters.size(); ++i) {
        const bool self = i == 0 && text->parameters[0].name == "self";
        s += (i ? ", " : "") + (self ? "" : types[i].text() + " ") + text->parameters[i].name;
        if (optional[i]) s += "=" + to_text(fallbacks[i]);
    }
    return s + ") -> " + (text->result ? type_of(text->result.get()).text() : "Tensor");
}

// ---------------------------------------------------------------- names
class Linker {
public:
    explicit Linker(Program& p) : p_(p) {}

    void define(const std::vector<std::pair<std::string, std::string>>& texts) {
        struct Part {
            FileText* text;
            std::string file, prefix;
        };
        std::vector<Part> parts;
        for (const auto& [file, text] : texts) {
            std::string prefix = file.substr(file.starts_with("code/") ? 5 : 0);
            prefix = prefix.substr(0, prefix.size() - std::min<size_t>(2, prefix.size()));  // without "py"
            std::replace(prefix.begin(), prefix.end(), '/', '.');
            p_.files_.push_back(std::make_unique<FileText>(parse_file(text, file)));
            parts.push_back({p_.files_.back().get(), file, prefix});
        }
        for (Part& part : parts) {
            for (const FunctionText& f : part.text->functions)
                p_.functions_[part.prefix + f.name] = declare(f, part.file);
            for (ClassText& c : part.text->classes) declare(c, part.file, part.prefix);
        }
        for (Part& part : parts)
            for (ClassText& c : part.text->classes) constants(c, *p_.classes_.at(part.prefix + c.name));
        for (Part& part : parts) {
            for (FunctionText& f : part.text->functions) link(f, *p_.functions_.at(part.prefix + f.name));
            for (ClassText& c : part.text->classes) {
                const Class& k = *p_.classes_.at(part.prefix + c.name);
                for (FunctionText& f : c.methods) link(f, const_cast<Function&>(*k.methods.at(f.name)));
            }
        }
    }

private:
    Function* declare(const FunctionText& text, const std::string& file) {
        auto f = std::make_unique<Function>();
        f->name = text.name;
        f->file = file;
        f->text = &text;
        f->program = &p_;
        for (const Parameter& p : text.parameters) f->types.push_back(type_of(p.type.get()));
        p_.every_function_.push_back(std::move(f));
        return p_.every_function_.back().get();
    }

    void declare(ClassText& text, const std::string& file, const std::string& prefix) {
        auto k = std::make_unique<Class>();
        k->name = prefix + text.name;
        k->base = text.base;
        for (const Member& m : text.members) {
            if (!m.type || m.value) continue;
            k->places[m.name] = k->attributes.size();
            k->attributes.push_back(m.name);
            k->types.push_back(type_of(m.type.get()));
        }
        for (const FunctionText& f : text.methods) k->methods[f.name] = declare(f, file);
        p_.classes_[k->name] = std::move(k);
    }

    void constants(ClassText& text, Class& k) {
        for (Member& m : text.members) {
            if (!m.value || m.name.starts_with("__")) continue;
            locals_.clear();
            resolve(m.value);
            Any value = evaluate(*m.value);
            if (k.base == "Enum") {
                auto member = make<Object>(&k, 2);
                member->slots = {runtime::text(m.name), std::move(value)};
                value = std::move(member);
            }
            k.constants[m.name] = std::move(value);
        }
    }

    void link(FunctionText& text, Function& f) {
        file_ = f.file;
        locals_.clear();
        for (Parameter& p : text.parameters) {
            f.optional.push_back(p.fallback != nullptr);
            if (p.fallback) resolve(p.fallback);
            f.fallbacks.push_back(p.fallback ? evaluate(*p.fallback) : Any(None{}));
        }
        for (const Parameter& p : text.parameters) {
            check(locals_.emplace(p.name, int(f.locals.size())).second, "duplicate argument '", p.name, "' of ",
                  f.name);
            f.locals.push_back(p.name);
        }
        std::set<std::string> assigned;
        note_locals(text.body, assigned);
        for (const std::string& name : assigned)
            if (locals_.emplace(name, int(f.locals.size())).second) f.locals.push_back(name);
        resolve(text.body);
    }

    [[noreturn]] void refuse(const Expr& e, const std::string& why) const {
        fail(ErrorKind::Runtime, why, ":\n  File \"", file_, "\", line ", e.line);
    }
    const Builtin* word(const std::string& name) {
        auto& w = p_.words_[name];
        if (!w) w = std::make_unique<Builtin>(find_word(name, p_.version));
        return w.get();
    }
    Callee* callee(Callee::Kind kind) {
        p_.callees_.push_back(std::make_unique<Callee>(Callee{kind, nullptr, nullptr, nullptr, {}}));
        return p_.callees_.back().get();
    }
    const Callee* word_callee(const Builtin* b) {
        Callee* c = callee(Callee::Word);
        c->word = b;
        return c;
    }
    const Callee* own_word(const std::string& key, Builtin b) {
        auto& w = p_.words_[key];
        if (!w) w = std::make_unique<Builtin>(std::move(b));
        return word_callee(w.get());
    }

    // What a path that begins with no local variable stands for: a constant in `e`, or something to call.
    void global(Expr& e, const std::string& path) {
        const size_t dot = path.find('.');
        const std::string root = path.substr(0, dot), rest = dot == path.npos ? "" : path.substr(dot + 1);
        e.global = true;
        if (rest.empty()) {
            if (root == "inf" || root == "nan") return constant(e, root == "inf" ? HUGE_VAL : std::nan(""));
            if (root == "infj") return constant(e, C128(0, HUGE_VAL));
            if (const auto f = p_.functions_.find(root); f != p_.functions_.end()) return defined(e, f->second);
            const Builtin b = find_bare(root);
            if (!b.plain) refuse(e, "undefined value " + root);
            e.callee = own_word("bare " + root, b);
        } else if (root == "torch") {
            if (const auto n = numbers().find(rest); n != numbers().end()) return constant(e, n->second);
            std::string name = rest;
            for (const char* space : {"nn.functional.", "_C._nn."})
                if (name.starts_with(space)) name = name.substr(std::string(space).size());
            std::replace(name.begin(), name.end(), '.', '_');
            e.callee = word_callee(word(name));
        } else if (root == "ops") {
            const size_t inner = rest.find('.');
            if (inner == rest.npos) refuse(e, "undefined value " + path);
            const std::string space = rest.substr(0, inner), name = rest.substr(inner + 1);
            if (space == "prim") e.callee = own_word("prim " + name, find_primitive(name));
            else if (space == "aten") e.callee = word_callee(word(name));
            else e.callee = word_callee(word(space + "::" + name));
        } else if (root == "CONSTANTS") {
            char* end = nullptr;
            const unsigned long long i = rest[0] == 'c' ? std::strtoull(rest.c_str() + 1, &end, 10) : ~0ull;
            if (i >= p_.constants.size() || *end) refuse(e, "the program names a constant that is not there");
            constant(e, p_.constants[i]);
        } else if (root == "math") {
            e.callee = word_callee(word(rest));
        } else if (const auto f = p_.functions_.find(path); f != p_.functions_.end()) {
            defined(e, f->second);
        } else if (const Class* k = p_.find_class(path)) {
            Callee* c = callee(Callee::Construct);
            c->type = k;
            e.callee = c;
        } else {
            const size_t last = path.rfind('.');
            const Class* owner = p_.find_class(path.substr(0, last));
            const std::string member = path.substr(last + 1);
            if (owner && owner->constants.contains(member)) return constant(e, owner->constants.at(member));
            if (owner && member == "__new__") {
                Callee* c = callee(Callee::New);
                c->type = owner;
                e.callee = c;
                return;
            }
            refuse(e, "the program names " + path + ", which is not there");
        }
    }
    void constant(Expr& e, Any value) {
        e.kind = Expr::Constant;
        e.value = std::move(value);
    }
    void defined(Expr& e, const Function* f) {
        Callee* c = callee(Callee::Defined);
        c->function = f;
        e.callee = c;
    }
    bool is_global(const std::string& path) const {
        return !path.empty() && !locals_.contains(path.substr(0, path.find('.')));
    }

    void resolve(ExprPtr& p) {
        if (!p) return;
        Expr& e = *p;
        if (e.kind == Expr::Name) {
            const auto local = locals_.find(e.text);
            if (local != locals_.end()) e.slot = local->second;
            else global(e, e.text);
            return;
        }
        if (e.kind == Expr::Attribute) {
            if (const std::string path = dotted(e); is_global(path)) return global(e, path);
            e.callee = asked(e.text);
        }
        if (e.kind == Expr::Operator) e.callee = word_callee(word(e.text));
        if (e.kind == Expr::Subscript) word("__getitem__");
        if (e.kind == Expr::Call && special(e)) return;
        for (auto& k : e.kids) resolve(k);
        if (e.kind == Expr::Call && e.kids[0]->global) {
            e.callee = e.kids[0]->callee;
            if (!e.callee) refuse(e, "the program calls what is no function");
            if (e.callee->kind == Callee::New) e.kids.resize(1), e.names.clear();
        }
    }
    // x.shape, x.size(0): what is asked of values that are no objects of the program.
    const Callee* asked(const std::string& name) {
        static const std::unordered_map<std::string, std::string> words{
            {"shape", "size"}, {"ndim", "dim"}, {"T", "numpy_T"}, {"name", "EnumName"}, {"value", "EnumValue"}};
        for (const char* n :
             {"dtype", "device", "layout", "data", "requires_grad", "grad", "itemsize", "nbytes", "type", "index",
              "is_cuda", "is_cpu", "is_meta", "is_sparse", "is_quantized", "is_nested"})
            if (name == n) {
                const std::string inner = "prim_" + name;
                return name == "type" || name == "index" ? word_callee(word(name)) : word_callee(word(inner));
            }
        if (name == "name" || name == "value")
            return own_word("prim " + words.at(name), find_primitive(words.at(name)));
        const auto found = words.find(name);
        return word_callee(word(found == words.end() ? name : found->second));
    }
    bool special(Expr& e) {
        const Expr& f = *e.kids[0];
        if (f.kind != Expr::Name || locals_.contains(f.text)) return false;
        auto argument = [&](size_t i) -> ExprPtr& {
            if (e.kids.size() <= i) refuse(e, f.text + " takes more arguments");
            return e.kids[i];
        };
        auto become = [&](Callee::Kind kind) {
            Callee* c = callee(kind);
            e.callee = c;
            return c;
        };
        if (f.text == "uninitialized") {
            become(Callee::Uninitialized);
            e.kids.resize(1);
        } else if (f.text == "annotate" || f.text == "unchecked_cast") {
            become(Callee::Cast)->types.push_back(type_of(argument(1).get()));
            resolve(argument(2));
        } else if (f.text == "isinstance") {
            Callee* c = become(Callee::IsInstance);
            resolve(argument(1));
            const Expr& kinds = *argument(2);
            if (kinds.kind == Expr::TupleOf || kinds.kind == Expr::ListOf)
                for (const auto& k : kinds.kids) c->types.push_back(type_of(k.get()));
            else c->types.push_back(type_of(&kinds));
        } else if (f.text == "getattr") {
            become(Callee::GetAttribute);
            resolve(argument(1));
            if (!as<Text>(argument(2)->value)) refuse(e, "getattr takes the name of an attribute");
        } else {
            return false;
        }
        return true;
    }

    void resolve(Block& block) {
        for (Statement& s : block) {
            for (auto& t : s.targets) resolve_target(t);
            if (!s.augmented.empty()) word(s.augmented), word(s.augmented + "_");
            if (s.kind == Statement::Delete && s.value->kind == Expr::Subscript) word("Delete");
            if (s.kind == Statement::Raise) raised(s);
            else resolve(s.value);
            resolve(s.more);
            resolve(s.body);
            resolve(s.other);
        }
    }
    void resolve_target(ExprPtr& t) {
        if (t->kind == Expr::TupleOf || t->kind == Expr::ListOf) {
            for (auto& k : t->kids) resolve_target(k);
        } else if (t->kind == Expr::Name || t->kind == Expr::Attribute || t->kind == Expr::Subscript) {
            word("_set_item");
            resolve(t);
            if (t->global) refuse(*t, "the program assigns to what is not its own");
        } else {
            refuse(*t, "the program assigns to what is no variable");
        }
    }
    // raise ValueError("text")
    void raised(Statement& s) {
        if (s.value->kind != Expr::Call || s.value->kids[0]->kind != Expr::Name)
            refuse(*s.value, "raise takes the call of an exception's class");
        for (size_t i = 1; i < s.value->kids.size(); ++i) resolve(s.value->kids[i]);
    }

    Program& p_;
    std::string file_;
    std::unordered_map<std::string, int> locals_;
};

Program::Program() = default;
Program::~Program() = default;
void Program::define(const std::vector<std::pair<std::string, std::string>>& texts) { Linker(*this).define(texts); }
const Class* Program::find_class(const std::string& path) const {
    const auto found = classes_.find(path);
    return found == classes_.end() ? nullptr : found->second.get();
}
const Builtin& Program::word(const std::string& name) const {
    const auto found = words_.find(name);
    check(found != words_.end(), "the program has no word ", name);
    return *found->second;
}

}  // namespace fb::runtime
