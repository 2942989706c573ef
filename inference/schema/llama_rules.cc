#include "inference/schema/llama_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <utility>

namespace allod::inference::schema {
namespace {

using Kind = LlamaElement::Kind;
using Elements = std::vector<LlamaElement>;

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

struct Refusal {
  std::size_t at = 0;  // a byte
  std::string what;
};

bool IsDigitByte(char c) { return c >= '0' && c <= '9'; }
bool IsNameByte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || IsDigitByte(c); }
bool IsHexDigit(char c) { return IsDigitByte(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// llama_grammar_parser, but for what the elements match.
class LlamaParser {
 public:
  explicit LlamaParser(std::string_view text) : text_(text.substr(0, text.find('\0'))) {}

  std::vector<LlamaRule> Run() {
    Space(true);
    while (!AtEnd()) ReadRule();
    for (const auto& [name, symbol] : symbols_) {
      if (rules_.size() <= symbol.rule || rules_[symbol.rule].elements.empty())
        throw Refusal{symbol.at, fmt::format("the rule '{}' is not defined", name)};
    }
    return std::move(rules_);
  }

  std::string Place(std::size_t at) const {
    const std::string_view before = text_.substr(0, at);
    const std::size_t line = before.rfind('\n') + 1;  // 0 where there is none
    const auto begins_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    return fmt::format("line {}, column {}: ", std::ranges::count(before, '\n') + 1,
                       std::ranges::count_if(before.substr(line), begins_character) + 1);
  }

 private:
  struct Symbol {
    std::uint32_t rule = 0;
    std::size_t at = 0;  // where it is mentioned first
  };

  bool AtEnd() const { return at_ >= text_.size(); }
  char Peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  bool Take(char c) { return Peek() == c && !AtEnd() && ++at_ > 0; }

  [[noreturn]] void Expected(std::string_view what) const { throw Refusal{at_, fmt::format("expected {}", what)}; }

  void Space(bool over_lines) {
    while (!AtEnd()) {
      if (Peek() == '#') {
        while (!AtEnd() && Peek() != '\n' && Peek() != '\r') ++at_;
      } else if (Peek() == ' ' || Peek() == '\t' || (over_lines && (Peek() == '\n' || Peek() == '\r'))) {
        ++at_;
      } else {
        return;
      }
    }
  }

  std::string Name() {
    const std::size_t begin = at_;
    while (IsNameByte(Peek())) ++at_;
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::size_t Digits() {
    const std::size_t begin = at_;
    while (IsDigitByte(Peek())) ++at_;
    if (at_ == begin) Expected("a number");
    return at_ - begin;
  }

  // Rules made for groups and repetitions have numbers of the same row.
  std::uint32_t NextRule() {
    if (rule_count_ >= kLlamaRulesMax)
      throw Refusal{at_, fmt::format("groups and repetitions would make more than {} rules", kLlamaRulesMax)};
    return rule_count_++;
  }

  std::uint32_t Mention(const std::string& name, std::size_t at) {
    const auto found = symbols_.find(name);
    if (found != symbols_.end()) return found->second.rule;
    const std::uint32_t rule = NextRule();
    symbols_[name] = {rule, at};
    return rule;
  }

  void Keep(std::uint32_t id, const std::string& name, Elements elements) {
    if (rules_.size() <= id) rules_.resize(id + 1);
    rules_[id] = {name, std::move(elements)};
  }

  void Count(std::size_t elements) {
    element_count_ += elements;
    if (element_count_ > kLlamaElementsMax) {
      throw Refusal{at_, fmt::format("with its repetitions written out the grammar would have more than {} "
                                     "characters, classes and mentions of rules",
                                     kLlamaElementsMax)};
    }
  }

  void Push(Elements& elements, Kind kind, std::uint32_t rule = 0) {
    Count(1);
    elements.push_back({kind, rule});
  }

  void ReadRule() {
    const std::size_t begin = at_;
    const std::string name = Name();
    if (name.empty()) Expected("the name of a rule");
    Space(false);
    const std::uint32_t rule = Mention(name, begin);
    if (!Take(':') || !Take(':') || !Take('=')) Expected("'::='");
    Space(true);
    ReadAlternatives(rule, name, 0);
    if (!AtEnd() && Peek() != '\n' && Peek() != '\r') Expected("a new line or the end of the grammar");
    Space(true);
  }

  void ReadAlternatives(std::uint32_t rule, const std::string& name, int depth) {
    if (depth > kGroupDepthMax) throw Refusal{at_, fmt::format("groups are nested deeper than {}", kGroupDepthMax)};
    Elements elements;
    ReadSequence(elements, name, depth);
    while (Take('|')) {
      Push(elements, Kind::kAlternative);
      Space(true);
      ReadSequence(elements, name, depth);
    }
    Push(elements, Kind::kEnd);
    Keep(rule, name, std::move(elements));
  }

  void ReadSequence(Elements& elements, const std::string& name, int depth) {
    std::size_t last = elements.size();  // where the symbol begins that a repetition is of
    std::uint64_t weight = 1;            // the rules that llama.cpp takes it for
    while (!AtEnd()) {
      const std::size_t begin = at_;
      if (const auto times = ReadTimes(depth > 0)) {
        if (last == elements.size()) throw Refusal{begin, "there is nothing to repeat"};
        const auto [low, high] = *times;
        weight *= std::max<std::uint64_t>(1, high != kUnlimited ? high : low);
        if (weight > kRepetitionsMax) {
          throw Refusal{begin, fmt::format("repetitions of what is repeated, or of groups, come to more than {}",
                                           kRepetitionsMax)};
        }
        Repeat(elements, last, name, low, high);
        continue;
      }
      const std::size_t before = elements.size();
      const std::uint32_t rules_before = rule_count_;
      if (!ReadSymbol(elements, name, depth)) return;
      last = before;
      const bool is_group = text_[begin] == '(';
      weight = is_group ? std::max<std::uint64_t>(1, rule_count_ - rules_before) : 1;
      Space(depth > 0);
    }
  }

  void Repeat(Elements& elements, std::size_t last, const std::string& name, std::uint64_t low, std::uint64_t high) {
    const Elements symbol(elements.begin() + static_cast<std::ptrdiff_t>(last), elements.end());
    if (low == 0) elements.resize(last);
    for (std::uint64_t i = 1; i < low; ++i) {
      Count(symbol.size());
      elements.insert(elements.end(), symbol.begin(), symbol.end());
    }
    // A rule for each further time: the symbol and the rule of one time less, or nothing.
    std::optional<std::uint32_t> less;
    for (std::uint64_t i = 0; i < (high == kUnlimited ? 1 : high - low); ++i) {
      const std::uint32_t rule = NextRule();
      if (high == kUnlimited) less = rule;
      Count(symbol.size());
      Elements more = symbol;
      if (less) Push(more, Kind::kRule, *less);
      Push(more, Kind::kAlternative);
      Push(more, Kind::kEnd);
      Keep(rule, name, std::move(more));
      less = rule;
    }
    if (less) Push(elements, Kind::kRule, *less);
  }

  bool ReadSymbol(Elements& elements, const std::string& name, int depth) {
    const std::size_t begin = at_;
    if (Take('"')) {
      while (!Take('"')) {
        ReadCharacter(begin);
        Push(elements, Kind::kOther);
      }
    } else if (Take('[')) {
      ReadClass(elements, begin);
    } else if (Peek() == '<' || Peek() == '!') {
      ReadToken(begin);
      Push(elements, Kind::kOther);
    } else if (Take('.')) {
      Push(elements, Kind::kOther);
    } else if (Take('(')) {
      Space(true);
      const std::uint32_t group = NextRule();
      ReadAlternatives(group, name, depth + 1);
      if (!Take(')')) Expected("')'");
      Push(elements, Kind::kRule, group);
    } else if (IsNameByte(Peek())) {
      Push(elements, Kind::kRule, Mention(Name(), begin));
    } else {
      return false;
    }
    return true;
  }

  void ReadClass(Elements& elements, std::size_t begin) {
    Take('^');
    const std::size_t first = elements.size();
    while (!Take(']')) {
      ReadCharacter(begin);
      Push(elements, Kind::kOther);
      if (Peek() == '-' && Peek(1) != ']') {
        ++at_;
        ReadCharacter(begin);
        Push(elements, Kind::kOther);
      }
    }
    // llama.cpp would take it for nothing at all.
    if (elements.size() == first) throw Refusal{begin, "an empty class matches nothing"};
    if (elements.size() - first > kLlamaClassMax)
      throw Refusal{begin, fmt::format("the class has more than {} characters and ends of ranges", kLlamaClassMax)};
  }

  void ReadCharacter(std::size_t begin) {
    if (AtEnd()) throw Refusal{begin, "it has no end"};
    if (Peek() == '\\') {
      const char kind = Peek(1);
      const int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
      if (digits == 0 && std::string_view("trn\\\"[]-").find(kind) == std::string_view::npos)
        throw Refusal{at_, "unknown escape"};
      at_ += 2;
      for (int i = 0; i < digits; ++i) {
        if (!IsHexDigit(Peek())) Expected("a hexadecimal digit");
        ++at_;
      }
      return;
    }
    // As many bytes as the first one says, whatever they are.
    const auto lead = static_cast<unsigned char>(Peek());
    const std::size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    at_ = std::min(at_ + length, text_.size());
  }

  void ReadToken(std::size_t begin) {
    Take('!');
    if (!Take('<')) Expected("'<'");
    if (Take('[')) {
      Digits();
      if (!Take(']') || !Take('>')) Expected("']>' after the number of a token");
      return;
    }
    while (!AtEnd() && Peek() != '>') ++at_;
    if (!Take('>')) throw Refusal{begin, "the token has no closing '>'"};
    if (at_ - begin > kTokenBytesMax)
      throw Refusal{begin, fmt::format("the token has more than {} bytes", kTokenBytesMax)};
  }

  std::uint64_t ReadCount() {
    const std::size_t begin = at_;
    constexpr std::size_t kDigitsMax = 18;
    const std::size_t digits = Digits();
    std::uint64_t count = digits > kDigitsMax ? kUnlimited : 0;
    for (std::size_t i = 0; i < digits && digits <= kDigitsMax; ++i)
      count = count * 10 + static_cast<std::uint64_t>(text_[begin + i] - '0');
    if (count > kRepetitionsMax) throw Refusal{begin, fmt::format("more than {} repetitions", kRepetitionsMax)};
    return count;
  }

  std::optional<std::pair<std::uint64_t, std::uint64_t>> ReadTimes(bool over_lines) {
    const std::size_t begin = at_;
    std::pair<std::uint64_t, std::uint64_t> times{0, kUnlimited};
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
        times.second = IsDigitByte(Peek()) ? ReadCount() : kUnlimited;
        Space(over_lines);
      }
      if (!Take('}')) Expected("'}'");
      // llama.cpp would count on from there, through all numbers.
      if (times.first > times.second) throw Refusal{begin, "the numbers of repetitions are out of order"};
    } else {
      return std::nullopt;
    }
    Space(over_lines);
    return times;
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  std::map<std::string, Symbol, std::less<>> symbols_;
  std::uint32_t rule_count_ = 0;
  std::size_t element_count_ = 0;
  std::vector<LlamaRule> rules_;
};

}  // namespace

std::expected<std::vector<LlamaRule>, std::string> LlamaRulesOf(std::string_view gbnf) {
  LlamaParser parser(gbnf);
  try {
    return parser.Run();
  } catch (const Refusal& complaint) {
    return std::unexpected(parser.Place(complaint.at) + complaint.what);
  }
}

}  // namespace allod::inference::schema
