// Free lists for the few small objects that every operation makes: the second allocation of a size is a pointer
// exchange.
#pragma once
#include <cstddef>
#include <new>

namespace fb {

template <size_t Bytes>
class Pool {
    struct Block {
        Block* next;
    };
    struct List {
        Block* head = nullptr;
        int count = 0;
        bool alive = true;
        ~List() {
            while (head) {
                Block* b = head;
                head = b->next;
                ::operator delete(b);
            }
            alive = false;
        }
    };
    static constexpr int kMost = 4096;
    static List& list() {
        static thread_local List l;
        return l;
    }

public:
    static void* take() {
        List& l = list();
        if (Block* b = l.head) {
            l.head = b->next;
            --l.count;
            return b;
        }
        return ::operator new(Bytes);
    }
    static void give(void* p) {
        List& l = list();
        if (!l.alive || l.count >= kMost) {
            ::operator delete(p);
            return;
        }
        auto* b = static_cast<Block*>(p);
        b->next = l.head;
        l.head = b;
        ++l.count;
    }
};

}  // namespace fb
