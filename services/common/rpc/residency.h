// Proto <-> value of where a tenant's data may be. Pure.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "allod/residency/v1/residency.pb.h"
#include "services/common/residency.h"

namespace allod {

using ResidencyRuleMessages = google::protobuf::RepeatedPtrField<residency::v1::ResidencyRule>;

// INVALID_ARGUMENT / INVALID_RESIDENCY_RULE for a class that is none or stands there twice.
Result<ClassResidency> RulesFrom(const ResidencyRuleMessages& rules);
void FillRules(const ClassResidency& rules, ResidencyRuleMessages& out);

// With the same errors.
Result<ResidencyRules> ResidencyFrom(const residency::v1::ResidencyRules& rules);
residency::v1::ResidencyRules ToProto(const ResidencyRules& rules);

}  // namespace allod
