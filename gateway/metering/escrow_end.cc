// How leases end: of earlier processes of this gateway, and all when it stops.
#include <algorithm>
#include <utility>

#include "gateway/metering/escrow_parts.h"
#include "gateway/metering/funds_errors.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kSaidIds = 4000;
constexpr std::size_t kStopCallsMax = 64;
constexpr milliseconds kEndPauseMax(2000);
constexpr milliseconds kEndTimeout(30'000);  // of thousands of leases

}  // namespace

std::optional<Uuid> EscrowFunds::NextLeaseId() {
  const std::lock_guard lock(ids_mutex_);
  if (!ending_earlier_) return Uuid::V7();
  if (said_ids_.empty()) return std::nullopt;
  const Uuid out = said_ids_.back();
  said_ids_.pop_back();
  return out;
}

void EscrowFunds::EndEarlierLeases() { Schedule(steady_clock::now(), ""); }

void EscrowFunds::StartEndCall() {
  PassFaultPoint(FaultPoint::kEarlierLeasesEnding);
  auto* call = new EndCall;
  call->request.set_gateway_id(gateway_id_);
  {
    // What a call that nobody answered said holds still: it may be under way.
    const std::lock_guard lock(ids_mutex_);
    while (!ending_earlier_ && said_ids_.size() < kSaidIds) said_ids_.push_back(Uuid::V7());
    ending_earlier_ = true;
    for (const Uuid& id : said_ids_) call->request.add_current(id.ToString());
  }
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [name, tenant] : shard.tenants) {
      if (tenant->book.has_id()) call->request.add_current(tenant->book.id().ToString());
    }
  }
  call->context = MakeContext(Caller::Service("gateway"), kEndTimeout);
  {
    const std::lock_guard lock(calls_mutex_);
    calls_.insert(call->context.get());
  }
  stub_->async()->EndEarlierLeases(call->context.get(), &call->request, &call->response,
                                   [this, call](const grpc::Status& status) { OnEndDone(call, status); });
}

void EscrowFunds::OnEndDone(EndCall* call, const grpc::Status& status) {
  const Error error = status.ok() ? Error{Code::kOk} : FromGrpc(status);
  if (status.ok()) {
    end_pause_ = milliseconds(0);
    if (call->response.ended_count() > 0) {
      Log(LogLevel::kInfo, "what earlier processes had leased is given back",
          {{"count", std::to_string(call->response.ended_count())}});
    }
  } else {
    end_pause_ = std::clamp(2 * end_pause_, kPauseMin, kEndPauseMax);
    Schedule(steady_clock::now() + end_pause_, "");
  }
  // Unless billing itself answered, it may be carried out still.
  if (error.reason != "RPC_FAILED") {
    {
      const std::lock_guard lock(ids_mutex_);
      ending_earlier_ = false;
      said_ids_.clear();
    }
    if (!stopping_) VisitWaiting();
  }
  const std::lock_guard lock(calls_mutex_);
  calls_.erase(call->context.get());
  delete call;
  calls_changed_.notify_all();
}

void EscrowFunds::Stop(milliseconds grace) {
  if (stopping_.exchange(true)) return;
  const SteadyTime end = steady_clock::now() + grace;
  recalls_->Stop();
  thread_.Stop();
  for (Shard& shard : shards_) {
    std::vector<std::string> names;
    {
      const std::lock_guard lock(shard.mutex);
      for (const auto& [name, tenant] : shard.tenants) {
        Refuse(*tenant, FundsUnavailable(), [](const Waiter&) { return true; });
        names.push_back(name);
      }
    }
    for (const std::string& name : names) {
      {
        std::unique_lock lock(calls_mutex_);
        calls_changed_.wait_until(lock, end, [this] { return calls_.size() < kStopCallsMax; });
      }
      if (steady_clock::now() < end) Visit(name, std::nullopt);
    }
  }
  std::unique_lock lock(calls_mutex_);
  calls_changed_.wait_until(lock, end, [this] { return calls_.empty(); });
  for (grpc::ClientContext* call : calls_) call->TryCancel();
  calls_changed_.wait(lock, [this] { return calls_.empty(); });
}

}  // namespace allod::gateway::metering
