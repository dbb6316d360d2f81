#include "cpu/radix.h"
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <vector>
#include "base/parallel.h"
#include "cpu/positions.h"
#include "cpu/room.h"

namespace fb::cpu {
namespace {

template <class K>
struct Item {
    K key, index;
};
// Sorts by the lowest `bits` bits, a digit a pass from the lowest; threads count and move a part each, and a part's
// share of a digit stands behind that of the parts before it, so that every pass is stable.
template <class K>
void sort_items(Item<K>* a, Item<K>* b, int64_t n, int bits, int64_t* order) {
    const int widest = n < 4096 ? 8 : 11, passes = std::max(1, (bits + widest - 1) / widest);
    const int width = (bits + passes - 1) / passes;
    const int64_t digits = int64_t(1) << width;
    const int64_t parts = n >= 32768 ? num_threads() : 1, each = (n + parts - 1) / parts;
    std::vector<int64_t> counts(size_t(parts * digits));
    for (int pass = 0; pass < passes; ++pass) {
        const int shift = pass * width;
        const auto digit = [&](const Item<K>& i) { return size_t(i.key >> shift) & size_t(digits - 1); };
        const auto each_part = [&](auto&& f) {
            parallel_for(parts, 1, [&](int64_t first, int64_t last) {
                for (int64_t p = first; p < last; ++p)
                    f(&counts[size_t(p * digits)], std::min(n, p * each), std::min(n, (p + 1) * each));
            });
        };
        std::fill(counts.begin(), counts.end(), 0);
        each_part([&](int64_t* count, int64_t i, int64_t end) {
            for (; i < end; ++i) ++count[digit(a[i])];
        });
        int64_t before = 0;
        for (int64_t d = 0; d < digits; ++d)
            for (int64_t p = 0; p < parts; ++p) {
                int64_t& count = counts[size_t(p * digits + d)];
                before += count;
                count = before - count;
            }
        each_part([&](int64_t* place, int64_t i, int64_t end) {
            if (pass + 1 == passes)
                for (; i < end; ++i) order[place[digit(a[i])]++] = int64_t(a[i].index);
            else
                for (; i < end; ++i) b[place[digit(a[i])]++] = a[i];
        });
        std::swap(a, b);
    }
}

template <class K, class From>
void order_keys(const From* keys, int64_t n, From least, int bits, int64_t* order) {
    const Room<Item<K>> a(n), b(bits > 8 ? n : 0);
    parallel_for(n, 32768, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) a[i] = {K(keys[i] - least), K(i)};
    });
    sort_items<K>(a.get(), b.get(), n, bits, order);
}

void ranks(const uint32_t* keys, int64_t n, uint32_t* rank) { position_loops().ranks4(keys, n, rank); }
void ranks(const uint64_t* keys, int64_t n, uint64_t* rank) { position_loops().ranks8(keys, n, rank); }

// Two to four, each against each: nothing branches on the keys.
template <int n, class K>
void order_few(const K* keys, int64_t* order) {
    int64_t rank[n] = {};
#pragma GCC unroll 4
    for (int j = 1; j < n; ++j)
#pragma GCC unroll 4
        for (int i = 0; i < j; ++i) {
            const bool after = keys[j] < keys[i];
            rank[i] += after;
            rank[j] += !after;
        }
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) order[rank[i]] = i;
}
template <class From>
void order_any(const From* keys, int64_t n, int64_t* order) {
    if (n == 2) return order_few<2>(keys, order);
    if (n == 3) return order_few<3>(keys, order);
    if (n == 4) return order_few<4>(keys, order);
    if (n <= position_loops().ranked) {
        From rank[kRanked];
        ranks(keys, n, rank);
        for (int64_t i = 0; i < n; ++i) order[rank[i]] = i;
        return;
    }
    if (n <= 48) {  // by insertion
        for (int64_t i = 0; i < n; ++i) {
            int64_t j = i;
            for (; j > 0 && keys[order[j - 1]] > keys[i]; --j) order[j] = order[j - 1];
            order[j] = i;
        }
        return;
    }
    // In order already, or in the opposite one without equals: what else is soon seen not to be so.
    if (std::is_sorted(keys, keys + n)) return std::iota(order, order + n, int64_t(0));
    if (std::adjacent_find(keys, keys + n, std::less_equal<From>()) == keys + n) {
        for (int64_t i = 0; i < n; ++i) order[i] = n - 1 - i;
        return;
    }
    From least = keys[0], most = keys[0];
    for (int64_t i = 1; i < n; ++i) {
        least = std::min(least, keys[i]);
        most = std::max(most, keys[i]);
    }
    const int bits = std::bit_width(From(most - least));  // few where the values lie close together
    if (bits <= 32 && uint64_t(n) <= UINT32_MAX) order_keys<uint32_t>(keys, n, least, bits, order);
    else order_keys<uint64_t>(keys, n, least, bits, order);
}

// The k-th smallest key, counted from 0, and how many equal ones come before it. Leaves the keys in disorder.
template <class K>
struct Selected {
    K key;
    int64_t equal;
};
// Digits from the first bit in which any two keys differ; when none is left, the digits that were found are the key.
template <class K>
Selected<K> select(K* keys, int64_t n, int64_t k) {
    K differing = 0;
    for (int64_t i = 1; i < n; ++i) differing |= keys[i] ^ keys[0];
    constexpr int kMostBits = 11;
    constexpr size_t kMostTables = 4;
    for (int shift = std::bit_width(differing); n > 512;) {
        if (shift == 0) return {keys[0], k};
        const bool short_line = n < 16384;
        const int width = std::min(shift, short_line ? 10 : kMostBits);
        shift -= width;
        const size_t digits = size_t(1) << width;
        const auto digit = [&](K key) { return size_t(key >> shift) & (digits - 1); };
        const size_t tables = short_line ? 2 : kMostTables;  // equal digits in a row do not wait for each other
        std::array<uint32_t, kMostTables << kMostBits> count;
        std::fill_n(count.begin(), tables * digits, 0);
        int64_t i = 0;
        for (; i + 4 <= n; i += 4)
            for (size_t t = 0; t < 4; ++t) ++count[(t & (tables - 1)) * digits + digit(keys[i + int64_t(t)])];
        for (; i < n; ++i) ++count[digit(keys[i])];
        size_t d = 0;
        int64_t here = 0;
        for (;; ++d, k -= here) {
            here = 0;
            for (size_t t = 0; t < tables; ++t) here += count[t * digits + d];
            if (k < here) break;
        }
        if (shift == 0) return {K(((keys[0] >> width) << width) | K(d)), k};
        int64_t left = 0;
        for (i = 0; i < n; ++i) {
            const K key = keys[i];
            keys[left] = key;
            left += digit(key) == d;
        }
        n = left;
    }
    std::nth_element(keys, keys + k, keys + n);
    return {keys[k], std::count(keys, keys + k, keys[k])};
}

// The root of a heap (the largest on top) gives way to `item`: the hole sinks to a leaf, then the item rises.
template <class K>
void replace_top(Item<K>* heap, int64_t n, Item<K> item) {
    int64_t hole = 0;
    for (int64_t child = 2; child <= n; child = 2 * hole + 2) {
        if (child == n || heap[child].key < heap[child - 1].key) --child;
        heap[hole] = heap[child];
        hole = child;
    }
    for (int64_t parent = (hole - 1) / 2; hole > 0 && heap[parent].key < item.key; parent = (hole - 1) / 2) {
        heap[hole] = heap[parent];
        hole = parent;
    }
    heap[hole] = item;
}

// The next key from position i on that is below the limit, or n.
int64_t next_below(const uint32_t* keys, int64_t i, int64_t n, uint32_t limit) {
    return i + position_loops().first_below4(keys + i, n - i, limit);
}
int64_t next_below(const uint64_t* keys, int64_t i, int64_t n, uint64_t limit) {
    return i + position_loops().first_below8(keys + i, n - i, limit);
}

// The k smallest of n <= kRanked, one look at all of them each. False where equal keys leave a choice.
template <class K>
bool smallest_one_by_one(const K* keys, int64_t n, int64_t k, int64_t* order) {
    K left[kRanked];
    std::copy_n(keys, n, left);
    for (int64_t found = 0; found < k; ++found) {
        K best = left[0];
        int64_t at = 0;
        int equal = 0;
        for (int64_t i = 1; i < n; ++i) {
            const bool less = left[i] < best;
            equal = less ? 0 : equal | int(left[i] == best);
            at = less ? i : at;
            best = less ? left[i] : best;
        }
        if (equal || best == K(~K(0))) return false;
        order[found] = at;
        left[at] = ~K(0);
    }
    return true;
}

template <class K>
void smallest(const K* keys, int64_t n, int64_t k, bool sorted, int64_t* order) {
    const auto by_key = [](const Item<K>& a, const Item<K>& b) { return a.key < b.key; };
    if (k == 0) return;
    if (n <= kRanked && k * 12 <= n) {
        if (smallest_one_by_one(keys, n, k, order)) return;
    } else if (sorted && n <= position_loops().ranked) {
        int64_t all[kRanked];
        order_any(keys, n, all);
        bool equal = false;
        for (int64_t i = 1; i <= std::min(k, n - 1); ++i) equal |= keys[all[i]] == keys[all[i - 1]];
        if (!equal) {
            std::copy_n(all, k, order);
            return;
        }
    }
    const bool few = k * 64 <= n;
    const Room<Item<K>> items(few ? k : n);
    for (int64_t i = 0; i < (few ? k : n); ++i) items[i] = {keys[i], K(i)};
    Item<K>* const first = items.get();
    if (few) {  // partial_sort, with a quick look at many keys at once
        std::make_heap(first, first + k, by_key);
        for (int64_t i = next_below(keys, k, n, first->key); i < n; i = next_below(keys, i + 1, n, first->key))
            replace_top(first, k, {keys[i], K(i)});
        std::sort_heap(first, first + k, by_key);
    } else {
        std::nth_element(first, first + (k - 1), first + n, by_key);
        if (sorted) std::sort(first, first + (k - 1), by_key);
    }
    for (int64_t i = 0; i < k; ++i) order[i] = int64_t(items[i].index);
}

template <class K>
int64_t place(const K* keys, int64_t n, int64_t k) {
    if (n <= position_loops().ranked) {
        K rank[kRanked];
        ranks(keys, n, rank);
        return std::find(rank, rank + n, K(k)) - rank;
    }
    // Small numbers of either sign differ in all bits; less the least of them they differ in few.
    constexpr int64_t kSome = 64;
    K least = 0;
    if (sizeof(K) == 8 && n > 512) {
        const auto [low, high] = std::minmax_element(keys, keys + kSome);
        if (*high - *low < K(UINT32_MAX)) {
            least = *low;
            for (int64_t i = kSome; i < n; ++i) least = std::min(least, keys[i]);
        }
    }
    const Room<K> copy(n);
    for (int64_t i = 0; i < n; ++i) copy[i] = keys[i] - least;
    auto [key, equal] = select(copy.get(), n, k);
    for (int64_t i = 0;; ++i)
        if (keys[i] - least == key && equal-- == 0) return i;
}

}  // namespace

void radix_order(const uint32_t* keys, int64_t n, int64_t* order) { order_any(keys, n, order); }
void radix_order(const uint64_t* keys, int64_t n, int64_t* order) { order_any(keys, n, order); }
int64_t radix_place(const uint32_t* keys, int64_t n, int64_t k) { return place(keys, n, k); }
int64_t radix_place(const uint64_t* keys, int64_t n, int64_t k) { return place(keys, n, k); }
void smallest_order(const uint32_t* keys, int64_t n, int64_t k, bool sorted, int64_t* order) {
    smallest(keys, n, k, sorted, order);
}
void smallest_order(const uint64_t* keys, int64_t n, int64_t k, bool sorted, int64_t* order) {
    smallest(keys, n, k, sorted, order);
}

}  // namespace fb::cpu
