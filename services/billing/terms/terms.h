// Price terms of a tenant: what was agreed with it beside the prices of price books. docs/pricing.md has the rules and
// an example.
//
// They come in versions, which never change; a month has the newest version that begins with it or before. Holds and
// posted usage stay at the pinned list price: terms are applied when a month is invoiced (adjust.h), and as an estimate
// in its draft.
//
// Pure: no I/O, no clock, no proto, no SQL.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/billing/domain.h"
#include "services/common/request_id.h"

namespace allod::billing::terms {

inline constexpr std::size_t kClausesMax = 20;  // of each kind
inline constexpr std::size_t kTiersMax = 10;
inline constexpr std::int32_t kBasisPointsMax = 10'000;
inline constexpr std::int32_t kCommitmentMonthsMax = 60;
inline constexpr std::int64_t kTokensPerMonthMax = 1'000'000'000'000'000;
inline constexpr std::int32_t kVersionsMax = 1'000;
inline constexpr std::size_t kNoteMax = 400;

// A clause of a model (`models/{model}`) counts for what that model used; one without, for all models that have none of
// their own of its kind.
struct FreeTokens {
  std::string model;
  std::int64_t tokens = 0;  // of a month, prompt and completion together

  bool operator==(const FreeTokens&) const = default;
};

struct Tier {
  std::int64_t from_tokens = 0;   // of a month; what is below it is not touched
  std::int32_t basis_points = 0;  // off the list price of what is above
  bool operator==(const Tier&) const = default;
};
struct VolumeTiers {
  std::string model;
  std::vector<Tier> tiers;  // ascending in both

  bool operator==(const VolumeTiers&) const = default;
};

struct Discount {
  std::string model;
  std::int32_t basis_points = 0;

  bool operator==(const Discount&) const = default;
};

struct Commitment {
  Amount monthly;                 // at least so much is invoiced for each month, without tax
  std::int32_t months = 0;        // from the version's start
  std::int32_t basis_points = 0;  // off in return; 0 to kBasisPointsMax

  bool operator==(const Commitment&) const = default;
};

// Where the availability of an instance in a month was below, so much of its amount is given back (corrections/). The
// lowest step that it was below counts.
struct ServiceLevelStep {
  std::int32_t below = 0;   // hundredths of a percent
  std::int32_t credit = 0;  // likewise, of the instance's amount

  bool operator==(const ServiceLevelStep&) const = default;
};

struct Terms {
  TenantId tenant;
  std::string tenant_name;
  std::int32_t version = 0;  // from 1
  Time start_month;
  std::vector<FreeTokens> free_tokens;  // by model, as the next two
  std::vector<VolumeTiers> tiers;
  std::vector<Discount> discounts;
  std::optional<Amount> free_amount;  // of a month
  std::optional<Commitment> commitment;
  std::vector<ServiceLevelStep> service_level;  // descending
  std::string note;                             // what was agreed where; may be empty
  Time create_time;
};

// What was agreed, whatever its version and time.
bool SameContent(const Terms& a, const Terms& b);
// Whether the month is one of the commitment's.
bool IsCommitted(const Terms& terms, Time month);

// Sorts the clauses and checks them; amounts have no more than `decimals`. INVALID_ARGUMENT with the field:
// INVALID_TERMS, DUPLICATE_CLAUSE, INVALID_NAME, INVALID_TEXT.
Result<Terms> CheckTerms(Terms terms, int decimals);

struct SetState {
  std::optional<BillingAccount> account;
  std::optional<Terms> latest;
  std::optional<Time> last_invoiced;  // month of the newest invoice
};
// The new version, of terms that passed CheckTerms; nothing if the latest say the same. FAILED_PRECONDITION /
// NO_BILLING_ACCOUNT; TERMS_MONTH_INVOICED: their first month has an invoice; TERMS_OUT_OF_ORDER: they begin before the
// latest, or more than a month before now or a year after; COMMITMENT_RUNS: they drop a commitment that is not over;
// TOO_MANY_TERMS.
Result<std::optional<Terms>> DecideSet(const SetState& state, const Terms& wanted, Time now);

// Of versions in their order: the one that the month has.
const Terms* TermsOf(const std::vector<Terms>& versions, Time month);

}  // namespace allod::billing::terms
