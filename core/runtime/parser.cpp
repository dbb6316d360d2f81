#include <map>
#include "base/error.h"
#include "runtime/lexer.h"
#include "runtime/syntax.h"

namespace fb::runtime {
namespace {

// Python's operators, the loosest first, and the functions they stand for.
const std::map<std::string, std::pair<int, const char*>, std::less<>>& binary_operators() {
    static const std::map<std::string, std::pair<int, const char*>, std::less<>> table{
        {"|", {1, "__or__"}},      {"^", {2, "__xor__"}},   {"&", {3, "__and__"}},   {"<<", {4, "__lshift__"}},
        {">>", {4, "__rshift__"}}, {"+", {5, "add"}},       {"-", {5, "sub"}},       {"*", {6, "mul"}},
        {"/", {6, "div"}},         {"//", {6, "floordiv"}}, {"%", {6, "remainder"}}, {"@", {6, "matmul"}}};
    return table;
}
const std::map<std::string, const char*, std::less<>>& comparisons() {
    static const std::map<std::string, const char*, std::less<>> table{{"==", "eq"}, {"!=", "ne"}, {"<", "lt"},
                                                                       {"<=", "le"}, {">", "gt"},  {">=", "ge"}};
    return table;
}

class Parser {
public:
    Parser(const std::string& text, const std::string& file) : tokens_(tokens_of(text, file)), file_(file) {}

    FileText file() {
        FileText all;
        while (word().kind != Token::End) {
            if (take_name("class")) all.classes.push_back(class_text());
            else if (take_name("def")) all.functions.push_back(function());
            else if (word().kind == Token::Name && word().text == "import") skip_line();
            else refuse("a program defines functions and classes");
        }
        return all;
    }
    ExprPtr only_expression() {
        ExprPtr e = tuple_or_expression();
        take_kind(Token::Newline);
        if (word().kind != Token::End) refuse("more than one expression");
        return e;
    }

private:
    // ---------------------------------------------------------------- words
    const Token& word() const { return tokens_[at_]; }
    const Token& ahead(size_t n = 1) const { return tokens_[std::min(at_ + n, tokens_.size() - 1)]; }
    [[noreturn]] void refuse(const std::string& why) const {
        fail(ErrorKind::Runtime, why, " here:\n  File \"", file_, "\", line ", word().line);
    }
    bool is_sign(std::string_view s) const { return word().kind == Token::Sign && word().text == s; }
    bool is_name(std::string_view s) const { return word().kind == Token::Name && word().text == s; }
    bool take(std::string_view sign) { return is_sign(sign) && (++at_, true); }
    bool take_name(std::string_view name) { return is_name(name) && (++at_, true); }
    bool take_kind(Token::Kind kind) { return word().kind == kind && (++at_, true); }
    void expect(std::string_view sign) {
        if (!take(sign)) refuse(str("expected '", sign, "'"));
    }
    void expect_kind(Token::Kind kind, const char* what) {
        if (!take_kind(kind)) refuse(str("expected ", what));
    }
    std::string name() {
        if (word().kind != Token::Name) refuse("expected a name");
        return tokens_[at_++].text;
    }
    void skip_line() {
        while (word().kind != Token::Newline && word().kind != Token::End) ++at_;
        take_kind(Token::Newline);
    }
    ExprPtr make(Expr::Kind kind, std::string text = {}) const {
        auto e = std::make_unique<Expr>();
        e->kind = kind;
        e->line = word().line;
        e->text = std::move(text);
        return e;
    }
    ExprPtr apply(const char* name, ExprPtr a, ExprPtr b = nullptr) const {
        ExprPtr e = make(Expr::Operator, name);
        e->kids.push_back(std::move(a));
        if (b) e->kids.push_back(std::move(b));
        return e;
    }
    struct Deeper {  // text is nested; the stack is finite
        explicit Deeper(Parser& p) : depth(p.depth_) {
            if (++depth > 200) p.refuse("the text is nested too deeply");
        }
        ~Deeper() { --depth; }
        int& depth;
    };

    // ---------------------------------------------------------------- expressions
    ExprPtr expression() {
        const Deeper deeper(*this);
        ExprPtr e = either();
        if (!take_name("if")) return e;
        ExprPtr choice = make(Expr::IfElse);
        choice->kids.push_back(either());
        choice->kids.push_back(std::move(e));
        if (!take_name("else")) refuse("expected 'else'");
        choice->kids.push_back(expression());
        return choice;
    }
    ExprPtr either() {
        return chain("or", Expr::Or, [&] { return chain("and", Expr::And, [&] { return negation(); }); });
    }
    template <class F>
    ExprPtr chain(const char* name, Expr::Kind kind, F&& part) {
        ExprPtr e = part();
        if (!is_name(name)) return e;
        ExprPtr all = make(kind);
        all->kids.push_back(std::move(e));
        while (take_name(name)) all->kids.push_back(part());
        return all;
    }
    ExprPtr negation() {
        const Deeper deeper(*this);
        return take_name("not") ? apply("__not__", negation()) : comparison();
    }
    ExprPtr comparison() {
        ExprPtr e = binary(1);
        const auto known = word().kind == Token::Sign ? comparisons().find(word().text) : comparisons().end();
        if (known != comparisons().end()) {
            ++at_;
            e = apply(known->second, std::move(e), binary(1));
        } else if (take_name("is")) {
            const char* name = take_name("not") ? "__isnot__" : "__is__";
            e = apply(name, std::move(e), binary(1));
        } else if (is_name("in") && !no_in_) {
            ++at_;
            e = apply("__contains__", binary(1), std::move(e));
        } else if (is_name("not") && ahead().kind == Token::Name && ahead().text == "in") {
            at_ += 2;
            e = apply("__not__", apply("__contains__", binary(1), std::move(e)));
        } else {
            return e;
        }
        if (word().kind == Token::Sign && comparisons().contains(word().text)) refuse("comparisons stand alone");
        return e;
    }
    ExprPtr binary(int level) {
        if (level > 6) return unary();
        ExprPtr e = binary(level + 1);
        for (int links = 0; word().kind == Token::Sign; ++links) {
            if (links > 200) refuse("the text is nested too deeply");
            const auto found = binary_operators().find(word().text);
            if (found == binary_operators().end() || found->second.first != level) break;
            ++at_;
            e = apply(found->second.second, std::move(e), binary(level + 1));
        }
        return e;
    }
    ExprPtr unary() {
        const Deeper deeper(*this);
        if (take("-")) {
            ExprPtr e = unary();
            if (e->kind == Expr::Constant) {
                if (const int64_t* i = as<int64_t>(e->value)) return e->value = int64_t(-uint64_t(*i)), std::move(e);
                if (const double* d = as<double>(e->value)) return e->value = -*d, std::move(e);
            }
            return apply("neg", std::move(e));
        }
        if (take("+")) return unary();
        if (take("~")) return apply("bitwise_not", unary());
        ExprPtr e = postfix();
        return take("**") ? apply("pow", std::move(e), unary()) : std::move(e);
    }
    ExprPtr postfix() {
        ExprPtr e = atom();
        for (int links = 0;; ++links) {  // the tree is walked by recursion
            if (links > 100) refuse("the text is nested too deeply");
            if (take(".")) {
                ExprPtr a = make(Expr::Attribute, name());
                a->kids.push_back(std::move(e));
                e = std::move(a);
            } else if (take("(")) {
                e = call(std::move(e));
            } else if (take("[")) {
                ExprPtr s = make(Expr::Subscript);
                s->kids.push_back(std::move(e));
                s->kids.push_back(subscript());
                expect("]");
                e = std::move(s);
            } else {
                return e;
            }
        }
    }
    ExprPtr call(ExprPtr function) {
        ExprPtr c = make(Expr::Call);
        c->kids.push_back(std::move(function));
        while (!take(")")) {
            if (word().kind == Token::Name && ahead().kind == Token::Sign && ahead().text == "=") {
                c->names.push_back(name());
                ++at_;
            } else if (!c->names.empty()) {
                refuse("an argument by position after one by name");
            }
            c->kids.push_back(expression());
            if (!take(",") && !is_sign(")")) refuse("expected ',' or ')'");
        }
        return c;
    }
    ExprPtr subscript() {
        ExprPtr first = subscript_item();
        if (!is_sign(",")) return first;
        ExprPtr all = make(Expr::TupleOf);
        all->kids.push_back(std::move(first));
        while (take(","))
            if (!is_sign("]")) all->kids.push_back(subscript_item());
        return all;
    }
    ExprPtr subscript_item() {
        ExprPtr start = is_sign(":") ? nullptr : expression();
        if (!is_sign(":")) return start;
        ExprPtr s = make(Expr::Slice);
        s->kids.push_back(std::move(start));
        for (int i = 0; i < 2; ++i)
            s->kids.push_back(take(":") && !is_sign(":") && !is_sign(",") && !is_sign("]") ? expression() : nullptr);
        return s;
    }
    ExprPtr atom() {
        const Deeper deeper(*this);
        if (word().kind == Token::Number || word().kind == Token::String) {
            ExprPtr e = make(Expr::Constant);
            e->value = tokens_[at_++].value;
            while (as<Text>(e->value) && word().kind == Token::String)
                e->value = text(string(e->value) + string(tokens_[at_++].value));
            return e;
        }
        if (word().kind == Token::Name) {
            ExprPtr e = make(Expr::Constant);
            if (take_name("None")) return e;
            if (take_name("True")) return e->value = true, std::move(e);
            if (take_name("False")) return e->value = false, std::move(e);
            e->kind = Expr::Name;
            e->text = name();
            return e;
        }
        if (take("(")) {
            ExprPtr e = is_sign(")") ? make(Expr::TupleOf) : tuple_or_expression(")");
            expect(")");
            return e;
        }
        if (take("[")) return list_atom();
        if (take("{")) return dict_atom();
        refuse("expected an expression");
    }
    ExprPtr tuple_or_expression(std::string_view end = "") {
        ExprPtr first = expression();
        if (!is_sign(",")) return first;
        ExprPtr all = make(Expr::TupleOf);
        all->kids.push_back(std::move(first));
        while (take(",")) {
            if ((!end.empty() && is_sign(end)) || is_sign("=") || word().kind == Token::Newline) break;
            all->kids.push_back(expression());
        }
        return all;
    }
    void comprehension(ExprPtr& e) {
        no_in_ = true;
        ExprPtr target = tuple_or_expression();
        no_in_ = false;
        e->kids.push_back(std::move(target));
        if (!take_name("in")) refuse("expected 'in'");
        e->kids.push_back(either());
        if (take_name("if")) e->kids.push_back(either());
    }
    ExprPtr list_atom() {
        ExprPtr e = make(Expr::ListOf);
        while (!take("]")) {
            e->kids.push_back(expression());
            if (e->kids.size() == 1 && take_name("for")) {
                e->kind = Expr::ListFor;
                comprehension(e);
                expect("]");
                return e;
            }
            if (!take(",") && !is_sign("]")) refuse("expected ',' or ']'");
        }
        return e;
    }
    ExprPtr dict_atom() {
        ExprPtr e = make(Expr::DictOf);
        while (!take("}")) {
            e->kids.push_back(expression());
            expect(":");
            e->kids.push_back(expression());
            if (e->kids.size() == 2 && take_name("for")) {
                e->kind = Expr::DictFor;
                comprehension(e);
                expect("}");
                return e;
            }
            if (!take(",") && !is_sign("}")) refuse("expected ',' or '}'");
        }
        return e;
    }

    // ---------------------------------------------------------------- statements
    Block block() {
        const Deeper deeper(*this);
        expect(":");
        Block all;
        if (!take_kind(Token::Newline)) {  // on the same line
            all.push_back(statement());
            return all;
        }
        expect_kind(Token::Indent, "an indented block");
        while (!take_kind(Token::Dedent)) {
            if (word().kind == Token::End) refuse("unexpected end");
            all.push_back(statement());
        }
        return all;
    }
    Statement statement() {
        Statement s{};
        s.line = word().line;
        if (take_name("if") || take_name("elif")) {
            s.kind = Statement::If;
            s.value = expression();
            s.body = block();
            if (is_name("elif")) {
                const Deeper deeper(*this);
                s.other.push_back(statement());
            } else if (take_name("else")) {
                s.other = block();
            }
            return s;
        }
        if (take_name("while")) {
            s.kind = Statement::While;
            s.value = expression();
            s.body = block();
            return s;
        }
        if (take_name("for")) {
            s.kind = Statement::For;
            no_in_ = true;
            s.targets.push_back(tuple_or_expression());
            no_in_ = false;
            if (!take_name("in")) refuse("expected 'in'");
            s.value = tuple_or_expression();
            s.body = block();
            return s;
        }
        if (take_name("with")) return with();
        simple(s);
        if (!take(";")) expect_kind(Token::Newline, "the end of the line");
        else take_kind(Token::Newline);
        return s;
    }
    Statement with() {
        Statement s{};
        s.kind = Statement::With;
        s.line = word().line;
        s.value = expression();
        if (take_name("as")) s.targets.push_back(postfix());
        if (take(",")) {
            const Deeper deeper(*this);
            s.body.push_back(with());
        } else {
            s.body = block();
        }
        return s;
    }
    void simple(Statement& s) {
        if (take_name("pass")) s.kind = Statement::Pass;
        else if (take_name("break")) s.kind = Statement::Break;
        else if (take_name("continue")) s.kind = Statement::Continue;
        else if (take_name("return")) {
            s.kind = Statement::Return;
            if (word().kind != Token::Newline) s.value = tuple_or_expression();
        } else if (take_name("assert")) {
            s.kind = Statement::Assert;
            s.value = expression();
            if (take(",")) s.more = expression();
        } else if (take_name("raise")) {
            s.kind = Statement::Raise;
            s.value = expression();
        } else if (take_name("del")) {
            s.kind = Statement::Delete;
            s.value = expression();
        } else {
            assignment(s);
        }
    }
    void assignment(Statement& s) {
        s.kind = Statement::Value;
        s.value = tuple_or_expression();
        if (take(":")) {
            (void)expression();  // the type of a variable
            s.kind = is_sign("=") ? Statement::Assign : Statement::Pass;
            if (take("=")) {
                s.targets.push_back(std::move(s.value));
                s.value = tuple_or_expression();
            }
            return;
        }
        if (word().kind == Token::Sign && word().text.size() > 1 && word().text.back() == '=' &&
            !comparisons().contains(word().text)) {
            const std::string sign = tokens_[at_++].text;
            const auto found = binary_operators().find(sign.substr(0, sign.size() - 1));
            s.augmented = found == binary_operators().end() ? "pow" : found->second.second;
            s.kind = Statement::Assign;
            s.targets.push_back(std::move(s.value));
            s.value = tuple_or_expression();
            return;
        }
        while (take("=")) {
            s.kind = Statement::Assign;
            s.targets.push_back(std::move(s.value));
            s.value = tuple_or_expression();
        }
    }

    // ---------------------------------------------------------------- definitions
    FunctionText function() {
        FunctionText f;
        f.line = word().line;
        f.name = name();
        expect("(");
        while (!take(")")) {
            if (take("*")) {
                if (!take(",")) refuse("a program's function takes named arguments only");
                continue;
            }
            Parameter& p = f.parameters.emplace_back();
            p.name = name();
            if (take(":")) p.type = expression();
            if (take("=")) p.fallback = expression();
            if (!take(",") && !is_sign(")")) refuse("expected ',' or ')'");
        }
        if (take("->")) f.result = expression();
        f.body = block();
        return f;
    }
    ClassText class_text() {
        ClassText c;
        c.name = name();
        if (take("(")) {
            while (!take(")")) {
                c.base = name();
                while (take(".")) c.base = name();
                take(",");
            }
        }
        expect(":");
        expect_kind(Token::Newline, "the end of the line");
        expect_kind(Token::Indent, "an indented block");
        while (!take_kind(Token::Dedent)) {
            if (take_name("def")) {
                c.methods.push_back(function());
                continue;
            }
            if (!take_name("pass")) member(c);
            expect_kind(Token::Newline, "the end of the line");
        }
        return c;
    }
    void member(ClassText& c) {
        Member& m = c.members.emplace_back();
        m.name = name();
        if (take("[")) {
            if (m.name != "__annotations__" || !as<Text>(word().value)) refuse("expected the name of an attribute");
            m.name = string(tokens_[at_++].value);
            expect("]");
            expect("=");
            m.type = expression();
            return;
        }
        if (take(":")) m.type = expression();
        if (take("=")) m.value = tuple_or_expression();
    }

    std::vector<Token> tokens_;
    const std::string& file_;
    size_t at_ = 0;
    int depth_ = 0;
    bool no_in_ = false;  // in the target of `for`, where `in` ends it
};

}  // namespace

FileText parse_file(const std::string& text, const std::string& file) { return Parser(text, file).file(); }
ExprPtr parse_expression(const std::string& text, const std::string& file) {
    return Parser(text, file).only_expression();
}

std::string dotted(const Expr& e) {
    if (e.kind == Expr::Name) return e.text;
    if (e.kind != Expr::Attribute) return {};
    const std::string root = dotted(*e.kids[0]);
    return root.empty() ? root : root + "." + e.text;
}

}  // namespace fb::runtime
