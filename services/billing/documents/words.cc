#include "services/billing/documents/words.h"

#include <fmt/format.h>

#include <cstdlib>
#include <string>

#include "services/billing/documents/languages.h"

namespace allod::billing::documents {

std::string_view WordOf(ChargeKind kind, const Words& words) {
  switch (kind) {
    case ChargeKind::kInstanceTime:
      return words.instance_time;
    case ChargeKind::kFreeAllowance:
      return words.free_allowance;
    case ChargeKind::kVolumeTier:
      return words.volume_tier;
    case ChargeKind::kDiscount:
      return words.discount;
    case ChargeKind::kCommitmentShortfall:
      return words.commitment_shortfall;
    case ChargeKind::kRerating:
      return words.rerating;
  }
  std::abort();
}

Result<const Words*> WordsIn(std::string_view language) {
  if (language.empty()) language = "en";
  std::string known;
  for (const Words& words : Languages()) {
    if (words.language == language) return &words;
    known += (known.empty() ? "" : ", ") + std::string(words.language);
  }
  return InvalidArgument("UNKNOWN_LANGUAGE",
                         fmt::format("language_code: '{}' is none of {}", language.substr(0, 32), known));
}

std::string_view WordOf(TaxCategory category, const Words& words) {
  switch (category) {
    case TaxCategory::kStandard:
      return words.standard;
    case TaxCategory::kZeroRated:
      return words.zero_rated;
    case TaxCategory::kExempt:
      return words.exempt;
    case TaxCategory::kReverseCharge:
      return words.reverse_charge;
    case TaxCategory::kExport:
      return words.exported;
    case TaxCategory::kOutOfScope:
      return words.out_of_scope;
  }
  std::abort();
}

}  // namespace allod::billing::documents
