// The text of TorchScript as a tree: Python's grammar with few words.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>
#include "runtime/value.h"

namespace fb::runtime {

struct Callee;  // interpret.h

struct Expr {
    enum Kind : uint8_t {
        Constant,   // value
        Name,       // text; slot once it is known to be local
        Attribute,  // kids[0].text
        Call,       // kids[0](kids[1…]); the last names.size() of them by keyword
        TupleOf,
        ListOf,
        DictOf,     // key, value, key, value …
        Subscript,  // kids[0][kids[1]]
        Slice,      // start, end, step; null where left out
        Operator,   // an operator of Python by the name of the function it stands for: "add", "__not__"
        And,
        Or,
        IfElse,   // kids[1] if kids[0] else kids[2]
        ListFor,  // [kids[0] for kids[1] in kids[2] (if kids[3])]
        DictFor,  // {kids[0]: kids[1] for kids[2] in kids[3] (if kids[4])}
    };
    Kind kind;
    int line = 0;
    int slot = -1;
    std::string text;
    Any value;
    std::vector<std::unique_ptr<Expr>> kids;
    std::vector<std::string> names;
    const Callee* callee = nullptr;  // of a call whose function is known before it runs
    bool global = false;             // the name of something outside of the function; found in `value` or by `callee`
};
using ExprPtr = std::unique_ptr<Expr>;

struct Statement;
using Block = std::vector<Statement>;
struct Statement {
    enum Kind : uint8_t { Assign, Value, If, While, For, Return, Pass, Assert, Break, Continue, With, Raise, Delete };
    Kind kind;
    int line = 0;
    std::vector<ExprPtr> targets;  // of an assignment and of `for`; of `with x as y`
    ExprPtr value;                 // what is assigned, returned, tested, looped over, raised
    ExprPtr more;                  // the message of an assert
    std::string augmented;         // "add" for +=
    Block body, other;             // `other`: else
};

struct Parameter {
    std::string name;
    ExprPtr type, fallback;  // null where there is none
};
struct FunctionText {
    std::string name;
    int line = 0;
    std::vector<Parameter> parameters;
    ExprPtr result;
    Block body;
};
struct Member {  // of a class: `name : type`, `name : type = value`, `name = value`, `__annotations__["0"] = type`
    std::string name;
    ExprPtr type, value;
};
struct ClassText {
    std::string name, base;
    std::vector<Member> members;
    std::vector<FunctionText> methods;
};
struct FileText {
    std::vector<ClassText> classes;
    std::vector<FunctionText> functions;
};

FileText parse_file(const std::string& text, const std::string& file);  // throws Error with the place
ExprPtr parse_expression(const std::string& text, const std::string& file);
std::string dotted(const Expr& e);  // "a.b.c", or nothing

}  // namespace fb::runtime
