#include "inference/schema/converter.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "inference/schema/schema.h"
#include "inference/schema/steps.h"
#include "inference/schema/strings.h"

namespace allod::inference::schema {
namespace {

constexpr std::size_t kCombinationsMax = 256;
constexpr std::size_t kOneOfMax = 64;

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

// The values that a schema lists, through $ref.
const std::vector<Json>* LiteralsOf(const Schema* schema) {
  for (; schema->ref != nullptr && schema->literals.empty(); schema = schema->ref) StepBudget::Spend();
  return schema->literals.empty() ? nullptr : &schema->literals.front();
}

// Whether both require a member of which they list different values: how unions are usually told apart.
bool AreToldApart(const Schema& a, const Schema& b) {
  const auto through = [](const Schema* schema) {
    for (; schema->ref != nullptr; schema = schema->ref) StepBudget::Spend();
    return schema;
  };
  const Schema* left = through(&a);
  const Schema* right = through(&b);
  if ((left->types | right->types) != kObject) return false;
  return std::ranges::any_of(left->required, [&](const std::string& name) {
    StepBudget::Spend(right->required.size());
    const Schema* x = left->Property(name);
    const Schema* y = right->Property(name);
    if (x == nullptr || y == nullptr || std::ranges::find(right->required, name) == right->required.end()) return false;
    const auto* here = LiteralsOf(x);
    const auto* there = LiteralsOf(y);
    if (here == nullptr || there == nullptr) return false;
    return std::ranges::none_of(*here, [&](const Json& one) {
      return std::ranges::any_of(*there, [&](const Json& other) { return AreEqual(one, other); });
    });
  });
}

// Numbers without limits: with exponents of at most two digits, so that a double can hold them.
RuleId AddAnyNumber(Grammar& grammar) {
  const Symbol digit = OneOf({{'0', '9'}});
  const auto digits = [&](std::uint64_t low, std::uint64_t high) {
    return Ref(grammar.Repeat("digits", digit, low, high));
  };
  const RuleId minus = grammar.Add("minus", {{}, {Literal("-")}});
  const RuleId integer = grammar.Add("integer", {{Literal("0")}, {OneOf({{'1', '9'}}), digits(0, 17)}});
  const RuleId fraction = grammar.Add("fraction", {{}, {Literal("."), digits(1, 18)}});
  const RuleId sign = grammar.Add("sign", {{}, {OneOf({{'+', '+'}, {'-', '-'}})}});
  const RuleId exponent = grammar.Add("exponent", {{}, {OneOf({{'E', 'E'}, {'e', 'e'}}), Ref(sign), digits(1, 2)}});
  return grammar.Add("number", {{Ref(minus), Ref(integer), Ref(fraction), Ref(exponent)}});
}

}  // namespace

RuleId Converter::RuleFor(const Parts& parts) {
  const RuleId out = Wanted(parts);
  while (!open_.empty()) {
    const auto [rule, what] = std::move(open_.front());
    open_.pop_front();
    Fill(rule, what);
  }
  return out;
}

RuleId Converter::Wanted(const Parts& parts) {
  const auto found = rules_.find(parts);
  if (found != rules_.end()) return found->second;
  const RuleId rule = grammar_.Add("value");
  rules_.emplace(parts, rule);
  open_.emplace_back(rule, parts);
  return rule;
}

Symbol Converter::Space() {
  if (!space_) space_ = AddSpace(grammar_);
  return Ref(*space_);
}

void Converter::Fill(RuleId rule, const Parts& parts) {
  for (const Flat& flat : Flatten(parts)) {
    Types types = kAllTypes;
    for (const Schema* schema : flat) types &= schema->is_never ? Types{0} : schema->types;
    if (types == 0) continue;
    if (std::ranges::any_of(flat, [](const Schema* s) { return !s->literals.empty(); })) {
      AddLiterals(rule, flat);
      continue;
    }
    if ((types & kNull) != 0) grammar_.AddAlternative(rule, {Literal("null")});
    if ((types & kBoolean) != 0) {
      grammar_.AddAlternative(rule, {Literal("true")});
      grammar_.AddAlternative(rule, {Literal("false")});
    }
    if ((types & kInteger) != 0) AddNumber(rule, flat, (types & kFraction) == 0);
    if ((types & kString) != 0) AddString(rule, flat);
    if ((types & kArray) != 0) AddArray(rule, flat);
    if ((types & kObject) != 0) AddObject(rule, flat);
  }
}

std::vector<Converter::Flat> Converter::Flatten(const Parts& parts) {
  std::vector<Flat> out;
  FlattenMore({}, std::vector<Part>(parts.rbegin(), parts.rend()), out);
  return out;
}

void Converter::FlattenMore(Flat flat, std::vector<Part> open, std::vector<Flat>& out) {
  while (!open.empty()) {
    const Part part = open.back();
    open.pop_back();
    const Schema& schema = *part.schema;
    StepBudget::Spend(flat.size() + 1);
    if (std::ranges::find(flat, &schema) != flat.end()) continue;
    flat.push_back(&schema);
    for (const Schema* one : schema.all_of | std::views::reverse) open.push_back({one});
    if (schema.ref != nullptr) open.push_back({schema.ref});
    if (part.alone || (schema.any_of.empty() && schema.one_of.empty())) continue;
    if (!schema.one_of.empty() && !for_overlap_) CheckOneOf(schema);
    static const std::vector<const Schema*> kNoChoice{nullptr};
    for (const Schema* any : schema.any_of.empty() ? kNoChoice : schema.any_of) {
      for (const Schema* one : schema.one_of.empty() ? kNoChoice : schema.one_of) {
        std::vector<Part> then = open;
        if (one != nullptr) then.push_back({one});
        if (any != nullptr) then.push_back({any});
        FlattenMore(flat, std::move(then), out);
      }
    }
    return;
  }
  if (out.size() >= kCombinationsMax) {
    throw TooLarge(fmt::format("its alternatives combine in more than {} ways", kCombinationsMax));
  }
  out.push_back(std::move(flat));
}

void Converter::CheckOneOf(const Schema& schema) {
  if (!checked_.insert(&schema).second) return;
  const std::string at = schema.pointer + "/oneOf";
  if (schema.one_of.size() > kOneOfMax) throw SchemaError(at, fmt::format("it has more than {} schemas", kOneOfMax));
  for (std::size_t i = 0; i < schema.one_of.size(); ++i) {
    for (std::size_t k = i + 1; k < schema.one_of.size(); ++k) {
      const Schema* a = schema.one_of[i];
      const Schema* b = schema.one_of[k];
      if (AreToldApart(*a, *b)) continue;
      Grammar both;
      const RuleId rule = Converter(both, true).RuleFor({{&schema, true}, {a}, {b}});
      if (!both.Prune(rule)) continue;
      throw SchemaError(at,
                        fmt::format("the schemas {} and {} can both hold for one value, which oneOf forbids and is not "
                                    "enforced; tell them apart, or use anyOf",
                                    i, k));
    }
  }
}

void Converter::AddLiterals(RuleId rule, const Flat& flat) {
  const auto with = std::ranges::find_if(flat, [](const Schema* s) { return !s->literals.empty(); });
  for (const Json& value : (*with)->literals.front()) {
    if (std::ranges::all_of(flat, [&](const Schema* s) { return AllowsAlone(*s, value); })) {
      grammar_.AddAlternative(rule, {Literal(Dump(value))});
    }
  }
}

void Converter::AddNumber(RuleId rule, const Flat& flat, bool only_integers) {
  NumberLimits limits;
  std::string pointer;
  for (const Schema* schema : flat) {
    const NumberLimits& own = schema->number;
    if (!own.low.empty() || !own.high.empty() || !own.multiple_of.empty()) pointer = schema->pointer;
    limits.low.insert(limits.low.end(), own.low.begin(), own.low.end());
    limits.high.insert(limits.high.end(), own.high.begin(), own.high.end());
    limits.multiple_of.insert(limits.multiple_of.end(), own.multiple_of.begin(), own.multiple_of.end());
  }
  // Multiples of integers are integers.
  for (Sequence& form : NumberForms(limits, only_integers || !limits.multiple_of.empty(), pointer)) {
    grammar_.AddAlternative(rule, std::move(form));
  }
}

std::vector<Sequence> Converter::NumberForms(const NumberLimits& limits, bool only_integers,
                                             const std::string& pointer) {
  std::string key = only_integers ? "integer" : "number";
  for (const auto* bounds : {&limits.low, &limits.high}) {
    for (const Bound& bound : *bounds) {
      key += fmt::format(" {}{}{}.{}", bound.is_exclusive ? "<" : "<=", bound.value.is_negative ? "-" : "",
                         bound.value.integer, bound.value.fraction);
    }
    key += ';';
  }
  for (const std::uint64_t divisor : limits.multiple_of) key += fmt::format(" {}", divisor);
  const auto [at, is_new] = numbers_.try_emplace(key);
  if (!is_new) return at->second;
  if (!only_integers && limits.low.empty() && limits.high.empty()) {
    at->second = {{Ref(AddAnyNumber(grammar_))}};
    return at->second;
  }
  try {
    const auto texts = only_integers ? IntegerTexts(limits) : BoundedNumberTexts(limits);
    if (!texts)
      throw SchemaError(pointer,
                        fmt::format("the limits of its numbers cannot be enforced exactly: {}", texts.error()));
    if (texts->positive) at->second.push_back({Ref(TextOf(grammar_, *texts->positive))});
    if (texts->negative) at->second.push_back({Literal("-"), Ref(TextOf(grammar_, *texts->negative))});
  } catch (const TooLarge&) {
    throw SchemaError(pointer, "the limits of its numbers need too large a grammar");
  }
  return at->second;
}

void Converter::AddString(RuleId rule, const Flat& flat) {
  std::uint64_t low = 0;
  std::uint64_t high = kNoLimit;
  std::optional<Automaton> automaton;
  std::string pointer;
  const auto also = [&](const Schema& schema, const Automaton& other) {
    automaton = automaton ? automaton->And(other) : other;
    pointer = schema.pointer;
  };
  try {
    for (const Schema* schema : flat) {
      low = std::max(low, schema->length_min);
      high = std::min(high, schema->length_max);
      for (const auto& pattern : schema->patterns) also(*schema, *pattern);
      if (schema->format && !for_overlap_) also(*schema, *schema->format);
    }
    if (low > high) return;
    if (automaton && (low > 0 || high != kNoLimit)) automaton = automaton->WithLength(low, high);
  } catch (const TooLarge& e) {
    throw SchemaError(pointer, e.what());
  }
  if (automaton) {
    grammar_.AddAlternative(rule, {Ref(StringOf(grammar_, *automaton))});
  } else {
    grammar_.AddAlternative(rule, {Ref(StringOfLength(low, high))});
  }
}

RuleId Converter::StringOfLength(std::uint64_t low, std::uint64_t high) {
  const auto [at, is_new] = strings_.try_emplace({low, high});
  if (is_new) at->second = AnyString(grammar_, low, high);
  return at->second;
}

void Converter::AddArray(RuleId rule, const Flat& flat) {
  std::uint64_t low = 0;
  std::uint64_t high = kNoLimit;
  std::size_t prefix = 0;
  for (const Schema* schema : flat) {
    low = std::max(low, schema->items_min);
    high = std::min(high, schema->items_max);
    prefix = std::max(prefix, schema->prefix_items.size());
  }
  if (low > high) return;
  const auto item = [&](std::size_t i) {
    StepBudget::Spend(flat.size());
    Parts parts;
    for (const Schema* schema : flat) {
      const Schema* one = i < schema->prefix_items.size() ? schema->prefix_items[i] : schema->items;
      if (one != nullptr) parts.insert({one});
    }
    return Ref(Wanted(parts));
  };
  const Sequence end{Space(), Literal("]")};
  // The first items each have a rule of what may follow; the others are alike.
  const std::uint64_t first = std::max<std::uint64_t>(prefix, 1);
  RuleId rest = grammar_.Add("rest");
  if (high == kNoLimit || high > first) {
    const RuleId more = grammar_.Add("item", {{Literal(","), Space(), item(prefix)}});
    const std::uint64_t at_least = low > first ? low - first : 0;
    const RuleId items =
        grammar_.Repeat("items", Ref(more), at_least, high == kNoLimit ? Grammar::kUnlimited : high - first);
    grammar_.AddAlternative(rest, {Ref(items), Space(), Literal("]")});
  } else if (low <= first) {
    grammar_.AddAlternative(rest, end);
  }
  for (std::uint64_t i = first - 1; i > 0; --i) {
    const RuleId next = rest;
    rest = grammar_.Add("rest");
    if (i < high) grammar_.AddAlternative(rest, {Literal(","), Space(), item(i), Ref(next)});
    if (i >= low) grammar_.AddAlternative(rest, end);
  }
  if (low == 0) grammar_.AddAlternative(rule, {Literal("["), Space(), Literal("]")});
  if (high > 0) grammar_.AddAlternative(rule, {Literal("["), Space(), item(0), Ref(rest)});
}

// Any name but those that were declared.
RuleId Converter::AdditionalName(const std::vector<std::string>& declared) {
  if (declared.empty()) return StringOfLength(0, kNoLimit);
  std::vector<ExpressionPtr> names;
  for (const std::string& name : declared) names.push_back(ExactText(name));
  try {
    return StringOf(grammar_, Automaton::Of(*AnyOf(std::move(names))).Complement());
  } catch (const TooLarge&) {
    throw TooLarge(
        "the names of an object's properties are too many to be told apart from additional ones; "
        "set additionalProperties to false");
  }
}

void Converter::AddObject(RuleId rule, const Flat& flat) {
  std::vector<std::string> names;  // in the order of the answer
  std::set<std::string> known;
  std::set<std::string> required;
  Parts additional;
  bool declares = false;
  bool is_open = false;
  for (const Schema* schema : flat) {
    for (const auto& [name, property] : schema->properties) {
      if (known.insert(name).second) names.push_back(name);
    }
    required.insert(schema->required.begin(), schema->required.end());
    declares = declares || schema->declares_properties;
    if (schema->additional == nullptr) continue;
    is_open = true;
    additional.insert({schema->additional});
  }
  for (const Schema* schema : flat) {
    for (const std::string& name : schema->required) {
      if (known.insert(name).second) names.push_back(name);
    }
  }
  is_open = is_open || !declares;
  const auto value = [&](const std::string& name) {
    StepBudget::Spend(flat.size());
    Parts parts;
    for (const Schema* schema : flat) {
      const Schema* property = schema->Property(name);
      if (property == nullptr) property = schema->additional;
      if (property != nullptr) parts.insert({property});
    }
    return Ref(Wanted(parts));
  };
  // What may come at the end, and what after an earlier member.
  RuleId first = grammar_.Add("members", {{Literal("}")}});
  RuleId rest = grammar_.Add("members", {{Space(), Literal("}")}});
  if (is_open) {
    const RuleId pair =
        grammar_.Add("member", {{Ref(AdditionalName(names)), Literal(":"), Space(), Ref(Wanted(additional))}});
    grammar_.AddAlternative(rest, {Literal(","), Space(), Ref(pair), Ref(rest)});
    grammar_.AddAlternative(first, {Ref(pair), Ref(rest)});
  }
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const Symbol member = Ref(grammar_.Add("member", {{Literal(Dump(Json(*name)) + ":"), Space(), value(*name)}}));
    const RuleId then = rest;
    const RuleId without = first;
    first = grammar_.Add("members", {{member, Ref(then)}});
    rest = grammar_.Add("members", {{Literal(","), Space(), member, Ref(then)}});
    if (required.contains(*name)) continue;
    grammar_.AddAlternative(first, {Ref(without)});
    grammar_.AddAlternative(rest, {Ref(then)});
  }
  grammar_.AddAlternative(rule, {Literal("{"), Space(), Ref(first)});
}

}  // namespace allod::inference::schema
