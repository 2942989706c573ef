#include "services/common/rpc/residency.h"

#include <fmt/format.h>

namespace allod {
namespace {

static_assert(static_cast<int>(DataClass::kWeights) == residency::v1::DATA_CLASS_WEIGHTS);
static_assert(static_cast<int>(DataClass::kBackups) == residency::v1::DATA_CLASS_BACKUPS);
static_assert(residency::v1::DataClass_ARRAYSIZE == static_cast<int>(kDataClasses.size()) + 1);

}  // namespace

Result<ClassResidency> RulesFrom(const ResidencyRuleMessages& rules) {
  ClassResidency out;
  for (const residency::v1::ResidencyRule& rule : rules) {
    const auto data_class = static_cast<DataClass>(rule.data_class());
    const std::string_view word = WordOf(data_class);
    if (word.empty()) {
      return InvalidArgument("INVALID_RESIDENCY_RULE", fmt::format("residency_rules: {} is no class of data",
                                                                   static_cast<int>(rule.data_class())));
    }
    const Jurisdictions jurisdictions(rule.jurisdictions().begin(), rule.jurisdictions().end());
    if (!out.emplace(data_class, jurisdictions).second) {
      return InvalidArgument("INVALID_RESIDENCY_RULE", fmt::format("residency_rules: {} stands there twice", word));
    }
  }
  return out;
}

void FillRules(const ClassResidency& rules, ResidencyRuleMessages& out) {
  for (const auto& [data_class, jurisdictions] : rules) {
    residency::v1::ResidencyRule& rule = *out.Add();
    rule.set_data_class(static_cast<residency::v1::DataClass>(data_class));
    rule.mutable_jurisdictions()->Assign(jurisdictions.begin(), jurisdictions.end());
  }
}

Result<ResidencyRules> ResidencyFrom(const residency::v1::ResidencyRules& rules) {
  ALLOD_TRY(ClassResidency of_class, RulesFrom(rules.rules()));
  return ResidencyRules({rules.jurisdictions().begin(), rules.jurisdictions().end()}, std::move(of_class));
}

residency::v1::ResidencyRules ToProto(const ResidencyRules& rules) {
  residency::v1::ResidencyRules out;
  out.mutable_jurisdictions()->Assign(rules.jurisdictions.begin(), rules.jurisdictions.end());
  FillRules(rules.of_class, *out.mutable_rules());
  return out;
}

}  // namespace allod
