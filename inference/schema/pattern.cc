#include "inference/schema/pattern.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace allod::inference::schema {
namespace {

constexpr std::uint32_t kQuantifierMax = 1000;
constexpr int kPatternDepthMax = 32;

struct Complaint {
  std::string what;
};

CodePoints Digits() { return {{'0', '9'}}; }
CodePoints WordCharacters() { return {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}; }
// WhiteSpace and LineTerminator of ECMA-262.
CodePoints Spaces() {
  return {{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
          {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
}
CodePoints LineTerminators() { return {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}; }

class Parser {
 public:
  explicit Parser(std::string_view pattern) : text_(Decode(pattern)) {}

  ExpressionPtr Whole() {
    std::vector<ExpressionPtr> alternatives;
    do {
      std::vector<ExpressionPtr> parts;
      if (!Take('^')) parts.push_back(AnyText());
      while (!AtEnd() && Peek() != '|' && Peek() != '$') parts.push_back(Term());
      if (!Take('$')) parts.push_back(AnyText());
      if (!AtEnd() && Peek() != '|') Fail("\"$\" is only taken at the end of the pattern or of an alternative");
      alternatives.push_back(InSequence(std::move(parts)));
    } while (Take('|'));
    return AnyOf(std::move(alternatives));
  }

 private:
  [[noreturn]] void Fail(std::string_view what) const {
    throw Complaint{fmt::format("{} (character {})", what, at_ + 1)};
  }

  bool AtEnd() const { return at_ >= text_.size(); }
  std::uint32_t Peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : 0; }
  bool Is(std::size_t ahead, std::uint32_t c) const { return at_ + ahead < text_.size() && text_[at_ + ahead] == c; }
  bool Take(std::uint32_t c) {
    if (!Is(0, c)) return false;
    ++at_;
    return true;
  }

  ExpressionPtr Alternatives() {
    std::vector<ExpressionPtr> alternatives;
    do {
      std::vector<ExpressionPtr> parts;
      while (!AtEnd() && Peek() != '|' && Peek() != ')') parts.push_back(Term());
      alternatives.push_back(InSequence(std::move(parts)));
    } while (Take('|'));
    return AnyOf(std::move(alternatives));
  }

  ExpressionPtr Term() { return Quantified(Atom()); }

  ExpressionPtr Atom() {
    const std::uint32_t c = Peek();
    switch (c) {
      case '(':
        return Group();
      case '[':
        return OneOfSet(Class());
      case '\\':
        return OneOfSet(Escape(false));
      case '.':
        ++at_;
        return OneOfSet(LineTerminators().Complement());
      case '^':
      case '$':
        Fail("\"^\" and \"$\" are only taken at the ends of the pattern or of its outermost alternatives");
      case '*':
      case '+':
      case '?':
        Fail("there is nothing to repeat");
      case ')':
      case ']':
      case '{':
      case '}':
        Fail(fmt::format("a lone \"{}\" must be written with a backslash", static_cast<char>(c)));
      default:
        ++at_;
        return OneOfSet({{c, c}});
    }
  }

  ExpressionPtr Group() {
    if (++depth_ > kPatternDepthMax) Fail("groups are nested deeper than 32");
    ++at_;
    if (Take('?')) {
      if (Is(0, '<') && !Is(1, '=') && !Is(1, '!')) {
        while (!AtEnd() && Peek() != '>') ++at_;
        if (!Take('>')) Fail("the name of a group has no end");
      } else if (!Take(':')) {
        Fail("look-around and flags are not taken");
      }
    }
    ExpressionPtr inner = Alternatives();
    if (!Take(')')) Fail("a group has no end");
    --depth_;
    return inner;
  }

  std::optional<std::uint32_t> Number() {
    if (AtEnd() || Peek() < '0' || Peek() > '9') return std::nullopt;
    std::uint32_t number = 0;
    while (!AtEnd() && Peek() >= '0' && Peek() <= '9') {
      number = number * 10 + (text_[at_++] - '0');
      if (number > kQuantifierMax) Fail(fmt::format("a quantifier is larger than {}", kQuantifierMax));
    }
    return number;
  }

  ExpressionPtr Quantified(ExpressionPtr atom) {
    std::uint32_t low = 0;
    std::uint32_t high = Expression::kUnlimited;
    if (Take('*')) {
    } else if (Take('+')) {
      low = 1;
    } else if (Take('?')) {
      high = 1;
    } else if (Take('{')) {
      const auto first = Number();
      if (!first) Fail("a quantifier needs a number; a lone \"{\" must be written with a backslash");
      low = high = *first;
      if (Take(',')) high = Number().value_or(Expression::kUnlimited);
      if (!Take('}')) Fail("a quantifier has no end");
      if (low > high) Fail("a quantifier's numbers are out of order");
    } else {
      return atom;
    }
    Take('?');  // lazy: the language is the same
    if (Is(0, '*') || Is(0, '+') || Is(0, '?') || Is(0, '{')) Fail("there is nothing to repeat");
    return Repeated(std::move(atom), low, high);
  }

  std::uint32_t Hex(int digits) {
    std::uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const std::uint32_t c = AtEnd() ? 0 : text_[at_++];
      if (c >= '0' && c <= '9') {
        value = value * 16 + c - '0';
      } else if ((c | 32) >= 'a' && (c | 32) <= 'f') {
        value = value * 16 + (c | 32) - 'a' + 10;
      } else {
        Fail("an escape needs hexadecimal digits");
      }
    }
    return value;
  }

  std::uint32_t Unicode() {
    std::uint32_t c = 0;
    if (Take('{')) {
      do {
        c = c * 16 + Hex(1);
        if (c > kCodePointMax) Fail("there is no such code point");
      } while (!AtEnd() && Peek() != '}');
      if (!Take('}')) Fail("an escape has no end");
    } else {
      c = Hex(4);
      if (c >= 0xD800 && c < 0xDC00 && Is(0, '\\') && Is(1, 'u')) {
        at_ += 2;
        const std::uint32_t low = Hex(4);
        if (low < 0xDC00 || low > 0xDFFF) Fail("half of a surrogate pair is no character");
        return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
      }
    }
    if (c >= 0xD800 && c <= 0xDFFF) Fail("half of a surrogate pair is no character");
    return c;
  }

  CodePoints Escape(bool in_class) {
    ++at_;
    if (AtEnd()) Fail("there is nothing after the backslash");
    const std::uint32_t c = text_[at_];
    const auto one = [](std::uint32_t code_point) { return CodePoints{{code_point, code_point}}; };
    switch (c) {
      case 'd':
        return ++at_, Digits();
      case 'D':
        return ++at_, Digits().Complement();
      case 'w':
        return ++at_, WordCharacters();
      case 'W':
        return ++at_, WordCharacters().Complement();
      case 's':
        return ++at_, Spaces();
      case 'S':
        return ++at_, Spaces().Complement();
      case 't':
        return ++at_, one('\t');
      case 'n':
        return ++at_, one('\n');
      case 'v':
        return ++at_, one('\v');
      case 'f':
        return ++at_, one('\f');
      case 'r':
        return ++at_, one('\r');
      case '0':
        if (at_ + 1 < text_.size() && text_[at_ + 1] >= '0' && text_[at_ + 1] <= '9')
          Fail("octal escapes are not taken");
        return ++at_, one(0);
      case 'x':
        return ++at_, one(Hex(2));
      case 'u':
        return ++at_, one(Unicode());
      case 'b':
        if (in_class) return ++at_, one('\b');
        Fail("\\b is not taken");
      default:
        break;
    }
    constexpr std::string_view kSyntax = "^$\\.*+?()[]{}|/";
    const bool is_syntax = c < 0x80 && kSyntax.find(static_cast<char>(c)) != std::string_view::npos;
    if (is_syntax || (in_class && c == '-')) return ++at_, one(c);
    if (c >= '1' && c <= '9') Fail("back references are not taken");
    std::string name;
    AppendUtf8(c, name);
    Fail(fmt::format("\\{} is not taken", name));
  }

  // One member of a class.
  CodePoints ClassAtom() {
    if (AtEnd()) Fail("a class has no end");
    if (Peek() == '\\') return Escape(true);
    const std::uint32_t c = text_[at_++];
    return {{c, c}};
  }

  CodePoints Class() {
    ++at_;
    const bool is_negated = Take('^');
    CodePoints set;
    while (!Take(']')) {
      CodePoints first = ClassAtom();
      if (!Is(0, '-') || Is(1, ']')) {
        set = set | first;
        continue;
      }
      ++at_;
      const CodePoints last = ClassAtom();
      const auto single = [](const CodePoints& s) {
        return s.ranges().size() == 1 && s.ranges()[0].first == s.ranges()[0].last;
      };
      if (!single(first) || !single(last)) Fail("a range needs a character at both ends");
      if (first.ranges()[0].first > last.ranges()[0].first) Fail("a range is out of order");
      set.Add(first.ranges()[0].first, last.ranges()[0].first);
    }
    return is_negated ? set.Complement() : set;
  }

  const std::vector<std::uint32_t> text_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace

std::expected<ExpressionPtr, std::string> ParsePattern(std::string_view pattern) {
  try {
    return Parser(pattern).Whole();
  } catch (const Complaint& complaint) {
    return std::unexpected(complaint.what);
  }
}

}  // namespace allod::inference::schema
