#include "inference/schema/gbnf.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "inference/schema/ambiguity.h"
#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

struct Complaint {
  std::size_t at = 0;  // index of a code point
  std::string what;
};

bool IsNothing(const Symbol& symbol) {
  const auto* literal = std::get_if<std::string>(&symbol.what);
  return literal != nullptr && literal->empty();
}

// For each rule those that it may begin with, as often as it mentions them there. llama.cpp takes fewer rules for
// empty (ambiguity.h), so it misses left recursion that is found here, and would go around in it.
std::vector<std::vector<RuleId>> LeftmostRules(const Grammar& grammar) {
  const std::vector<bool> may_be_empty = grammar.RulesOf(IsNothing);
  std::vector<std::vector<RuleId>> out(grammar.size());
  for (RuleId id = 0; id < grammar.size(); ++id) {
    for (const Sequence& sequence : grammar.rule(id).alternatives) {
      for (const Symbol& symbol : sequence) {
        StepBudget::Spend();
        const auto* rule = std::get_if<RuleId>(&symbol.what);
        if (rule != nullptr) out[id].push_back(*rule);
        if (rule != nullptr ? !may_be_empty[*rule] : !IsNothing(symbol)) break;
      }
    }
  }
  return out;
}

bool IsDigit(std::uint32_t c) { return c >= '0' && c <= '9'; }
bool IsNameCharacter(std::uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || IsDigit(c);
}

std::string Shown(std::uint32_t c) {
  if (c < 0x20 || c == 0x7F) return fmt::format("the control character {:#04x}", c);
  std::string text;
  AppendUtf8(c, text);
  return fmt::format("'{}'", text);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(Decode(text)) {}

  ParsedGbnf Run() {
    Space(true);
    while (!AtEnd()) ReadRule();
    for (const auto& [name, id] : out_.rules) {
      if (!defined_.contains(name))
        throw Complaint{mentioned_.at(name), fmt::format("the rule '{}' is not defined", name)};
    }
    if (!out_.rules.contains("root")) throw Complaint{0, "there is no rule 'root', which is where an answer starts"};
    CheckLeftRecursion();
    return std::move(out_);
  }

  std::string Place(std::size_t at) const {
    std::size_t line = 1;
    std::size_t column = 1;
    for (std::size_t i = 0; i < std::min(at, text_.size()); ++i) {
      ++column;
      if (text_[i] == '\n') {
        ++line;
        column = 1;
      }
    }
    return fmt::format("line {}, column {}: ", line, column);
  }

 private:
  bool AtEnd() const { return at_ >= text_.size(); }
  bool Is(std::uint32_t c) const { return !AtEnd() && text_[at_] == c; }
  bool Take(std::uint32_t c) { return Is(c) && ++at_ > 0; }
  std::uint32_t Peek() const { return AtEnd() ? 0 : text_[at_]; }

  [[noreturn]] void Expected(std::string_view what) const {
    throw Complaint{at_, fmt::format("expected {}, found {}", what, AtEnd() ? "the end" : Shown(Peek()))};
  }

  void Space(bool over_lines) {
    while (!AtEnd()) {
      if (Is('#')) {
        while (!AtEnd() && !Is('\n') && !Is('\r')) ++at_;
      } else if (Is(' ') || Is('\t') || (over_lines && (Is('\n') || Is('\r')))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string Name() {
    std::string name;
    while (!AtEnd() && IsNameCharacter(Peek())) name += static_cast<char>(text_[at_++]);
    return name;
  }

  RuleId Mention(const std::string& name, std::size_t at) {
    const auto found = out_.rules.find(name);
    if (found != out_.rules.end()) return found->second;
    mentioned_[name] = at;
    return out_.rules[name] = out_.grammar.Add(name);
  }

  void ReadRule() {
    const std::size_t begin = at_;
    const std::string name = Name();
    if (name.empty()) Expected("the name of a rule (letters, digits and '-')");
    Space(false);
    if (!Take(':') || !Take(':') || !Take('=')) Expected("'::=' after the name of a rule (letters, digits and '-')");
    if (!defined_.emplace(name, begin).second)
      throw Complaint{begin, fmt::format("the rule '{}' is defined twice", name)};
    Space(true);
    const RuleId rule = Mention(name, begin);
    ReadAlternatives(rule, name, 0);
    if (!AtEnd() && !Is('\n') && !Is('\r')) Expected("a new line or the end of the grammar");
    Space(true);
  }

  void ReadAlternatives(RuleId rule, const std::string& name, int depth) {
    if (depth > kGroupDepthMax) throw Complaint{at_, fmt::format("groups are nested deeper than {}", kGroupDepthMax)};
    out_.grammar.AddAlternative(rule, ReadSequence(name, depth));
    while (Take('|')) {
      Space(true);
      out_.grammar.AddAlternative(rule, ReadSequence(name, depth));
    }
  }

  Sequence ReadSequence(const std::string& name, int depth) {
    Sequence sequence;
    while (true) {
      const std::size_t begin = at_;
      auto symbol = ReadSymbol(name, depth);
      if (!symbol) {
        if (Is('*') || Is('+') || Is('?') || Is('{')) throw Complaint{at_, "there is nothing to repeat"};
        return sequence;
      }
      Space(depth > 0);
      while (const auto times = ReadTimes(depth > 0)) {
        symbol = Ref(out_.grammar.Repeat(name, *symbol, times->first, times->second));
      }
      if (out_.grammar.size() > Grammar::kRulesMax) throw Complaint{begin, "the grammar is too large"};
      sequence.push_back(*std::move(symbol));
    }
  }

  std::optional<Symbol> ReadSymbol(const std::string& name, int depth) {
    const std::size_t begin = at_;
    if (Take('"')) return ReadLiteral(begin);
    if (Take('[')) return ReadClass(begin);
    if (Take('.')) return OneOf(CodePoints::All());
    if (Is('<') || Is('!')) return ReadToken();
    if (IsNameCharacter(Peek())) return Ref(Mention(Name(), begin));
    if (!Take('(')) return std::nullopt;
    Space(true);
    const RuleId group = out_.grammar.Add(name);
    ReadAlternatives(group, name, depth + 1);
    if (!Take(')')) Expected("')'");
    return Ref(group);
  }

  Symbol ReadLiteral(std::size_t begin) {
    std::string text;
    while (!Take('"')) {
      if (AtEnd()) throw Complaint{begin, "the text has no closing '\"'"};
      AppendUtf8(ReadCharacter(), text);
    }
    return Literal(text);
  }

  Symbol ReadClass(std::size_t begin) {
    const bool is_negated = Take('^');
    // llama.cpp takes it for nothing at all, which is neither what it looks like nor what is counted on here.
    if (Is(']')) throw Complaint{begin, "an empty class matches nothing; write a ']' as \\]"};
    CodePoints set;
    while (!Take(']')) {
      if (AtEnd()) throw Complaint{begin, "the class has no closing ']'"};
      const std::size_t at = at_;
      const std::uint32_t first = ReadCharacter();
      std::uint32_t last = first;
      if (Is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        ++at_;
        last = ReadCharacter();
      }
      if (last < first) throw Complaint{at, "the range is out of order"};
      set.Add(first, last);
    }
    return OneOf(is_negated ? set.Complement() : set);
  }

  std::uint32_t ReadCharacter() {
    const std::uint32_t c = text_[at_++];
    if (c == 0) throw Complaint{at_ - 1, "NUL is not allowed"};
    if (c != '\\') return c;
    const std::size_t begin = at_ - 1;
    const std::uint32_t kind = AtEnd() ? 0 : text_[at_++];
    switch (kind) {
      case 'x':
        return ReadHex(2, begin);
      case 'u':
        return ReadHex(4, begin);
      case 'U':
        return ReadHex(8, begin);
      case 't':
        return '\t';
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case '\\':
      case '"':
      case '[':
      case ']':
      case '-':
        return kind;
      default:
        throw Complaint{begin, R"(unknown escape; there are \n \r \t \\ \" \[ \] \- \xHH \uHHHH \UHHHHHHHH)"};
    }
  }

  std::uint32_t ReadHex(int digits, std::size_t begin) {
    std::uint64_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const std::uint32_t c = AtEnd() ? 0 : text_[at_++];
      const std::uint32_t letter = c | 32;
      if (!IsDigit(c) && !(letter >= 'a' && letter <= 'f')) {
        throw Complaint{begin, fmt::format("the escape needs {} hexadecimal digits", digits)};
      }
      value = value * 16 + (IsDigit(c) ? c - '0' : letter - 'a' + 10);
    }
    if (value > kCodePointMax || (value >= 0xD800 && value <= 0xDFFF))
      throw Complaint{begin, "there is no such character"};
    return static_cast<std::uint32_t>(value);
  }

  // `<[7]>`, `<name>`, each with an exclamation mark before it or not.
  Symbol ReadToken() {
    const std::size_t begin = at_;
    std::string text;
    if (Take('!')) text += '!';
    if (!Take('<')) Expected("'<' and a token after '!'");
    text += '<';
    while (!AtEnd() && !Is('>') && !Is('\n')) AppendUtf8(text_[at_++], text);
    if (!Take('>')) throw Complaint{begin, "the token has no closing '>'"};
    if (text.size() >= kTokenBytesMax)
      throw Complaint{begin, fmt::format("the token has more than {} bytes", kTokenBytesMax)};
    text += '>';
    return Symbol{TokenText{text}};
  }

  std::uint64_t ReadCount() {
    if (!IsDigit(Peek()) || AtEnd()) Expected("a number of repetitions");
    const std::size_t begin = at_;
    std::uint64_t count = 0;
    while (!AtEnd() && IsDigit(Peek()) && count <= kRepetitionsMax) count = count * 10 + (text_[at_++] - '0');
    if (count > kRepetitionsMax) throw Complaint{begin, fmt::format("more than {} repetitions", kRepetitionsMax)};
    return count;
  }

  std::optional<std::pair<std::uint64_t, std::uint64_t>> ReadTimes(bool over_lines) {
    const std::size_t begin = at_;
    std::pair<std::uint64_t, std::uint64_t> times{0, Grammar::kUnlimited};
    if (Take('*')) {
    } else if (Take('+')) {
      times.first = 1;
    } else if (Take('?')) {
      times.second = 1;
    } else if (Take('{')) {
      Space(over_lines);
      times.first = times.second = ReadCount();
      Space(over_lines);
      if (Take(',')) {
        Space(over_lines);
        times.second = Is('}') ? Grammar::kUnlimited : ReadCount();
        Space(over_lines);
      }
      if (!Take('}')) Expected("'}'");
      if (times.first > times.second) throw Complaint{begin, "the numbers of repetitions are out of order"};
    } else {
      return std::nullopt;
    }
    Space(over_lines);
    return times;
  }

  void CheckLeftRecursion() {
    const std::size_t count = out_.grammar.size();
    // Depth first along what may come first.
    enum class State : std::uint8_t { kNew, kOpen, kDone };
    std::vector<State> states(count, State::kNew);
    std::vector<std::vector<RuleId>> leftmost = LeftmostRules(out_.grammar);
    for (RuleId start = 0; start < count; ++start) {
      std::vector<RuleId> path{start};
      while (!path.empty()) {
        const RuleId id = path.back();
        states[id] = states[id] == State::kNew ? State::kOpen : states[id];
        if (states[id] == State::kDone || leftmost[id].empty()) {
          states[id] = State::kDone;
          path.pop_back();
          continue;
        }
        const RuleId next = leftmost[id].back();
        leftmost[id].pop_back();
        if (states[next] == State::kOpen) {
          const std::string& name = out_.grammar.rule(next).name;
          throw Complaint{defined_.at(name), fmt::format("the rule '{}' can begin with itself (left recursion)", name)};
        }
        if (states[next] == State::kNew) path.push_back(next);
      }
    }
  }

  const std::vector<std::uint32_t> text_;
  std::size_t at_ = 0;
  ParsedGbnf out_;
  std::map<std::string, std::size_t, std::less<>> defined_;
  std::map<std::string, std::size_t, std::less<>> mentioned_;
};

}  // namespace

std::expected<ParsedGbnf, std::string> ParseGbnf(std::string_view gbnf) {
  const StepBudget budget;
  Parser parser(gbnf);
  try {
    return parser.Run();
  } catch (const Complaint& complaint) {
    return std::unexpected(parser.Place(complaint.at) + complaint.what);
  } catch (const TooLarge& e) {
    return std::unexpected(fmt::format("line 1, column 1: {}", e.what()));
  }
}

}  // namespace allod::inference::schema
