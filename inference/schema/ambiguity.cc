#include "inference/schema/ambiguity.h"

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

constexpr std::uint64_t kTooMany = kWalkMax + 1;
constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
// llama.cpp's MAX_REPETITION_THRESHOLD.
constexpr std::uint64_t kLlamaRepetitionsMax = 2000;
constexpr int kLlamaGroupDepthMax = 32;

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
    if (depth > kLlamaGroupDepthMax)
      throw Refusal{at_, fmt::format("groups are nested deeper than {}", kLlamaGroupDepthMax)};
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
        if (weight > kLlamaRepetitionsMax) {
          throw Refusal{begin, fmt::format("repetitions of what is repeated, or of groups, come to more than {}",
                                           kLlamaRepetitionsMax)};
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
    if (count > kLlamaRepetitionsMax)
      throw Refusal{begin, fmt::format("more than {} repetitions", kLlamaRepetitionsMax)};
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

bool IsEnd(const LlamaElement& element) { return element.kind == Kind::kEnd || element.kind == Kind::kAlternative; }

// What one visit to a rule does.
struct Visit {
  std::uint64_t looks = 0;           // at elements, in both passes
  std::vector<std::uint32_t> rules;  // that are visited from there, each as often as it is
};

std::vector<Visit> VisitsOf(const std::vector<LlamaRule>& rules) {
  std::vector<Visit> out(rules.size());
  std::vector<bool> is_empty(rules.size());
  // The first pass ends at an alternative of nothing.
  for (std::size_t id = 0; id < rules.size(); ++id) {
    bool at_start = true;
    for (const LlamaElement& element : rules[id].elements) {
      ++out[id].looks;
      is_empty[id] = IsEnd(element) && at_start;
      if (is_empty[id]) break;
      at_start = IsEnd(element);
    }
  }
  // The second goes on behind a rule only after it was visited, so that it is known by then whether that one is empty.
  for (std::size_t id = 0; id < rules.size(); ++id) {
    out[id].looks += rules[id].elements.size();
    bool is_leftmost = true;
    for (const LlamaElement& element : rules[id].elements) {
      const bool is_visited = element.kind == Kind::kRule && is_leftmost;
      if (is_visited) out[id].rules.push_back(element.rule);
      is_leftmost = is_visited ? static_cast<bool>(is_empty[element.rule]) : IsEnd(element);
    }
  }
  return out;
}

// Of a visit to each rule, with all the visits from there.
std::vector<std::uint64_t> WalksOf(const std::vector<Visit>& visits) {
  std::vector<std::uint64_t> out(visits.size());  // 0: not known yet
  std::vector<bool> is_open(visits.size());
  for (std::uint32_t start = 0; start < visits.size(); ++start) {
    std::vector<std::uint32_t> path{start};
    while (!path.empty()) {
      const std::uint32_t id = path.back();
      if (out[id] > 0) {
        path.pop_back();
        continue;
      }
      if (!is_open[id]) {
        is_open[id] = true;
        for (const std::uint32_t next : visits[id].rules) {
          if (out[next] == 0 && !is_open[next]) path.push_back(next);
        }
        continue;
      }
      // All that are visited from here are known, but those that this one is visited from.
      std::uint64_t walk = std::min(kTooMany, visits[id].looks);
      for (const std::uint32_t next : visits[id].rules)
        walk = std::min(kTooMany, walk + (out[next] > 0 ? out[next] : kTooMany));
      out[id] = walk;
      path.pop_back();
    }
  }
  return out;
}

// llama.cpp starts at each rule in turn that no earlier start has led to.
std::uint64_t TotalOf(const std::vector<Visit>& visits, const std::vector<std::uint64_t>& walks) {
  std::uint64_t total = 0;
  std::vector<bool> is_visited(visits.size());
  for (std::uint32_t start = 0; start < visits.size(); ++start) {
    if (is_visited[start]) continue;
    total = std::min(kTooMany, total + walks[start]);
    std::vector<std::uint32_t> open{start};
    while (!open.empty()) {
      const std::uint32_t id = open.back();
      open.pop_back();
      if (is_visited[id]) continue;
      is_visited[id] = true;
      open.insert(open.end(), visits[id].rules.begin(), visits[id].rules.end());
    }
  }
  return total;
}

}  // namespace

std::expected<std::vector<LlamaRule>, std::string> LlamaRulesOf(std::string_view gbnf) {
  LlamaParser parser(gbnf);
  try {
    return parser.Run();
  } catch (const Refusal& complaint) {
    return std::unexpected(parser.Place(complaint.at) + complaint.what);
  }
}

std::uint64_t WalkOf(const std::vector<LlamaRule>& rules) {
  const std::vector<Visit> visits = VisitsOf(rules);
  return TotalOf(visits, WalksOf(visits));
}

std::string WhyTooAmbiguous(std::string_view gbnf) {
  const auto rules = LlamaRulesOf(gbnf);
  if (!rules) return rules.error();
  const std::vector<Visit> visits = VisitsOf(*rules);
  const std::vector<std::uint64_t> walks = WalksOf(visits);
  if (TotalOf(visits, walks) <= kWalkMax) return "";
  // The innermost that is too many by itself, else the one with most.
  std::size_t worst = 0;
  for (std::size_t id = 0; id < walks.size(); ++id) {
    const bool is_inner =
        walks[id] == kTooMany && walks[worst] == kTooMany &&
        std::ranges::none_of(visits[id].rules, [&](std::uint32_t next) { return walks[next] == kTooMany; });
    if (walks[id] > walks[worst] || is_inner) worst = id;
  }
  return fmt::format(
      "its rules can begin in so many ways that more than {} of their parts would have to be looked at; make the rule "
      "'{}' less ambiguous, or what it begins with shorter",
      kWalkMax, (*rules)[worst].name);
}

}  // namespace allod::inference::schema
