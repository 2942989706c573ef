// The two decisions about money: may a request be admitted, and what does it cost in the end.
//
// Pure functions of a snapshot of the tenant's books, a command and the time. A store reads the snapshot under the
// tenant's lock, calls one of these, and writes what it returns in the same transaction; so the fake and PostgreSQL
// cannot disagree. docs/billing-contract.md states the same rules for customers.
#pragma once

#include <optional>
#include <string>

#include "services/billing/domain.h"

namespace allod::billing {

// A request to hold the worst-case cost. Names are well formed and lie below `tenant_name` (convert.cc sees to it).
struct ReserveCommand {
  TenantId tenant;
  Uuid request_id;
  std::string instance;
  std::string variant;
  Uuid price_book;
  std::string api_key;
  std::int64_t prompt_tokens_max = 0;
  std::int64_t completion_tokens_max = 0;
  Time expire_time;  // whole microseconds
  std::string isolation_class{kIsolated};
  // 0 for a new request. Above: replaces the hold of the revision before, which must be open; the terms are new, the
  // request (instance, key, end) is the same.
  std::int32_t revision = 0;
};

// What happened to the pending transfer of a reservation.
enum class HoldState { kOpen, kPosted, kVoided, kExpired };

struct ReserveState {
  std::optional<BillingAccount> account;
  bool price_book_exists = false;
  std::optional<TokenPrice> price;      // what FindPrice gives in the account's currency
  std::optional<Reservation> existing;  // the newest revision with the same request id
  HoldState hold = HoldState::kOpen;    // of `existing`
  bool was_leased = false;              // the id was used up by a request of a lease
};

struct ReserveDecision {
  Reservation reservation;
  std::optional<Reservation> replaced;  // its hold is released in the same transaction
  bool replay = false;                  // nothing is to be written
};

// FAILED_PRECONDITION / NO_BILLING_ACCOUNT, PRICE_NOT_FOUND; RESOURCE_EXHAUSTED / INSUFFICIENT_FUNDS;
// ALREADY_EXISTS / REQUEST_ID_REUSED; INVALID_ARGUMENT / INVALID_REQUEST_ID, INVALID_TOKEN_COUNT, INVALID_EXPIRE_TIME.
// Of a replacement besides: NOT_FOUND / RESERVATION_NOT_FOUND; FAILED_PRECONDITION / HOLD_ENDED, REVISION_OUT_OF_ORDER.
// A replacement that is refused leaves the hold as it was.
Result<ReserveDecision> DecideReserve(const ReserveState& state, const ReserveCommand& command, Time now);

struct SettleCommand {
  TenantId tenant;
  Uuid request_id;
  Outcome outcome = Outcome::kCompleted;
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
};

struct SettleState {
  std::optional<Reservation> reservation;  // the newest revision
  HoldState hold = HoldState::kOpen;
  std::optional<UsageRecord> record;
};

// The one transfer that goes with a usage record.
enum class SettleTransfer {
  kPost,      // the hold becomes a debt of the record's cost, the rest is released
  kVoid,      // nothing to pay, the hold is released
  kLatePost,  // the hold had expired: the cost is posted directly
  kNone,      // the hold had expired and nothing is to pay
};

struct SettleDecision {
  UsageRecord record;
  SettleTransfer transfer = SettleTransfer::kNone;
  bool replay = false;  // nothing is to be written
};

// Tokens beyond the hold were delivered all the same: they are recorded and said to be in excess, and never billed, so
// that no settlement is refused for them and none costs more than was held. NOT_FOUND / RESERVATION_NOT_FOUND;
// INVALID_ARGUMENT / INVALID_TOKEN_COUNT; ALREADY_EXISTS / REQUEST_ID_REUSED.
Result<SettleDecision> DecideSettle(const SettleState& state, const SettleCommand& command, Time now);

// Whether a request that ended so is billed at all: a fault never is, neither is an interrupted one of which no token
// arrived, and neither is one without any token, which was refused before the model read it.
bool IsBilled(Outcome outcome, std::int64_t prompt_tokens, std::int64_t completion_tokens);

}  // namespace allod::billing
