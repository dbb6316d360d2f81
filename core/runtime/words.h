// What `torch.NAME` and `ops.prim.NAME` of a program stand for, besides the operators of the table: numbers, strings,
// lists, dictionaries, and what is asked of a tensor.
#pragma once
#include <unordered_map>
#include "runtime/operators.h"

namespace fb::runtime {

using Plain = Any (*)(const Arguments&);

struct Builtin {
    Plain plain = nullptr;
    bool always = false;    // whatever the arguments are; else only where no tensor is among the first two
    bool on_lists = false;  // a list of tensors is a list
    Overloads overloads;
    Any call(const Arguments& a) const;
};
// `version` is that of the operators the program was written for.
Builtin find_word(const std::string& name, int version);  // torch.NAME
Builtin find_primitive(const std::string& name);          // ops.prim.NAME
Builtin find_bare(const std::string& name);               // NAME; `plain` is null where there is none

struct Word {
    Plain plain;
    bool always = false;
};
struct Entry {
    const char* name;
    Word word;
};
using Words = std::unordered_map<std::string, Word>;
void add_text_words(Words& words);       // words_text.cpp
void add_container_words(Words& words);  // words_container.cpp
void add_tensor_words(Words& words);     // words_tensor.cpp
void add_attention_words(Words& words);  // words_attention.cpp

const Tensor& tensor(const Arguments& a, size_t i = 0);  // refuses what is none; words_tensor.cpp

// What a program raised.
struct Raised : Error {
    using Error::Error;
};

}  // namespace fb::runtime
