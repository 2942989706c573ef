// Money from leases: a slice of what a tenant may still spend, moved in the ledger to this gateway ahead of its
// requests (lease.proto). A request is admitted by compare-and-subtract under a short mutex, without a call; billing is
// asked when a lease runs short, by one call at a time for each tenant, for all who wait.
//
// Who waits is served in order, and not for ever: `call_timeout` while billing does not answer, kFullPatience times
// that while it has no room. When the tenant's money is with other gateways, billing asks them for it, and this one
// asks again for a quarter of a second before it refuses. While billing is away, what is free is spent, for as long as
// billing had said; then UNAVAILABLE / BILLING_UNAVAILABLE.
//
// A tenant that asks for nothing costs nothing: its lease ends and is forgotten. Thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "allod/billing/v1/lease.grpc.pb.h"
#include "gateway/metering/funds_source.h"
#include "gateway/metering/lease_book.h"
#include "services/common/owned_thread.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::metering {

// How long a request waits for room at billing, which bounds the calls of each tenant. Of `call_timeout`.
inline constexpr int kFullPatience = 5;

class EscrowFunds final : public FundsSource {
 public:
  // Starts its thread, and listens for recalls. `gateway_id` is the journal's.
  EscrowFunds(std::shared_ptr<grpc::Channel> billing, const Uuid& gateway_id, std::chrono::milliseconds call_timeout);
  ~EscrowFunds() override;  // Stop(0)
  EscrowFunds(const EscrowFunds&) = delete;

  // Beside what billing says of an adjustment: UNAVAILABLE / BILLING_UNAVAILABLE, BILLING_BUSY.
  http::Awaitable<Result<Funds>> Take(const FundsRequest& request, const Funds* held,
                                      http::ResponseWriter& out) override;
  // What was taken for a request that came to cost `cost`: the rest is free again.
  void Settle(const std::string& tenant, const Uuid& lease_id, Amount held, Amount cost, const Uuid& request = Uuid());
  // Of which budgets something was taken for it, until it is settled; nothing if its lease is gone.
  std::vector<SliceKey> SlicesOf(const std::string& tenant, const Uuid& lease_id, const Uuid& request) const;

  // What earlier processes of this gateway left is settled: their leases end. Does not wait; repeated until it is done.
  void EndEarlierLeases();
  // Gives back what is free and ends what nobody uses, for at most `grace`. Whoever waits is refused.
  void Stop(std::chrono::milliseconds grace);

  struct Figures {
    int leases = 0;
    std::map<std::string, Amount> free;  // by currency
  };
  Figures figures() const;

 private:
  using SteadyTime = LeaseBook::SteadyTime;
  using milliseconds = std::chrono::milliseconds;
  struct Waiter;
  struct Tenant;
  struct Call;
  struct EndCall;
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::unique_ptr<Tenant>> tenants;
  };

  Shard& ShardOf(const std::string& tenant) const;
  std::optional<Result<Funds>> TakeNow(const FundsRequest& request, const Funds* held);
  Status Join(const std::shared_ptr<Waiter>& waiter);
  // Until when it waits; nothing once it has its answer.
  std::optional<SteadyTime> Patience(Waiter& waiter, SteadyTime start, bool leaving);
  // With the shard's lock held:
  Tenant* TenantOf(Shard& shard, const std::string& name);
  // Nothing when there is not so much now.
  static std::optional<Result<Funds>> TryTake(LeaseBook& book, const FundsRequest& request, const Funds* held,
                                              SteadyTime now);
  void Serve(Tenant& tenant, SteadyTime now);
  void Drive(Shard& shard, Tenant& tenant);
  // What it needs beyond what it has; nothing while its price is not known.
  static std::optional<Amount> LackOf(const Tenant& tenant, const Waiter& waiter);
  // Likewise of each budget in which it counts.
  static std::vector<std::pair<SliceKey, Amount>> SlicesThatLack(const LeaseBook& book, const Waiter& waiter);
  static std::optional<LeaseBook::Waiting> WhoWaits(const Tenant& tenant);
  void Send(Tenant& tenant, const LeaseBook::Ask& ask);
  void OnAnswer(Tenant& tenant, const Call& call);
  void OnError(Tenant& tenant, const Error& error, SteadyTime now);
  static void OnShort(Tenant& tenant, const Error& error, SteadyTime now);
  // A budget has not what was needed of it.
  static void OnShortSlice(Tenant& tenant, const BudgetBook::Ask& ask, std::optional<milliseconds> ask_again,
                           SteadyTime now);
  static void Refuse(Tenant& tenant, const Error& error, const std::function<bool(Waiter&)>& which);
  void WakeAt(Tenant& tenant, SteadyTime when);

  void OnDone(Call* call, const grpc::Status& status);
  // Of a lease that begins; nothing while none may.
  std::optional<Uuid> NextLeaseId();
  void StartEndCall();
  void OnEndDone(EndCall* call, const grpc::Status& status);
  void OnRecall(const billing::v1::WatchRecallsResponse& recall);
  // Changes of budgets may have been missed.
  void DoubtBudgets();
  // `due`: when the timer had it.
  void Visit(const std::string& tenant, std::optional<SteadyTime> due);
  void VisitWaiting();
  void Loop(const std::stop_token& stop);
  void Schedule(SteadyTime when, const std::string& tenant);

  const std::shared_ptr<grpc::Channel> billing_;
  const std::unique_ptr<billing::v1::LeaseService::Stub> stub_;
  const std::string gateway_id_;
  const std::chrono::milliseconds call_timeout_;
  mutable std::array<Shard, 64> shards_;
  std::atomic<int> tenant_count_{0};
  std::atomic<bool> stopping_{false};

  // While it is said which leases are of this process, those that begin have ids that were said as well.
  std::mutex ids_mutex_;  // taken after a shard's
  bool ending_earlier_ = false;
  std::vector<Uuid> said_ids_;  // and not taken yet

  mutable std::mutex currencies_mutex_;  // as well
  std::set<std::string> currencies_;     // of all leases that there were

  std::mutex calls_mutex_;  // as well
  std::condition_variable calls_changed_;
  std::set<grpc::ClientContext*> calls_;

  std::mutex timer_mutex_;  // as well
  std::condition_variable_any timer_changed_;
  std::multimap<SteadyTime, std::string> timer_;  // which tenant is to be visited; "": EndEarlierLeases
  std::chrono::milliseconds end_pause_{0};

  OwnedThread thread_;
  std::unique_ptr<WatchLoop> recalls_;
};

}  // namespace allod::gateway::metering
