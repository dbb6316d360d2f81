// A walk over the tree: what a program costs is its operators.
#include "runtime/interpret.h"

namespace fb::runtime {
namespace {

constinit thread_local int depth = 0;  // of calls, blocks and expressions within each other
constexpr int kMostCalls = 2500;

struct Deeper {
    Deeper() {
        if (++depth > kMostCalls) {
            --depth;
            fail(ErrorKind::Runtime, "maximum recursion depth exceeded in a program");
        }
    }
    ~Deeper() { --depth; }
};

struct Run {
    const Function* function;
    std::vector<Any> slots;
    Any result = None{};
    int line = 0;
};
enum class Flow : uint8_t { Next, Break, Continue, Return };

Any eval(const Expr& e, Run& run);
Flow execute(const Block& block, Run& run);

std::vector<Any> evaluated(const std::vector<ExprPtr>& kids, size_t from, Run& run) {
    std::vector<Any> values;
    values.reserve(kids.size() - std::min(from, kids.size()));
    for (size_t i = from; i < kids.size(); ++i) values.push_back(eval(*kids[i], run));
    return values;
}

// ---------------------------------------------------------------- attributes
const Any* find_attribute(const Any& object, const std::string& name) {
    if (const Object* o = as<Object>(object)) {
        if (const auto at = o->kind->places.find(name); at != o->kind->places.end() && at->second < o->slots.size())
            return &o->slots[at->second];
        if (const auto c = o->kind->constants.find(name); c != o->kind->constants.end()) return &c->second;
    } else if (const Tuple* t = as<Tuple>(object); t && t->kind) {
        if (const auto at = t->kind->places.find(name); at != t->kind->places.end() && at->second < t->items.size())
            return &t->items[at->second];
    }
    return nullptr;
}
[[noreturn]] void no_attribute(const Any& object, const std::string& name) {
    fail(ErrorKind::Attribute, "a ", type_name(object), " of the program declares no attribute '", name, "'");
}
Any attribute(const Any& object, const Expr& e) {
    if (const Any* found = find_attribute(object, e.text)) return *found;
    if (const Device* d = as<Device>(object)) {
        if (e.text == "type") return text(name(d->type));
        if (e.text == "index") return d->index < 0 ? Any(None{}) : Any(int64_t(d->index));
    }
    const bool is_enum = as<Object>(object) && as<Object>(object)->kind->base == "Enum";
    if ((as<Tensor>(object) || is_enum) && e.callee) return e.callee->word->call({{object}, {}});
    no_attribute(object, e.text);
}
void set_attribute(const Any& object, const std::string& name, Any value) {
    Object* o = mutable_as<Object>(object);
    const auto at = o ? o->kind->places.find(name) : decltype(o->kind->places.end()){};
    if (!o || at == o->kind->places.end() || at->second >= o->slots.size()) no_attribute(object, name);
    o->slots[at->second] = std::move(value);
}

// ---------------------------------------------------------------- x[…] where text was written by hand
struct Indexed {  // views for numbers, slices and None; tensors are left to the operator
    Tensor view;
    std::vector<Any> places;  // None or an index, by dimension of the view
    bool by_tensor = false;
};
Indexed indexed(const Tensor& x, const Expr& key, Run& run) {
    Indexed r{x, {}, false};
    std::vector<const Expr*> parts;
    if (key.kind == Expr::TupleOf)
        for (const auto& k : key.kids) parts.push_back(k.get());
    else parts.push_back(&key);
    for (const Expr* part : parts) {
        const int64_t dim = int64_t(r.places.size());
        if (part->kind == Expr::Slice) {
            Value bounds[3];
            for (size_t i = 0; i < 3; ++i) {
                const Any v = part->kids[i] ? eval(*part->kids[i], run) : Any(None{});
                if (!is_none(v)) bounds[i] = Value(integer(v));
            }
            r.view =
                op<"slice">(r.view, dim, bounds[0], bounds[1], bounds[2].is_none() ? Value(int64_t(1)) : bounds[2]);
            r.places.push_back(None{});
            continue;
        }
        Any v = eval(*part, run);
        if (is_none(v)) {
            r.view = op<"unsqueeze">(r.view, dim);
            r.places.push_back(None{});
        } else if (as<int64_t>(v)) {
            r.view = op<"select">(r.view, dim, *as<int64_t>(v));
        } else {
            if (as<List>(v)) v = tensor_of(v);
            if (!as<Tensor>(v)) fail(ErrorKind::NotImplemented, "a tensor indexed with a ", type_name(v));
            const bool mask = as<Tensor>(v)->dtype() == DType::b1;
            r.by_tensor = true;
            // A mask of several dimensions stands for as many.
            for (int64_t i = 1; mask && i < as<Tensor>(v)->dim(); ++i)
                fail(ErrorKind::NotImplemented, "a tensor indexed with a mask of several dimensions");
            r.places.push_back(std::move(v));
        }
    }
    return r;
}
Any subscript(const Any& x, const Expr& key, Run& run) {
    if (const Tensor* t = as<Tensor>(x)) {
        Indexed at = indexed(*t, key, run);
        if (!at.by_tensor) return at.view;
        static const Overloads index = overloads_of("index");
        return call_overloads(index, {{at.view, list(std::move(at.places))}, {}});
    }
    if (key.kind == Expr::Slice) {
        static const Builtin slice = find_word("slice", 10);
        Arguments a{{x}, {}};
        for (const auto& k : key.kids) a.values.push_back(k ? eval(*k, run) : Any(None{}));
        return slice.plain(a);
    }
    static const Builtin item = find_word("__getitem__", 10);
    return item.plain({{x, eval(key, run)}, {}});
}
void set_subscript(const Any& x, const Expr& key, const Any& value, Run& run) {
    const Tensor* t = as<Tensor>(x);
    if (!t) {
        static const Builtin set = find_word("_set_item", 10);
        set.plain({{x, eval(key, run), value}, {}});
        return;
    }
    Indexed at = indexed(*t, key, run);
    const Any given = as<Tensor>(value) ? value : Any(tensor_of(value, t->dtype()));
    static const Overloads put = overloads_of("index_put_"), copy = overloads_of("copy_");
    if (at.by_tensor) call_overloads(put, {{at.view, list(std::move(at.places)), given}, {}});
    else call_overloads(copy, {{at.view, given}, {}});
}

// ---------------------------------------------------------------- calls
// x.view(2, 3): sizes may be given one by one.
Any tensor_method(const Builtin& word, Arguments a) {
    const auto& ops = word.overloads.ops;
    const bool sizes =
        !word.plain && !ops.empty() && ops[0]->schema.args.size() > 1 && ops[0]->schema.args[1].kind == Kind::Ints;
    if (sizes && a.positional() >= 2 &&
        std::all_of(a.values.begin() + 1, a.values.begin() + ptrdiff_t(a.positional()),
                    [](const Any& v) { return as<int64_t>(v) != nullptr; })) {
        std::vector<Any> packed(a.values.begin() + 1, a.values.begin() + ptrdiff_t(a.positional()));
        a.values.erase(a.values.begin() + 1, a.values.begin() + ptrdiff_t(a.positional()));
        a.values.insert(a.values.begin() + 1, list(std::move(packed)));
    }
    return word.call(a);
}

Any cast(const Type& type, Any v) {
    const Tensor* t = as<Tensor>(v);
    if (!t) return v;
    if (type.name == "int") return t->item().integer();
    if (type.name == "float") return t->item().real();
    if (type.name == "bool") return truth(v);
    return v;
}

bool is_a(const Type& type, const Any& v, const Program& program) {
    if (const Class* k = program.find_class(type.name)) {
        const Object* o = as<Object>(v);
        const Tuple* t = as<Tuple>(v);
        return (o && o->kind == k) || (t && t->kind == k);
    }
    if (type.name == "float") return as<double>(v);
    if (type.name == "List") return as<List>(v) && type.fits(v);
    return type.fits(v);
}

Any call_callee(const Callee& c, const Expr& e, Run& run) {
    switch (c.kind) {
        case Callee::Word: return c.word->call({evaluated(e.kids, 1, run), e.names});
        case Callee::Defined: return call_function(*c.function, {evaluated(e.kids, 1, run), e.names});
        case Callee::Construct: return construct(*c.type, {evaluated(e.kids, 1, run), e.names});
        case Callee::New: return make<Object>(c.type, c.type->attributes.size());
        case Callee::Cast: return cast(c.types[0], eval(*e.kids[2], run));
        case Callee::IsInstance: {
            check(run.function->program, "isinstance outside of a function");
            const Any v = eval(*e.kids[1], run);
            return std::any_of(c.types.begin(), c.types.end(),
                               [&](const Type& t) { return is_a(t, v, *run.function->program); });
        }
        case Callee::GetAttribute: {
            const Any object = eval(*e.kids[1], run);
            const std::string& name = string(e.kids[2]->value);
            if (const Any* found = find_attribute(object, name)) return *found;
            no_attribute(object, name);
        }
        case Callee::Uninitialized: return None{};
    }
    return None{};
}

Any call(const Expr& e, Run& run) {
    if (e.callee) return call_callee(*e.callee, e, run);
    const Expr& target = *e.kids[0];
    if (target.kind == Expr::Attribute) {
        Any object = eval(*target.kids[0], run);
        if (const Object* o = as<Object>(object)) {
            const Function* f = o->kind->method(target.text);
            if (!f)
                fail(ErrorKind::Attribute, "a ", type_name(object), " of the program has no method '", target.text,
                     "'");
            Arguments a{{std::move(object)}, e.names};
            for (size_t i = 1; i < e.kids.size(); ++i) a.values.push_back(eval(*e.kids[i], run));
            return call_function(*f, a);
        }
        if (!target.callee || as<Device>(object) || as<int64_t>(object))
            fail(ErrorKind::Attribute, "a ", type_name(object), " of the program has no method '", target.text, "'");
        Arguments a{{std::move(object)}, e.names};
        for (size_t i = 1; i < e.kids.size(); ++i) a.values.push_back(eval(*e.kids[i], run));
        return as<Tensor>(a.values[0]) ? tensor_method(*target.callee->word, std::move(a))
                                       : target.callee->word->call(a);
    }
    const Any function = eval(target, run);
    const Ptr<Heap>* held = std::get_if<Ptr<Heap>>(&function);
    const Reference* r = held ? dynamic_cast<const Reference*>(held->get()) : nullptr;
    if (!r) fail(ErrorKind::Type, "the program calls a ", type_name(function));
    return call_callee(*r->callee, e, run);
}

// ---------------------------------------------------------------- expressions
void assign(const Expr& target, Any value, Run& run) {
    switch (target.kind) {
        case Expr::Name:
            check(target.slot >= 0, "the program assigns to what is not its own");
            run.slots[size_t(target.slot)] = std::move(value);
            return;
        case Expr::Attribute: set_attribute(eval(*target.kids[0], run), target.text, std::move(value)); return;
        case Expr::Subscript: set_subscript(eval(*target.kids[0], run), *target.kids[1], value, run); return;
        default: break;
    }
    const auto* items = items_of(value);
    check(target.kind == Expr::TupleOf || target.kind == Expr::ListOf, "the program assigns to what is no variable");
    if (!items) fail(ErrorKind::Type, "the program takes a ", type_name(value), " apart");
    check_value(items->size() == target.kids.size(), "Expected ", target.kids.size(), " elements in a list but found ",
                items->size());
    for (size_t i = 0; i < items->size(); ++i) assign(*target.kids[i], (*items)[i], run);
}

std::vector<Any> loop_items(const Any& v) {
    static const Builtin as_list = find_word("list", 10);
    return *items_of(as_list.plain({{v}, {}}));
}

template <class F>
void comprehend(const Expr& e, size_t target, Run& run, F&& one) {
    for (Any& x : loop_items(eval(*e.kids[target + 1], run))) {
        assign(*e.kids[target], std::move(x), run);
        if (e.kids.size() == target + 2 || truth(eval(*e.kids[target + 2], run))) one();
    }
}

Any eval(const Expr& e, Run& run) {
    const Deeper deeper;
    switch (e.kind) {
        case Expr::Constant: return e.value;
        case Expr::Name:
            if (e.slot >= 0) return run.slots[size_t(e.slot)];
            return Ptr<Heap>(make<Reference>(e.callee));
        case Expr::Attribute:
            if (e.global) return Ptr<Heap>(make<Reference>(e.callee));
            return attribute(eval(*e.kids[0], run), e);
        case Expr::Call: return call(e, run);
        case Expr::TupleOf: return tuple(evaluated(e.kids, 0, run));
        case Expr::ListOf: return list(evaluated(e.kids, 0, run));
        case Expr::DictOf: {
            auto d = make<Dict>();
            for (size_t i = 0; i + 1 < e.kids.size(); i += 2) d->set(eval(*e.kids[i], run), eval(*e.kids[i + 1], run));
            return d;
        }
        case Expr::Subscript: return subscript(eval(*e.kids[0], run), *e.kids[1], run);
        case Expr::Slice: fail(ErrorKind::Runtime, "a slice of nothing in a program");
        case Expr::Operator: return e.callee->word->call({evaluated(e.kids, 0, run), {}});
        case Expr::And:
        case Expr::Or: {
            Any v;
            for (const auto& k : e.kids) {
                v = eval(*k, run);
                if (truth(v) == (e.kind == Expr::Or)) break;
            }
            return v;
        }
        case Expr::IfElse: return eval(*e.kids[truth(eval(*e.kids[0], run)) ? 1 : 2], run);
        case Expr::ListFor: {
            std::vector<Any> items;
            comprehend(e, 1, run, [&] { items.push_back(eval(*e.kids[0], run)); });
            return list(std::move(items));
        }
        case Expr::DictFor: {
            auto d = make<Dict>();
            comprehend(e, 2, run, [&] { d->set(eval(*e.kids[0], run), eval(*e.kids[1], run)); });
            return d;
        }
    }
    return None{};
}

// ---------------------------------------------------------------- statements
Flow loop_body(const Statement& s, Run& run, bool& stop) {
    const Flow flow = execute(s.body, run);
    stop = flow == Flow::Break || flow == Flow::Return;
    return flow == Flow::Return ? flow : Flow::Next;
}

Flow run_for(const Statement& s, Run& run) {
    bool stop = false;
    Flow flow = Flow::Next;
    // A range is counted, not written down.
    const Expr& over = *s.value;
    const bool counted = over.kind == Expr::Call && over.kids[0]->kind == Expr::Name && over.kids[0]->global &&
                         over.kids[0]->text == "range" && over.names.empty();
    if (counted && over.kids.size() > 1) {
        const std::vector<Any> a = evaluated(over.kids, 1, run);
        const int64_t low = a.size() > 1 ? integer(a[0]) : 0, high = integer(a[a.size() > 1 ? 1 : 0]);
        const int64_t step = a.size() > 2 ? integer(a[2]) : 1;
        check_value(step != 0, "range() arg 3 must not be zero");
        for (__int128 i = low; !stop && (step > 0 ? i < high : i > high); i += step) {
            assign(*s.targets[0], int64_t(i), run);
            flow = loop_body(s, run, stop);
        }
        return flow;
    }
    for (Any& x : loop_items(eval(over, run))) {
        assign(*s.targets[0], std::move(x), run);
        flow = loop_body(s, run, stop);
        if (stop) break;
    }
    return flow;
}

Flow run_with(const Statement& s, Run& run) {
    const Any object = eval(*s.value, run);
    Any entered = call_method(object, "__enter__", {});
    if (!s.targets.empty()) assign(*s.targets[0], std::move(entered), run);
    auto leave = [&] { call_method(object, "__exit__", {{None{}, None{}, None{}}, {}}); };
    Flow flow;
    try {
        flow = execute(s.body, run);
    } catch (...) {
        leave();
        throw;
    }
    leave();
    return flow;
}

void run_assign(const Statement& s, Run& run) {
    if (!s.augmented.empty()) {
        const Any old = eval(*s.targets[0], run);
        const bool in_place = as<Tensor>(old) || as<List>(old);
        const Builtin& word = run.function->program->word(s.augmented + (in_place ? "_" : ""));
        Any fresh = word.call({{old, eval(*s.value, run)}, {}});
        assign(*s.targets[0], in_place ? old : std::move(fresh), run);
        return;
    }
    const Any value = eval(*s.value, run);
    for (const auto& t : s.targets) assign(*t, value, run);
}

[[noreturn]] void run_raise(const Statement& s, Run& run) {
    const std::vector<Any> said = evaluated(s.value->kids, 1, run);
    throw Raised(ErrorKind::Runtime, s.value->kids[0]->text + ": " + (said.empty() ? "" : to_text(said[0])));
}

void run_delete(const Expr& e, Run& run) {
    if (e.kind == Expr::Name && e.slot >= 0) run.slots[size_t(e.slot)] = None{};
    else if (e.kind == Expr::Subscript)
        run.function->program->word("Delete").call({{eval(*e.kids[0], run), eval(*e.kids[1], run)}, {}});
    else fail(ErrorKind::Runtime, "the program deletes what is no item");
}

Flow execute(const Block& block, Run& run) {
    const Deeper deeper;
    for (const Statement& s : block) {
        run.line = s.line;
        Flow flow = Flow::Next;
        switch (s.kind) {
            case Statement::Assign: run_assign(s, run); break;
            case Statement::Value: eval(*s.value, run); break;
            case Statement::If: flow = execute(truth(eval(*s.value, run)) ? s.body : s.other, run); break;
            case Statement::While: {
                bool stop = false;
                while (!stop && truth(eval(*s.value, run))) flow = loop_body(s, run, stop);
                break;
            }
            case Statement::For: flow = run_for(s, run); break;
            case Statement::Return: run.result = s.value ? eval(*s.value, run) : Any(None{}); return Flow::Return;
            case Statement::Pass: break;
            case Statement::Assert:
                if (!truth(eval(*s.value, run)))
                    throw Raised(ErrorKind::Runtime, "AssertionError: " + (s.more ? to_text(eval(*s.more, run)) : ""));
                break;
            case Statement::Break: return Flow::Break;
            case Statement::Continue: return Flow::Continue;
            case Statement::With: flow = run_with(s, run); break;
            case Statement::Raise: run_raise(s, run);
            case Statement::Delete: run_delete(*s.value, run); break;
        }
        if (flow != Flow::Next) return flow;
    }
    return Flow::Next;
}

// By position, by name, by default.
std::vector<Any> bound(const Function& f, const Arguments& a) {
    const auto& parameters = f.text->parameters;
    if (a.values.size() > parameters.size())
        fail(ErrorKind::Runtime, f.name, "() expected at most ", parameters.size(), " argument(s) but received ",
             a.values.size(), " argument(s). Declaration: ", f.declaration());
    std::vector<Any> slots(f.locals.size());
    std::vector<bool> have(parameters.size());
    for (size_t i = 0; i < a.values.size(); ++i) {
        size_t place = i;
        if (i >= a.positional()) {
            const std::string& name = a.names[i - a.positional()];
            for (place = 0; place < parameters.size() && parameters[place].name != name;) ++place;
            if (place == parameters.size() || have[place])
                fail(ErrorKind::Runtime, "Unknown keyword argument '", name, "' for operator '", f.name,
                     "'. Schema: ", f.declaration());
        }
        slots[place] = a.values[i];
        have[place] = true;
    }
    for (size_t i = 0; i < parameters.size(); ++i) {
        if (have[i]) continue;
        if (!f.optional[i])
            fail(ErrorKind::Runtime, f.name, "() is missing value for argument '", parameters[i].name,
                 "'. Declaration: ", f.declaration());
        slots[i] = f.fallbacks[i];
    }
    return slots;
}

}  // namespace

Any call_function(const Function& f, const Arguments& a) {
    const Deeper deeper;
    Run run{&f, bound(f, a)};
    try {
        execute(f.text->body, run);
    } catch (Error& e) {
        if (e.text.size() < 4000) e.text += str("\n  File \"", f.file, "\", line ", run.line, ", in ", f.name);
        throw;
    }
    return std::move(run.result);
}

Any call_method(const Any& object, const std::string& name, const Arguments& a) {
    const Object* o = as<Object>(object);
    const Function* f = o ? o->kind->method(name) : nullptr;
    if (!f) fail(ErrorKind::Attribute, "a ", type_name(object), " of the program has no method '", name, "'");
    Arguments all{{object}, a.names};
    all.values.insert(all.values.end(), a.values.begin(), a.values.end());
    return call_function(*f, all);
}

Any construct(const Class& type, const Arguments& a) {
    if (type.base == "NamedTuple") {
        std::vector<Any> items(type.attributes.size());
        check(a.size() <= items.size(), type.name, " takes ", items.size(), " fields");
        for (size_t i = 0; i < a.size(); ++i) {
            size_t place = i;
            if (i >= a.positional()) {
                const auto at = type.places.find(a.names[i - a.positional()]);
                check(at != type.places.end(), type.name, " has no field ", a.names[i - a.positional()]);
                place = at->second;
            }
            items[place] = a.values[i];
        }
        return make<Tuple>(std::move(items), &type);
    }
    if (type.base == "Enum") {  // by value
        for (const auto& [name, member] : type.constants)
            if (a.size() == 1 && equal(as<Object>(member)->slots[1], a[0])) return member;
        fail(ErrorKind::Value, a.size() ? to_text(a[0]) : "nothing", " is not a valid ", type.name);
    }
    Any made = make<Object>(&type, type.attributes.size());
    if (type.base != "Module" && type.method("__init__")) call_method(made, "__init__", a);
    return made;
}

Any evaluate(const Expr& e) {
    static const Function nowhere;
    Run run{&nowhere, {}};
    return eval(e, run);
}

}  // namespace fb::runtime
