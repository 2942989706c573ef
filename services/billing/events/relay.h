// Sends a tenant's events to its sinks: each at least once, and in order for each sink, because the next batch is not
// taken before the last one was answered with 2xx. What fails is tried again later (BackoffOf), and suspended when it
// has failed for kSuspendAfter.
//
// Owns one thread from Start() to Stop(), which never waits for a receiver: deliveries are the fetcher's, one at a time
// for a sink, kInFlightPerTenantMax for a tenant and kInFlightMax in all, of which half are for tenants that have none;
// and each round goes on where the last one ended. So those who hang, however many, keep nobody else's events. A sink
// is claimed by who delivers to it, in its row: several processes may relay, and what a killed one had taken is taken
// again after kClaim.
//
// It looks at one index once a second; tenants of which nothing is new cost nothing. Besides it trims the outbox.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "services/billing/events/event_store.h"
#include "services/billing/events/signature.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/set_aside.h"
#include "services/common/web/fetcher.h"

namespace allod::billing::events {

inline constexpr std::size_t kInFlightMax = 64;
inline constexpr std::size_t kInFlightPerTenantMax = 4;

class Relay {
 public:
  // All outlive it, but the fetcher may stop before it.
  Relay(EventStore& store, Fetcher& fetcher, const SinkSecrets& secrets, const Clock& clock);
  ~Relay() { Stop(); }

  // Not `sends`: it trims only.
  void Start(bool sends = true);
  void Stop();  // joins; idempotent. What is in flight is sent again by the next process, unless it was answered

  // One round: what was answered, then what is due. How many deliveries it began. The error is the database's.
  Result<int> RunOnce();
  // Trims what nobody needs any more; how many rows.
  Result<int> TrimOnce(const std::stop_token& stop = {});

 private:
  struct Delivery {
    SinkKey key;
    Position begin;
    Position end;
    int event_count = 0;
    std::string url;
  };
  struct Answer {
    Delivery delivery;
    Status outcome;
  };
  // What the fetcher's thread and this one share; the former may have it for longer.
  struct Inbox {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::vector<Answer> answers;
  };

  void Loop(const std::stop_token& stop, bool sends);
  Status TakeAnswers();
  Status Finish(const Answer& answer);
  Status Begin(const SinkKey& key, bool& began);
  bool HasRoomFor(const SinkKey& key) const;
  void TellOfSuspension(const SinkKey& key);

  EventStore& store_;
  Fetcher& fetcher_;
  const SinkSecrets& secrets_;
  const Clock& clock_;
  const std::shared_ptr<Inbox> inbox_ = std::make_shared<Inbox>();
  std::set<SinkKey> in_flight_;
  std::map<TenantId, std::size_t> in_flight_of_tenant_;
  std::optional<SinkKey> last_seen_;  // in the last round
  std::map<SinkKey, int> failures_;   // in a row, of those that are known to fail
  SetAside set_aside_{"billing_events"};
  OwnedThread thread_;
};

}  // namespace allod::billing::events
