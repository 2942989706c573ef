// Where a tenant's data may be: jurisdictions (ISO 3166-1 alpha-2, lower case) for each class of it. Whoever stores,
// places, routes or runs something of a tenant asks WhyOutside() and nothing else. Fails closed: what nobody allows is
// refused, and so is a jurisdiction that is not known. Pure.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/result.h"

namespace allod {

// As in proto/allod/residency/v1/residency.proto, which says what each of them is.
enum class DataClass {
  kWeights = 1,
  kKvCache,
  kPrompts,
  kLogs,
  kUsage,
  kInvoices,
  kAdapters,
  kDatasets,
  kBackups,
};

inline constexpr std::array kDataClasses{DataClass::kWeights,  DataClass::kKvCache,  DataClass::kPrompts,
                                         DataClass::kLogs,     DataClass::kUsage,    DataClass::kInvoices,
                                         DataClass::kAdapters, DataClass::kDatasets, DataClass::kBackups};
// What an instance is on its node.
inline constexpr std::array kClassesOnNodes{DataClass::kWeights, DataClass::kKvCache, DataClass::kPrompts};
// What is sent to a replica, and what it makes of it.
inline constexpr std::array kClassesRouted{DataClass::kKvCache, DataClass::kPrompts};
// What lies where the installation itself stands: in its database and on the disk beside it.
inline constexpr std::array kClassesAtHome{DataClass::kLogs, DataClass::kUsage, DataClass::kInvoices,
                                           DataClass::kBackups};

// "KV_CACHE".
std::string_view WordOf(DataClass data_class);
std::optional<DataClass> DataClassOf(std::string_view word);

using Jurisdictions = std::vector<std::string>;
// Of classes with a rule of their own.
using ClassResidency = std::map<DataClass, Jurisdictions>;

struct ResidencyRules {
  ResidencyRules() = default;
  // Not explicit: jurisdictions alone hold for every class.
  ResidencyRules(Jurisdictions every_class, ClassResidency rules = {})
      : jurisdictions(std::move(every_class)), of_class(std::move(rules)) {}

  Jurisdictions jurisdictions;  // of a class without a rule of its own
  ClassResidency of_class;

  const Jurisdictions& Of(DataClass data_class) const;
  bool operator==(const ResidencyRules&) const = default;
};

// Why data of this class may not be in `jurisdiction`, by which rule: "outside the tenant's residency (ke), which holds
// for USAGE" or "outside the tenant's residency rule for PROMPTS (ke, tz)"; empty if it may.
std::string WhyOutside(const ResidencyRules& rules, DataClass data_class, std::string_view jurisdiction);
// Of several classes: of the first that may not; empty if all may.
std::string WhyOutside(const ResidencyRules& rules, std::span<const DataClass> data_classes,
                       std::string_view jurisdiction);

// What somebody wrote, in order: jurisdictions sorted. INVALID_ARGUMENT / RESIDENCY_REQUIRED, UNKNOWN_COUNTRY,
// DUPLICATE_COUNTRY, INVALID_RESIDENCY_RULE. `field` is e.g. "tenant.residency"; that of the rules is "..._rules".
Result<ResidencyRules> ValidResidency(std::string_view field, ResidencyRules rules);

// A rule as one word, as rows and audit entries hold it: "PROMPTS=ke+tz".
std::vector<std::string> RuleWords(const ClassResidency& rules);
// Nothing for words that are none.
std::optional<ClassResidency> RulesFromWords(std::span<const std::string> words);

}  // namespace allod
