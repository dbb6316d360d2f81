// A program: the classes and functions of an archive, its constants and its module.
#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include "runtime/syntax.h"

namespace fb::runtime {

struct Builtin;
class Program;

// Written Optional[List[Tensor]]: name "Optional", of {List of {Tensor}}.
struct Type {
    std::string name;
    std::vector<Type> of;
    bool fits(const Any& v) const;  // whether a caller may pass v; classes are not looked into
    std::string text() const;
};
Type type_of(const Expr* annotation);  // no annotation is a tensor

struct Function {
    std::string name, file;
    const FunctionText* text = nullptr;
    std::vector<Type> types;          // of the parameters
    std::vector<Any> fallbacks;       // their defaults
    std::vector<bool> optional;       // which have one
    std::vector<std::string> locals;  // by slot, parameters first
    const Program* program = nullptr;
    std::string declaration() const;
};

struct Class {
    std::string name, base;  // "Module", "NamedTuple", "Enum", "Interface" or ""
    std::vector<std::string> attributes;
    std::vector<Type> types;
    std::unordered_map<std::string, size_t> places;  // of attributes
    std::unordered_map<std::string, Any> constants;
    std::unordered_map<std::string, const Function*> methods;
    const Function* method(const std::string& name) const {
        const auto found = methods.find(name);
        return found == methods.end() ? nullptr : found->second;
    }
};

struct Callee {  // what a name that is not local stands for
    enum Kind : uint8_t { Word, Defined, Construct, New, Cast, IsInstance, GetAttribute, Uninitialized };
    Kind kind;
    const Builtin* word = nullptr;
    const Function* function = nullptr;
    const Class* type = nullptr;
    std::vector<Type> types;  // of `isinstance`, `annotate`
};
struct Reference final : Heap {  // a function or class as a value
    explicit Reference(const Callee* callee) : callee(callee) {}
    const Callee* callee;
};

class Program {
public:
    Program();
    ~Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;
    // Reads texts that name each other's classes and functions: file name and text of each.
    void define(const std::vector<std::pair<std::string, std::string>>& texts);
    const Class* find_class(const std::string& path) const;
    const Builtin& word(const std::string& name) const;  // of those that the program names

    std::vector<Any> constants;
    Any module;  // the object that the archive holds
    int version = 10;

private:
    friend class Linker;
    std::vector<std::unique_ptr<FileText>> files_;
    std::map<std::string, std::unique_ptr<Class>> classes_;
    std::map<std::string, Function*> functions_;
    std::unordered_map<std::string, std::unique_ptr<Builtin>> words_;
    std::vector<std::unique_ptr<Function>> every_function_;
    std::vector<std::unique_ptr<Callee>> callees_;
};

std::shared_ptr<Program> load_program(std::vector<uint8_t> file);  // an archive of torch.jit.save
Any load_tensors(std::vector<uint8_t> file);                       // what torch.save wrote: tensors and plain values

}  // namespace fb::runtime
