// Lists, tuples and dictionaries of programs.
#include "runtime/program.h"
#include "runtime/words.h"

namespace fb::runtime {
namespace {

constexpr int64_t kLongest = int64_t(1) << 28;

[[noreturn]] void wrong(const char* what, const Any& v) {
    fail(ErrorKind::Type, what, " of a ", type_name(v), " in the program");
}
std::vector<Any>& mutable_list(const Any& v) {
    List* l = mutable_as<List>(v);
    if (!l) wrong("a change of the list", v);
    return l->items;
}
Dict& mutable_dict(const Any& v) {
    Dict* d = mutable_as<Dict>(v);
    if (!d) wrong("a use of the dictionary", v);
    return *d;
}
// A place in a list of n; throws outside of it.
size_t place(const Any& index, size_t n, const char* what = "list index out of range") {
    int64_t i = integer(index);
    if (i < 0) i += int64_t(n);
    check_index(i >= 0 && i < int64_t(n), what);
    return size_t(i);
}

Any length(const Arguments& a) {
    if (const auto* l = items_of(a[0])) return int64_t(l->size());
    if (const Text* t = as<Text>(a[0])) return int64_t(t->s.size());
    if (const Dict* d = as<Dict>(a[0])) return int64_t(d->items().size());
    if (const Tensor* t = as<Tensor>(a[0])) {
        check_type(t->dim() > 0, "len() of a 0-d tensor");
        return t->sizes()[0];
    }
    wrong("the length", a[0]);
}
Any get_item(const Arguments& a) {
    if (const Dict* d = as<Dict>(a[0])) {
        const Any* found = d->find(a[1]);
        check_index(found, "KeyError: ", to_text(a[1]));
        return *found;
    }
    if (const auto* l = items_of(a[0])) return (*l)[place(a[1], l->size())];
    if (const Text* t = as<Text>(a[0]))
        return text(std::string(1, t->s[place(a[1], t->s.size(), "string index out of range")]));
    if (const Tensor* t = as<Tensor>(a[0])) return op<"select">(*t, int64_t(0), integer(a[1]));
    wrong("an item", a[0]);
}
Any set_item(const Arguments& a) {
    if (Dict* d = mutable_as<Dict>(a[0])) d->set(a[1], a[2]);
    else if (const Tensor* t = as<Tensor>(a[0])) {
        const Tensor at = op<"select">(*t, int64_t(0), integer(a[1]));
        if (as<Tensor>(a[2])) inplace<"copy_">(at, *as<Tensor>(a[2]));
        else inplace<"fill_">(at, Scalar(real(a[2])));
    } else {
        auto& l = mutable_list(a[0]);
        l[place(a[1], l.size())] = a[2];
    }
    return a[0];
}
Any remove_item(const Arguments& a) {
    if (Dict* d = mutable_as<Dict>(a[0])) check_index(d->erase(a[1]), "KeyError: ", to_text(a[1]));
    else {
        auto& l = mutable_list(a[0]);
        l.erase(l.begin() + ptrdiff_t(place(a[1], l.size())));
    }
    return None{};
}
Any contains(const Arguments& a) {
    if (const Dict* d = as<Dict>(a[0])) return d->find(a[1]) != nullptr;
    if (const Text* t = as<Text>(a[0])) return t->s.find(string(a[1])) != t->s.npos;
    if (const auto* l = items_of(a[0])) {
        for (const Any& x : *l)
            if (equal(x, a[1])) return true;
        return false;
    }
    wrong("'in'", a[0]);
}
Any slice(const Arguments& a) {
    const Text* t = as<Text>(a[0]);
    const auto* l = items_of(a[0]);
    if (!t && !l) wrong("a slice", a[0]);
    const int64_t n = int64_t(t ? t->s.size() : l->size()), step = a.integer_or(3, "step", 1);
    check_value(step > 0, "slice() step must be positive");
    auto clip = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    const int64_t start = clip(a.integer_or(1, "start", 0)), end = clip(a.integer_or(2, "end", n));
    std::string s;
    std::vector<Any> items;
    for (int64_t i = start; i<end; i = step> n - i ? n : i + step) {
        if (t) s += t->s[size_t(i)];
        else items.push_back((*l)[size_t(i)]);
    }
    return t ? text(std::move(s)) : as<Tuple>(a[0]) ? tuple(std::move(items)) : list(std::move(items));
}

Any append(const Arguments& a) {
    mutable_list(a[0]).push_back(a[1]);
    return a[0];
}
Any extend(const Arguments& a) {
    const auto* more = items_of(a[1]);
    if (!more) wrong("the items", a[1]);
    const std::vector<Any> copy = *more;  // it may be the list itself
    auto& l = mutable_list(a[0]);
    check(l.size() + copy.size() < size_t(kLongest), "a list of the program becomes too long");
    l.insert(l.end(), copy.begin(), copy.end());
    return a[0];
}
Any insert(const Arguments& a) {
    auto& l = mutable_list(a[0]);
    const int64_t n = int64_t(l.size()), i = integer(a[1]);
    l.insert(l.begin() + std::clamp<int64_t>(i < 0 ? i + n : i, 0, n), a[2]);
    return None{};
}
Any pop(const Arguments& a) {
    if (Dict* d = mutable_as<Dict>(a[0])) {
        const Any* found = d->find(a[1]);
        if (!found && a.size() > 2) return a[2];
        check_index(found, "KeyError: ", to_text(a[1]));
        const Any value = *found;
        d->erase(a[1]);
        return value;
    }
    auto& l = mutable_list(a[0]);
    check_index(!l.empty(), "pop from empty list");
    const size_t i = a.size() > 1 ? place(a[1], l.size(), "pop index out of range") : l.size() - 1;
    const Any value = l[i];
    l.erase(l.begin() + ptrdiff_t(i));
    return value;
}
size_t index_of(const std::vector<Any>& items, const Any& x) {
    for (size_t i = 0; i < items.size(); ++i)
        if (equal(items[i], x)) return i;
    fail(ErrorKind::Value, "'", to_text(x), "' is not in list");
}
Any remove(const Arguments& a) {
    auto& l = mutable_list(a[0]);
    l.erase(l.begin() + ptrdiff_t(index_of(l, a[1])));
    return None{};
}
Any index(const Arguments& a) { return int64_t(index_of(mutable_list(a[0]), a[1])); }
Any count(const Arguments& a) {
    if (const Text* t = as<Text>(a[0])) {
        int64_t n = 0;
        const std::string& part = string(a[1]);
        check_value(!part.empty(), "count of an empty string");
        for (size_t i = 0; (i = t->s.find(part, i)) != t->s.npos; i += part.size()) ++n;
        return n;
    }
    int64_t n = 0;
    for (const Any& x : mutable_list(a[0])) n += equal(x, a[1]);
    return n;
}
Any clear(const Arguments& a) {
    if (Dict* d = mutable_as<Dict>(a[0])) d->clear();
    else mutable_list(a[0]).clear();
    return None{};
}
Any reverse(const Arguments& a) {
    auto& l = mutable_list(a[0]);
    std::reverse(l.begin(), l.end());
    return None{};
}

// Sorted by whole comparisons only: a program's objects have no order.
void sort_items(std::vector<Any>& l, bool backwards) {
    const Builtin less = find_word("lt", 10);
    auto before = [&](const Any& x, const Any& y) { return truth(less.plain({{x, y}, {}})); };
    if (backwards) std::stable_sort(l.begin(), l.end(), [&](const Any& x, const Any& y) { return before(y, x); });
    else std::stable_sort(l.begin(), l.end(), before);
}
Any sort(const Arguments& a) {
    auto& l = mutable_list(a[0]);
    std::vector<Any> sorted = l;
    sort_items(sorted, a.given(1, "reverse") && truth(*a.find(1, "reverse")));
    l = std::move(sorted);
    return None{};
}
Any sorted(const Arguments& a) {
    const auto* l = items_of(a[0]);
    if (!l) wrong("sorting", a[0]);
    std::vector<Any> copy = *l;
    sort_items(copy, false);
    return list(std::move(copy));
}

std::vector<Any> iterated(const Any& v) {
    if (const auto* l = items_of(v)) return *l;
    std::vector<Any> items;
    if (const Dict* d = as<Dict>(v))
        for (const auto& [k, x] : d->items()) items.push_back(k);
    else if (const Text* t = as<Text>(v))
        for (char c : t->s) items.push_back(text(std::string(1, c)));
    else if (const Tensor* t = as<Tensor>(v))
        for (Tensor& x : op_list<"unbind">(*t)) items.push_back(std::move(x));
    else wrong("a loop over the items", v);
    return items;
}
Any as_list(const Arguments& a) { return list(a.size() ? iterated(a[0]) : std::vector<Any>{}); }
Any as_tuple(const Arguments& a) { return tuple(iterated(a[0])); }
Any as_dict(const Arguments& a) {
    Any made = make<Dict>();
    if (!a.size()) return made;
    if (const Dict* d = as<Dict>(a[0])) {
        for (const auto& [k, v] : d->items()) mutable_dict(made).set(k, v);
        return made;
    }
    for (const Any& pair : iterated(a[0])) {
        const auto* kv = items_of(pair);
        if (!kv || kv->size() != 2) wrong("a key and value", pair);
        mutable_dict(made).set((*kv)[0], (*kv)[1]);
    }
    return made;
}
Any range(const Arguments& a) {
    const int64_t low = a.size() > 1 ? integer(a[0]) : 0, high = integer(a[a.size() > 1 ? 1 : 0]);
    const int64_t step = a.integer_or(2, "step", 1);
    check_value(step != 0, "range() arg 3 must not be zero");
    std::vector<Any> items;
    for (__int128 i = low; step > 0 ? i < high : i > high; i += step) {
        check_value(items.size() < size_t(kLongest), "a range of the program is too long");
        items.push_back(int64_t(i));
    }
    return list(std::move(items));
}
Any enumerate(const Arguments& a) {
    std::vector<Any> items;
    int64_t i = a.integer_or(1, "start", 0);
    for (Any& x : iterated(a[0])) items.push_back(tuple({i++, std::move(x)}));
    return list(std::move(items));
}
Any zip(const Arguments& a) {
    std::vector<std::vector<Any>> columns;
    size_t n = a.size() ? SIZE_MAX : 0;
    for (size_t i = 0; i < a.size(); ++i) n = std::min(n, columns.emplace_back(iterated(a[i])).size());
    std::vector<Any> rows;
    for (size_t k = 0; k < n; ++k) {
        std::vector<Any> row;
        for (const auto& c : columns) row.push_back(c[k]);
        rows.push_back(tuple(std::move(row)));
    }
    return list(std::move(rows));
}
Any reversed(const Arguments& a) {
    std::vector<Any> items = iterated(a[0]);
    std::reverse(items.begin(), items.end());
    return list(std::move(items));
}
Any all(const Arguments& a) {
    for (const Any& x : iterated(a[0]))
        if (!truth(x)) return false;
    return true;
}
Any any(const Arguments& a) {
    for (const Any& x : iterated(a[0]))
        if (truth(x)) return true;
    return false;
}
Any sum(const Arguments& a) {
    const Builtin add = find_word("add", 10);
    Any total = int64_t(0);
    for (const Any& x : iterated(a[0])) total = add.plain({{total, x}, {}});
    return total;
}

Any keys(const Arguments& a) { return list(iterated(Any(Ptr<Dict>(&mutable_dict(a[0]))))); }
Any values(const Arguments& a) {
    std::vector<Any> items;
    for (const auto& [k, v] : mutable_dict(a[0]).items()) items.push_back(v);
    return list(std::move(items));
}
Any items(const Arguments& a) {
    std::vector<Any> items;
    for (const auto& [k, v] : mutable_dict(a[0]).items()) items.push_back(tuple({k, v}));
    return list(std::move(items));
}
Any get(const Arguments& a) {
    const Any* found = mutable_dict(a[0]).find(a[1]);
    return found ? *found : a.size() > 2 ? a[2] : Any(None{});
}
Any set_default(const Arguments& a) {
    Dict& d = mutable_dict(a[0]);
    if (!d.find(a[1])) d.set(a[1], a[2]);
    return *d.find(a[1]);
}
Any update(const Arguments& a) {
    Dict& d = mutable_dict(a[0]);
    const std::vector<std::pair<Any, Any>> more = mutable_dict(a[1]).items();
    for (const auto& [k, v] : more) d.set(k, v);
    return None{};
}
Any pop_item(const Arguments& a) {
    Dict& d = mutable_dict(a[0]);
    check_index(!d.items().empty(), "popitem(): dictionary is empty");
    const auto [k, v] = d.items().back();
    d.erase(k);
    return tuple({k, v});
}
Any copy(const Arguments& a) { return as<Dict>(a[0]) ? as_dict(a) : as_list(a); }
Any quotient_and_rest(const Arguments& a) {
    return tuple({find_word("floordiv", 10).plain(a), find_word("remainder", 10).plain(a)});
}
// mul_: a list times a number, in its place.
Any repeat_in_place(const Arguments& a) {
    const Any made = find_word("mul", 10).plain(a);
    mutable_list(a[0]) = *items_of(made);
    return a[0];
}

}  // namespace

void add_container_words(Words& w) {
    static constexpr Entry entries[] = {
        {"len", {length, true}},
        {"__getitem__", {get_item, true}},
        {"_set_item", {set_item, true}},
        {"Delete", {remove_item, true}},
        {"__contains__", {contains, true}},
        {"append", {append, true}},
        {"extend", {extend, true}},
        {"add_", {extend}},
        {"mul_", {repeat_in_place}},
        {"insert", {insert, true}},
        {"pop", {pop, true}},
        {"popitem", {pop_item, true}},
        {"remove", {remove, true}},
        {"reverse", {reverse, true}},
        {"clear", {clear}},
        {"copy", {copy}},
        {"count", {count}},
        {"index", {index}},
        {"select", {get_item}},
        {"slice", {slice}},
        {"sort", {sort}},
        {"sorted", {sorted, true}},
        {"list", {as_list, true}},
        {"tuple", {as_tuple, true}},
        {"dict", {as_dict, true}},
        {"range", {range, true}},
        {"enumerate", {enumerate, true}},
        {"zip", {zip, true}},
        {"reversed", {reversed, true}},
        {"divmod", {quotient_and_rest, true}},
        {"all", {all}},
        {"any", {any}},
        {"sum", {sum}},
        {"unbind", {as_list}},
        {"keys", {keys, true}},
        {"values", {values}},
        {"items", {items, true}},
        {"get", {get, true}},
        {"setdefault", {set_default, true}},
        {"update", {update, true}},
    };
    for (const Entry& e : entries) w.emplace(e.name, e.word);
}

}  // namespace fb::runtime
