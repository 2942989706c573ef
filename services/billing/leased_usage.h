// Settling requests that were admitted from leases, many at once. Pure; see lease.h.
//
// None is refused because its lease does not have it: it was delivered, so it is posted directly. What is refused is
// what makes no sense, and it holds up no other of its batch.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "services/billing/domain.h"
#include "services/billing/lease.h"

namespace allod::billing {

inline constexpr std::size_t kSettleBatchMax = 1000;

// One request, and how it ended. Names are well formed and lie below the tenant (convert_lease.cc sees to it).
struct LeasedUsage {
  Uuid request_id;
  Uuid lease_id;
  std::string instance;
  std::string api_key;  // may be empty
  PriceKey terms;
  // What was taken from the lease is their cost; tokens beyond are recorded and not billed.
  std::int64_t prompt_tokens_max = 0;
  std::int64_t completion_tokens_max = 0;
  Outcome outcome = Outcome::kCompleted;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::vector<SliceKey> slices{};  // that its worst case was taken from as well
};

// What a settled request takes out of a slice.
struct SliceCost {
  Uuid lease;
  SliceKey key;
  Amount cost;
};

struct SettleBatchCommand {
  TenantId tenant;
  std::vector<LeasedUsage> usage;  // at most kSettleBatchMax
};

// What the command's items ask about; what is not there is not in it.
struct SettleBatchState {
  std::optional<std::string> currency_code;  // of the account
  std::map<Uuid, UsageRecord> records;
  std::set<Uuid> reserved;  // requests that were reserved
  std::map<Uuid, Lease> leases;
  std::map<PriceKey, KeyPrice> prices;
};

// The one transfer that goes with the record of a leased request; its id is the request id.
enum class LeasedTransfer {
  kPost,       // from what remains of the lease
  kLatePost,   // the lease has ended, or is not known: directly
  kShortPost,  // the lease does not have it, which is our fault: directly
  kNone,       // nothing is to pay
};

struct LeasedDecision {
  UsageRecord record;
  LeasedTransfer transfer = LeasedTransfer::kNone;
  bool is_lease_known = false;
  bool replay = false;  // nothing is to be written
};

// One for each of the command's, each decided after the ones before it. ALREADY_EXISTS / REQUEST_ID_REUSED;
// FAILED_PRECONDITION / NO_BILLING_ACCOUNT, PRICE_NOT_FOUND, REQUEST_RESERVED; INVALID_ARGUMENT / INVALID_REQUEST_ID
// (it is of no month that is billed, of the future, or of long before its lease), INVALID_TOKEN_COUNT.
std::vector<Result<LeasedDecision>> DecideSettleBatch(SettleBatchState state, const SettleBatchCommand& command,
                                                      Time now);

}  // namespace allod::billing
