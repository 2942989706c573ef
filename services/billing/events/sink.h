// Event sinks: to whom a tenant's events are sent, and when again after it failed. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/billing/events/event.h"
#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod::billing::events {

inline constexpr int kSinksPerTenantMax = 16;
inline constexpr std::size_t kUrlBytesMax = 512;
// The secret of before holds so long besides when it is rotated, at most.
inline constexpr std::chrono::hours kOverlapMax{24 * 30};

// Who receives fails for so long at a stretch, then it is suspended and holds no events any more.
inline constexpr std::chrono::hours kSuspendAfter{72};
// So it is when what it gets next is older, although it takes something now and then: it holds no outbox for ever.
inline constexpr std::chrono::hours kBehindMax{24 * 7};
// Rows of tenants with sinks are kept so long, to be sent again when that is asked for.
inline constexpr std::chrono::hours kReplayWindow{72};

struct SinkKey {
  TenantId tenant;
  std::string id;
  auto operator<=>(const SinkKey&) const = default;
};

// What became of what was sent.
struct SinkHealth {
  bool suspended = false;
  std::int32_t failures = 0;  // in a row
  std::optional<Time> failing_since;
  std::optional<Time> last_success_time;
  std::optional<Time> last_error_time;
  std::string last_error;            // the last one, also when it went well after it
  std::optional<Time> next_attempt;  // of one that fails
  std::int64_t backlog = 0;          // rows of the outbox that it does not have; usage of a batch counts as one
};

struct EventSink {
  TenantId tenant;
  std::string tenant_name;
  std::string id;
  std::string display_name;
  std::string url;
  std::vector<std::string> kinds;  // none: all
  bool disabled = false;
  Uuid salt;  // of its secret (signature.h)
  std::optional<Uuid> previous_salt;
  std::optional<Time> previous_expire_time;  // the secret of before signs as well until then
  std::int64_t version = 0;
  Time create_time;
  SinkHealth health;

  std::string name() const { return tenant_name + "/eventSinks/" + id; }
  SinkKey key() const { return {tenant, id}; }
};

// INVALID_ARGUMENT with the field: INVALID_ID, INVALID_TEXT, INVALID_URL, UNKNOWN_EVENT_KIND. Whether its address is
// allowed is seen when it is connected to.
Status CheckSink(const EventSink& sink);
bool SameContent(const EventSink& a, const EventSink& b);
std::string EtagOf(const EventSink& sink);

// `url` may let whoever knows it in: scheme and host alone, and `text` without it.
std::string SiteOf(std::string_view url);
std::string WithoutUrl(std::string text, std::string_view url);

// After so many failures in a row: 1 s, 2 s, 4 s and so on up to an hour, less up to half of it by chance (`chance`: 0
// to 1), so that those who failed together do not come back together.
std::chrono::milliseconds BackoffOf(int failures, double chance);

}  // namespace allod::billing::events
