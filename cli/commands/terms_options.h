// The clauses of price terms as they are typed. Pure.
#pragma once

#include <string>
#include <vector>

#include "allod/billing/v1/price_terms.pb.h"
#include "services/common/result.h"

namespace allod::cli::commands {

struct TermsOptions {
  std::string tenant;
  std::string version = "current";
  std::string start = "current";
  std::vector<std::string> free_tokens;  // [MODEL=]TOKENS
  std::vector<std::string> tiers;        // [MODEL=]FROM:PERCENT
  std::vector<std::string> discounts;    // [MODEL=]PERCENT
  std::string free_amount;
  std::string commitment;                  // AMOUNT:MONTHS[:PERCENT]
  std::vector<std::string> service_level;  // BELOW:PERCENT
  std::string note;
  bool dry_run = false;
  std::string request_id;
};

// Of the tenant with that name. INVALID_ARGUMENT / INVALID_TERMS names the option.
Result<billing::v1::AgreedTerms> TermsFrom(const TermsOptions& options, const std::string& tenant_name);
// Clauses of one version, each in a line.
std::string ShowTerms(const billing::v1::AgreedTerms& terms);

}  // namespace allod::cli::commands
