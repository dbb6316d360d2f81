// What the kernel files hand to the chooser: lists of (operation, type, function). Types only, no code.
#pragma once
#include "cpu/pointwise.h"

namespace fb::cpu {

enum class Kind : uint8_t { unary, binary, ternary, convert };

struct Entry {
    Loop loop;
    uint16_t op;
    Kind kind;
    DType type;
};
struct Entries {
    const Entry* data;
    int count;
};

// Filled at compile time; `limit` is checked there.
template <int limit>
struct Table {
    Entry entry[limit] = {};
    int count = 0;
    constexpr void put(Kind kind, uint16_t op, DType type, Loop loop) { entry[count++] = {loop, op, kind, type}; }
    constexpr void put(Unary op, DType type, Loop loop) { put(Kind::unary, uint16_t(op), type, loop); }
    constexpr void put(Binary op, DType type, Loop loop) { put(Kind::binary, uint16_t(op), type, loop); }
    constexpr void put(Ternary op, DType type, Loop loop) { put(Kind::ternary, uint16_t(op), type, loop); }
};

}  // namespace fb::cpu
