// Proto <-> value of where a tenant's data may be. Pure.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <utility>

#include "allod/residency/v1/residency.pb.h"
#include "services/common/residency.h"

namespace allod {

using ResidencyRuleMessages = google::protobuf::RepeatedPtrField<residency::v1::ResidencyRule>;

// INVALID_ARGUMENT / INVALID_RESIDENCY_RULE for a class that is none or stands there twice.
Result<ClassResidency> RulesFrom(const ResidencyRuleMessages& rules);
void FillRules(const ClassResidency& rules, ResidencyRuleMessages& out);

// Of a message with `residency` and `residency_rules`, a tenant. With the same errors.
template <typename Message>
Result<ResidencyRules> ResidencyOf(const Message& message) {
  ALLOD_TRY(ClassResidency rules, RulesFrom(message.residency_rules()));
  return ResidencyRules({message.residency().begin(), message.residency().end()}, std::move(rules));
}

// With the same errors.
Result<ResidencyRules> ResidencyFrom(const residency::v1::ResidencyRules& rules);
residency::v1::ResidencyRules ToProto(const ResidencyRules& rules);

}  // namespace allod
