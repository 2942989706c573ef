// The words of a page for people, in the languages that there are.
#pragma once

#include <string_view>

#include "services/billing/charge.h"
#include "services/billing/invoice.h"
#include "services/common/result.h"

namespace allod::billing::documents {

struct Words {
  std::string_view language;   // BCP 47
  std::string_view direction;  // ltr or rtl
  std::string_view invoice, credit_note, number, issued, due, period, seller, buyer, tax_id, registration, reference,
      corrects, reason, line, description, prompt_tokens, completion_tokens, requests, tokens, price_per_million,
      amount, net, tax, payable, credited, payment, country;
  // Of sums between two pages, and "page 2 of 7" with {page} and {pages}.
  std::string_view carried_forward, brought_forward, page_of;
  // By TaxCategory.
  std::string_view standard, zero_rated, exempt, reverse_charge, exported, out_of_scope;
  // By ChargeKind.
  std::string_view instance_time, free_allowance, volume_tier, discount, commitment_shortfall, rerating;
};

std::string_view WordOf(ChargeKind kind, const Words& words);

// "" is English. INVALID_ARGUMENT / UNKNOWN_LANGUAGE names those that there are.
Result<const Words*> WordsIn(std::string_view language);
std::string_view WordOf(TaxCategory category, const Words& words);

}  // namespace allod::billing::documents
