// What nodes computed, and how it is held against what was billed. Pure values and checks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "services/billing/domain.h"

namespace allod::billing {

inline constexpr std::size_t kComputedBatchMax = 500;
inline constexpr std::size_t kUsageFindingsMax = 100;
inline constexpr std::size_t kEventIdBytesMax = 128;
// How long after its computing ended a request may still be unsettled: it may be tried again elsewhere, and billing or
// its gateway may be away for a while. More than a lease lives by itself (kLeaseEndsAfter), so that what a gateway that
// died has left is settled or found.
inline constexpr std::chrono::minutes kSettleTimeMax{15};
// How long after its settlement nodes may take to tell what they computed. They tell it within seconds, and of a
// request that was tried twice not necessarily both attempts at once.
inline constexpr std::chrono::minutes kReportTimeMax{1};

enum class ComputedOutcome { kCompleted = 1, kCancelled = 2, kFailed = 3, kLost = 4 };

// One attempt at one request on one worker. Times in whole microseconds.
struct ComputedUsage {
  TenantId tenant;
  std::string event_id;
  Uuid request_id;
  std::string instance;
  std::string node;  // `nodes/{node}`
  Uuid replica;
  std::int64_t prompt_tokens_computed = 0;
  std::int64_t prompt_tokens_cached = 0;
  std::int64_t sampled_tokens = 0;
  ComputedOutcome outcome = ComputedOutcome::kCompleted;
  Time start_time;
  Time end_time;
  bool operator==(const ComputedUsage&) const = default;
};

// 1 to 128 of A-Z a-z 0-9 . _ / : -
bool IsEventId(std::string_view text);

// A well-formed event id, counts from 0 to kTokensMax, an instance of that tenant, an end not before the start.
// INVALID_ARGUMENT / INVALID_EVENT.
Status CheckComputedUsage(const ComputedUsage& event);

// What became of the events of one tenant.
struct RecordedEvents {
  int recorded = 0;
  bool known_tenant = true;         // false: none was recorded
  std::vector<std::string> reused;  // recorded earlier with other content
};

// Newest first, by start and id.
struct ComputedQuery {
  struct Key {
    Time start_time;
    std::string event_id;
  };
  TenantId tenant;
  int limit = 50;
  std::optional<Key> before;
  std::optional<Time> start;
  std::optional<Time> end;
  std::string instance;            // empty: all
  std::string project;             // its id; empty: all
  std::optional<Uuid> request_id;  // unset: all
};

struct UsageFinding {
  enum class Kind { kOverbilled = 1, kUnbilled = 2, kUncomputed = 3, kUnsettled = 4 };
  Kind kind = Kind::kOverbilled;
  Uuid request_id;
  std::string instance;
  std::int64_t completion_tokens = 0;
  std::int64_t sampled_tokens = 0;
};

// Usage records admitted in a range of time, and events that started in it, each against all of the other.
struct UsageCheck {
  std::int64_t usage_record_count = 0;
  std::int64_t computed_event_count = 0;
  std::int64_t computed_request_count = 0;
  std::int64_t overbilled_count = 0;  // more completion tokens than were sampled
  std::int64_t unbilled_count = 0;    // computed, neither settled nor still reserved; without a reservation, and ended
                                      // kSettleTimeMax ago
  std::int64_t uncomputed_count = 0;  // tokens delivered or billed of which no node told
  std::int64_t open_count = 0;        // computed, still reserved or of a lease, and not for long
  std::int64_t unsettled_count = 0;   // computed, ended kSettleTimeMax ago, still reserved
  std::int64_t unreported_count = 0;  // would be overbilled or uncomputed, but was settled within kReportTimeMax
  std::int64_t completion_tokens = 0;
  std::int64_t sampled_tokens = 0;
  std::vector<UsageFinding> findings;  // by kind; at most as many as asked for
};

// Adds the counts of one tenant to the sum over all.
void AddCounts(UsageCheck& sum, const UsageCheck& tenant);

}  // namespace allod::billing
