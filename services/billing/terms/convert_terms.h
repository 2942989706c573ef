// Protocol messages of price terms to domain values and back.
#pragma once

#include <optional>
#include <string>

#include "allod/billing/v1/price_terms.pb.h"
#include "services/billing/terms/terms.h"

namespace allod::billing::terms {

// Checked, but for what the account's currency decides (CheckTerms).
Result<Terms> FromProto(const ::allod::billing::v1::AgreedTerms& terms, Time now);
Result<RequestId> RequestIdOf(const ::allod::billing::v1::SetPriceTermsRequest& request, const Terms& terms);
::allod::billing::v1::AgreedTerms ToProto(const Terms& terms);

struct TermsName {
  TenantId tenant;
  std::optional<std::int32_t> version;  // none: `current`
};
Result<TermsName> ParseTermsName(std::string_view field, const std::string& name);

}  // namespace allod::billing::terms
