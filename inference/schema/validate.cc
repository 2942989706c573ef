// Whether a value satisfies a schema: for the values of `enum` and `const`, which must satisfy what stands beside them.
#include <algorithm>

#include "inference/schema/document.h"
#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

// To write a number down takes as long as so many other steps.
constexpr std::uint64_t kStepsOfNumber = 16;

bool AllowsNumber(const NumberLimits& limits, const Json& value) {
  StepBudget::Spend(kStepsOfNumber);
  const auto number = Decimal::Parse(value.dump());
  if (!number) return false;
  const auto keeps_low = [&](const Bound& bound) {
    return bound.is_exclusive ? *number > bound.value : *number >= bound.value;
  };
  const auto keeps_high = [&](const Bound& bound) {
    return bound.is_exclusive ? *number < bound.value : *number <= bound.value;
  };
  const auto is_multiple = [&](std::uint64_t divisor) {
    if (!number->is_integer()) return false;
    std::uint64_t remainder = 0;
    for (const char digit : number->integer)
      remainder = (remainder * 10 + static_cast<std::uint64_t>(digit - '0')) % divisor;
    return remainder == 0;
  };
  return std::ranges::all_of(limits.low, keeps_low) && std::ranges::all_of(limits.high, keeps_high) &&
         std::ranges::all_of(limits.multiple_of, is_multiple);
}

bool AllowsString(const Schema& schema, const std::string& text) {
  StepBudget::Spend(text.size());
  const std::size_t length = Decode(text).size();
  if (length < schema.length_min || length > schema.length_max) return false;
  const auto matches = [&](const auto& pattern) { return pattern->Matches(text); };
  return std::ranges::all_of(schema.patterns, matches) && (!schema.format_is_exact || schema.format->Matches(text));
}

bool AllowsArray(const Schema& schema, const Json& value) {
  if (value.size() < schema.items_min || value.size() > schema.items_max) return false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const Schema* item = i < schema.prefix_items.size() ? schema.prefix_items[i] : schema.items;
    if (item != nullptr && !Allows(*item, value[i])) return false;
  }
  return true;
}

bool AllowsObject(const Schema& schema, const Json& value) {
  const auto is_there = [&](const std::string& name) {
    StepBudget::Spend(value.size());
    return value.contains(name);
  };
  if (!std::ranges::all_of(schema.required, is_there)) return false;
  for (const auto& [name, member] : value.items()) {
    const Schema* property = schema.Property(name);
    if (property == nullptr) property = schema.additional;
    if (property != nullptr && !Allows(*property, member)) return false;
  }
  return true;
}

}  // namespace

bool AreEqual(const Json& a, const Json& b) {
  StepBudget::Spend();
  if (!a.is_structured() || !b.is_structured()) return a == b;
  return nlohmann::json(a) == nlohmann::json(b);
}

bool AllowsAlone(const Schema& schema, const Json& value) {
  StepBudget::Spend();
  if (schema.is_never || (schema.types & TypeOf(value)) == 0) return false;
  for (const std::vector<Json>& literals : schema.literals) {
    if (std::ranges::none_of(literals, [&](const Json& literal) { return AreEqual(literal, value); })) return false;
  }
  if (value.is_number()) return AllowsNumber(schema.number, value);
  if (value.is_string()) return AllowsString(schema, value.get_ref<const std::string&>());
  if (value.is_array()) return AllowsArray(schema, value);
  return !value.is_object() || AllowsObject(schema, value);
}

bool Allows(const Schema& schema, const Json& value) {
  const auto allows = [&](const Schema* other) { return Allows(*other, value); };
  return AllowsAlone(schema, value) && (schema.ref == nullptr || allows(schema.ref)) &&
         std::ranges::all_of(schema.all_of, allows) &&
         (schema.any_of.empty() || std::ranges::any_of(schema.any_of, allows)) &&
         (schema.one_of.empty() || std::ranges::count_if(schema.one_of, allows) == 1);
}

}  // namespace allod::inference::schema
