// A billing that keeps one tenant's money in memory, as lease.proto says: leases with epochs, recalls, settlements that
// count once. Tests say how much there is, make it slow or let it fail, and see what was settled.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "allod/billing/v1/lease.grpc.pb.h"
#include "allod/billing/v1/usage.grpc.pb.h"
#include "services/common/money.h"
#include "services/common/rpc/status.h"

namespace allod::gateway {

class BillingPeer final : public billing::v1::LeaseService::Service {
 public:
  // What a token costs.
  static constexpr Amount kPromptPrice = Amount::FromPico(1'000'000);
  static constexpr Amount kCompletionPrice = Amount::FromPico(2'000'000);
  static Amount CostOf(std::int64_t prompt, std::int64_t completion) {
    return Amount::FromPico(kPromptPrice.pico() * prompt + kCompletionPrice.pico() * completion);
  }

  grpc::Status AdjustLease(grpc::ServerContext*, const billing::v1::AdjustLeaseRequest* request,
                           billing::v1::AdjustLeaseResponse* response) override {
    // Carried out to its end, also when nobody waits for it any more.
    adjusting = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(adjust_ms));
    const std::lock_guard lock(mutex_);
    ++adjust_calls;
    const auto off =
        std::chrono::system_clock::now().time_since_epoch() - std::chrono::seconds(request->send_time().seconds());
    if (off < std::chrono::minutes(-1) || off > std::chrono::minutes(1)) ++conflicts;
    billing::v1::AdjustLeaseRequest timeless = *request;
    timeless.clear_send_time();
    const std::string asked = timeless.SerializeAsString();
    const auto found = leases_.find(request->lease_id());
    if (found != leases_.end() && found->second.epoch == request->epoch()) {
      if (found->second.asked != asked) {
        ++conflicts;
        return ToGrpc({Code::kAlreadyExists, "EPOCH_REUSED", "another payload of that epoch"});
      }
      *response = found->second.answer;
      return Answered();
    }
    if (found == leases_.end() && request->epoch() != 1) {
      return ToGrpc({Code::kFailedPrecondition, "LEASE_ENDED", "there is no such lease"});
    }
    if (request->epoch() != (found == leases_.end() ? 1 : found->second.epoch + 1)) {
      ++conflicts;
      return ToGrpc({Code::kFailedPrecondition, "EPOCH_OUT_OF_ORDER", "not the next epoch"});
    }
    const Int128 need = Pico(request->need());
    Int128 give_back = Pico(request->give_back());
    if (request->end()) {
      if (give_back != 0 || need != 0) ++conflicts;
      give_back = found == leases_.end() ? 0 : found->second.remaining;
    }
    const Int128 there = limit_.pico() - spent_ - Held() + give_back;
    if (need > 0 && (no_funds || need > there)) return Short(request->lease_id());
    Lease& lease = leases_[request->lease_id()];
    lease.gateway = request->gateway_id();
    lease.remaining -= give_back;
    // The last of it is given out in small slices.
    const Int128 want = std::max(Pico(request->want()), need);
    const Int128 added = no_funds ? 0 : std::min(want, std::max(need, want > there / 4 ? there / 8 : want));
    lease.remaining += added;
    if (lease.remaining < 0) ++conflicts;
    lease.epoch = request->epoch();
    lease.asked = asked;
    response->set_currency_code("KES");
    response->set_added(Amount::FromPico(added).ToString());
    response->set_remaining(Amount::FromPico(lease.remaining).ToString());
    response->mutable_admit_for()->set_seconds(admit_s);
    response->mutable_ends_after()->set_seconds(10 * admit_s);
    for (int i = 0; i < request->terms_size(); ++i) {
      auto& price = *response->add_prices();
      price.set_prompt(kPromptPrice.ToString());
      price.set_completion(kCompletionPrice.ToString());
    }
    lease.answer = *response;
    if (request->end()) leases_.erase(request->lease_id());
    return Answered();
  }

  grpc::Status EndEarlierLeases(grpc::ServerContext*, const billing::v1::EndEarlierLeasesRequest* request,
                                billing::v1::EndEarlierLeasesResponse* response) override {
    const std::lock_guard lock(mutex_);
    ++end_calls;
    response->set_ended_count(static_cast<int>(std::erase_if(leases_, [&](const auto& lease) {
      return lease.second.gateway == request->gateway_id() &&
             std::ranges::find(request->current(), lease.first) == request->current().end();
    })));
    return grpc::Status::OK;
  }

  grpc::Status WatchRecalls(grpc::ServerContext* context, const billing::v1::WatchRecallsRequest* request,
                            grpc::ServerWriter<billing::v1::WatchRecallsResponse>* writer) override {
    std::unique_lock lock(mutex_);
    recalls_[request->gateway_id()].clear();
    ++watchers;
    while (!context->IsCancelled()) {
      auto& waiting = recalls_[request->gateway_id()];
      changed_.wait_for(lock, std::chrono::milliseconds(10), [&] { return !waiting.empty(); });
      for (const std::string& lease : std::exchange(waiting, {})) {
        billing::v1::WatchRecallsResponse recall;
        recall.set_tenant("tenants/ke");
        recall.set_lease_id(lease);
        writer->Write(recall);
      }
    }
    return grpc::Status::CANCELLED;
  }

  grpc::Status SettleBatch(grpc::ServerContext*, const billing::v1::SettleBatchRequest* request,
                           billing::v1::SettleBatchResponse* response) override {
    const std::lock_guard lock(mutex_);
    ++settle_calls;
    if (settle_failures > 0) {
      --settle_failures;
      return ToGrpc({Code::kUnavailable, "DATABASE_UNAVAILABLE", "the database is away"});
    }
    for (const auto& usage : request->usage()) Settle(usage, *response->add_results());
    return grpc::Status::OK;
  }

  std::vector<billing::v1::LeasedUsage> Settled() const {
    const std::lock_guard lock(mutex_);
    std::vector<billing::v1::LeasedUsage> out;
    for (const auto& [id, usage] : settled_) out.push_back(usage);
    return out;
  }
  // The one settlement; waits for it.
  billing::v1::LeasedUsage OnlySettlement() const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (Settled().empty() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto all = Settled();
    return all.size() == 1 ? all.front() : billing::v1::LeasedUsage();
  }
  void SetLimit(Amount limit) {
    const std::lock_guard lock(mutex_);
    limit_ = limit;
  }
  // In all leases, and spent.
  Amount held() const {
    const std::lock_guard lock(mutex_);
    return Amount::FromPico(Held());
  }
  Amount spent() const {
    const std::lock_guard lock(mutex_);
    return Amount::FromPico(spent_);
  }
  std::size_t lease_count() const {
    const std::lock_guard lock(mutex_);
    return leases_.size();
  }
  // As when they ended by themselves.
  void ForgetLeases() {
    const std::lock_guard lock(mutex_);
    leases_.clear();
  }

  std::atomic<bool> no_funds{false};
  std::atomic<bool> refuses{false};  // settlements
  std::atomic<int> adjust_ms{0};
  std::atomic<bool> adjusting{false};  // one came
  std::atomic<int> adjust_calls{0};
  std::atomic<int> lost_answers{0};  // so many are carried out, and nobody is told
  std::atomic<int> end_calls{0};
  std::atomic<int> watchers{0};  // that there were
  std::atomic<int> admit_s{60};
  std::atomic<int> settle_failures{0};
  std::atomic<int> settle_calls{0};
  std::atomic<int> beyond_hold{0};  // settlements of more than was held
  std::atomic<int> conflicts{0};    // things said otherwise before, and money that is not there

 private:
  struct Lease {
    std::string gateway;
    std::int64_t epoch = 0;
    Int128 remaining = 0;
    std::string asked;  // in that epoch
    billing::v1::AdjustLeaseResponse answer;
  };

  static Int128 Pico(const std::string& text) { return text.empty() ? 0 : Amount::Parse("amount", text)->pico(); }

  // With the lock held:
  Int128 Held() const {
    Int128 out = 0;
    for (const auto& [id, lease] : leases_) out += lease.remaining;
    return out;
  }
  grpc::Status Answered() {
    if (lost_answers == 0) return grpc::Status::OK;
    --lost_answers;
    return ToGrpc({Code::kUnavailable, "RPC_FAILED", "the connection broke"});
  }
  grpc::Status Short(const std::string& asker) {
    Error error{Code::kResourceExhausted, "INSUFFICIENT_FUNDS", "it would pass the limit"};
    for (const auto& [id, lease] : leases_) {
      if (no_funds || id == asker || lease.remaining == 0) continue;
      recalls_[lease.gateway].push_back(id);
      error.retry_after = std::chrono::milliseconds(10);
    }
    changed_.notify_all();
    return ToGrpc(error);
  }
  void Settle(const billing::v1::LeasedUsage& usage, billing::v1::SettleResult& result) {
    if (refuses) {
      result.set_reason("REFUSED");
      result.set_message("this billing takes nothing");
      return;
    }
    if (usage.prompt_tokens() > usage.prompt_tokens_max() ||
        usage.completion_tokens() > usage.completion_tokens_max()) {
      ++beyond_hold;
    }
    const bool billed = usage.outcome() == billing::v1::OUTCOME_COMPLETED ||
                        (usage.outcome() != billing::v1::OUTCOME_FAULT && usage.completion_tokens() > 0);
    const Amount cost = billed ? CostOf(usage.prompt_tokens(), usage.completion_tokens()) : Amount();
    result.set_cost(cost.ToString());
    const auto [it, is_new] = settled_.emplace(usage.request_id(), usage);
    if (!is_new) {
      if (it->second.SerializeAsString() != usage.SerializeAsString()) ++conflicts;
      return;
    }
    spent_ += cost.pico();
    const auto lease = leases_.find(usage.lease_id());
    if (lease == leases_.end()) return;
    lease->second.remaining -= cost.pico();
    if (lease->second.remaining < 0) ++conflicts;
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Amount limit_ = Amount::FromPico(Int128{1'000'000'000'000'000});
  Int128 spent_ = 0;
  std::map<std::string, Lease> leases_;
  std::map<std::string, std::vector<std::string>> recalls_;  // by gateway
  std::map<std::string, billing::v1::LeasedUsage> settled_;
};

// What settles requests that were admitted before leases.
class OldSettlePeer final : public billing::v1::UsageService::Service {
 public:
  grpc::Status Settle(grpc::ServerContext*, const billing::v1::SettleRequest* request,
                      billing::v1::UsageRecord*) override {
    const std::lock_guard lock(mutex_);
    if (failures > 0 || static_cast<int>(settled_.size()) >= settle_max) {
      --failures;
      return ToGrpc({Code::kUnavailable, "DATABASE_UNAVAILABLE", "the database is away"});
    }
    const auto [it, is_new] = settled_.emplace(request->request_id(), *request);
    if (!is_new && it->second.SerializeAsString() != request->SerializeAsString()) ++conflicts;
    return grpc::Status::OK;
  }
  std::map<std::string, billing::v1::SettleRequest> Settled() const {
    const std::lock_guard lock(mutex_);
    return settled_;
  }
  std::atomic<int> failures{0};
  std::atomic<int> settle_max{1'000'000};
  std::atomic<int> conflicts{0};

 private:
  mutable std::mutex mutex_;
  std::map<std::string, billing::v1::SettleRequest> settled_;
};

}  // namespace allod::gateway
