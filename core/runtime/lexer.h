// Tokens of a TorchScript text, with the indentation of Python's grammar.
#pragma once
#include <string>
#include <vector>
#include "runtime/value.h"

namespace fb::runtime {

struct Token {
    enum Kind : uint8_t { Name, Number, String, Sign, Newline, Indent, Dedent, End };
    Kind kind;
    int line;
    std::string text;  // of names and signs
    Any value;         // of numbers and strings
};

std::vector<Token> tokens_of(const std::string& text, const std::string& file);

}  // namespace fb::runtime
