#include "services/common/residency.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "services/common/country_code.h"

namespace allod {
namespace {

constexpr std::array<std::string_view, kDataClasses.size()> kWords{
    "WEIGHTS", "KV_CACHE", "PROMPTS", "LOGS", "USAGE", "INVOICES", "ADAPTERS", "DATASETS", "BACKUPS"};

Result<Jurisdictions> ValidJurisdictions(std::string_view field, Jurisdictions jurisdictions) {
  for (std::size_t i = 0; i < jurisdictions.size(); ++i) {
    ALLOD_CHECK_OK(CheckCountryCode(fmt::format("{}[{}]", field, i), jurisdictions[i]));
  }
  std::ranges::sort(jurisdictions);
  if (const auto twice = std::ranges::adjacent_find(jurisdictions); twice != jurisdictions.end()) {
    return InvalidArgument("DUPLICATE_COUNTRY", fmt::format("{}: '{}' stands there twice", field, *twice));
  }
  return jurisdictions;
}

}  // namespace

std::string_view WordOf(DataClass data_class) {
  const auto at = std::ranges::find(kDataClasses, data_class);
  return at == kDataClasses.end() ? "" : kWords[static_cast<std::size_t>(at - kDataClasses.begin())];
}

std::optional<DataClass> DataClassOf(std::string_view word) {
  const auto at = std::ranges::find(kWords, word);
  if (at == kWords.end()) return std::nullopt;
  return kDataClasses[static_cast<std::size_t>(at - kWords.begin())];
}

const Jurisdictions& ResidencyRules::Of(DataClass data_class) const {
  const auto own = of_class.find(data_class);
  return own == of_class.end() ? jurisdictions : own->second;
}

std::string WhyOutside(const ResidencyRules& rules, DataClass data_class, std::string_view jurisdiction) {
  const Jurisdictions& allowed = rules.Of(data_class);
  if (!jurisdiction.empty() && std::ranges::find(allowed, jurisdiction) != allowed.end()) return "";
  if (rules.of_class.contains(data_class)) {
    return fmt::format("outside the tenant's residency rule for {} ({})", WordOf(data_class), fmt::join(allowed, ", "));
  }
  return fmt::format("outside the tenant's residency ({}), which holds for {}", fmt::join(allowed, ", "),
                     WordOf(data_class));
}

std::string WhyOutside(const ResidencyRules& rules, std::span<const DataClass> data_classes,
                       std::string_view jurisdiction) {
  for (const DataClass data_class : data_classes) {
    std::string why = WhyOutside(rules, data_class, jurisdiction);
    if (!why.empty()) return why;
  }
  return "";
}

Result<ResidencyRules> ValidResidency(std::string_view field, ResidencyRules rules) {
  if (rules.jurisdictions.empty()) {
    return InvalidArgument(
        "RESIDENCY_REQUIRED",
        fmt::format("{}: name at least one country in which the tenant's data may be processed", field));
  }
  ALLOD_TRY(rules.jurisdictions, ValidJurisdictions(field, std::move(rules.jurisdictions)));
  for (auto& [data_class, jurisdictions] : rules.of_class) {
    const std::string of_class = fmt::format("{}_rules[{}].jurisdictions", field, WordOf(data_class));
    if (jurisdictions.empty()) {
      return InvalidArgument("INVALID_RESIDENCY_RULE",
                             of_class + ": name at least one country, or leave the rule out, so that residency holds");
    }
    ALLOD_TRY(jurisdictions, ValidJurisdictions(of_class, std::move(jurisdictions)));
  }
  return rules;
}

std::vector<std::string> RuleWords(const ClassResidency& rules) {
  std::vector<std::string> out;
  for (const auto& [data_class, jurisdictions] : rules) {
    out.push_back(fmt::format("{}={}", WordOf(data_class), fmt::join(jurisdictions, "+")));
  }
  return out;
}

std::optional<ClassResidency> RulesFromWords(std::span<const std::string> words) {
  ClassResidency out;
  for (const std::string& word : words) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) return std::nullopt;
    const auto data_class = DataClassOf(std::string_view(word).substr(0, equals));
    if (!data_class || out.contains(*data_class)) return std::nullopt;
    Jurisdictions& jurisdictions = out[*data_class];
    for (std::size_t begin = equals + 1; begin < word.size();) {
      const std::size_t end = std::min(word.find('+', begin), word.size());
      jurisdictions.push_back(word.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return out;
}

}  // namespace allod
