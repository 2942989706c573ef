// What EscrowFunds makes of billing's answers.
#include <algorithm>
#include <utility>

#include "gateway/metering/adjust_lease.h"
#include "gateway/metering/escrow_parts.h"
#include "gateway/metering/funds_errors.h"
#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How long money is looked for that other gateways have.
constexpr milliseconds kShortMax(250);
constexpr milliseconds kAskAgainMin(5);

}  // namespace

void EscrowFunds::OnDone(Call* call, const grpc::Status& status) {
  {
    Shard& shard = ShardOf(call->tenant);
    const std::lock_guard lock(shard.mutex);
    Tenant& tenant = *shard.tenants.at(call->tenant);  // kept while a call is under way
    tenant.calling = false;
    tenant.no_room = false;
    PassFaultPoint(FaultPoint::kLeaseAnswered);
    if (status.ok()) {
      OnAnswer(tenant, *call);
    } else {
      OnError(tenant, FromGrpc(status), steady_clock::now());
    }
    // At the end nothing is tried again.
    if (!stopping_ || status.ok()) Drive(shard, tenant);
  }
  const std::lock_guard lock(calls_mutex_);
  calls_.erase(call->context.get());
  delete call;
  calls_changed_.notify_all();
}

void EscrowFunds::OnAnswer(Tenant& tenant, const Call& call) {
  const SteadyTime now = steady_clock::now();
  const Result<LeaseBook::Answer> answer = AnswerFrom(*tenant.book.asked(), call.response);
  if (!answer) {
    Log(LogLevel::kError, "billing answered an adjustment of a lease with what is none",
        {{"tenant", tenant.name}, {"error", answer.error().message}});
    tenant.book.OnGone();
    Refuse(tenant, answer.error(), [](const Waiter&) { return true; });
    return;
  }
  telemetry::CountLeaseAdjustment("done");
  if (tenant.currency.empty()) {
    tenant.currency = call.response.currency_code();
    const std::lock_guard lock(currencies_mutex_);
    currencies_.insert(tenant.currency);
  }
  const LeaseBook::Ask asked = *tenant.book.asked();
  tenant.book.OnAdjusted(*answer, now);
  for (std::size_t i = 0; i < answer->slices.size(); ++i) {
    if (answer->slices[i].is_short) OnShortSlice(tenant, asked.slices.at(i), answer->ask_again_after, now);
  }
  if (tenant.book.admits(now) || !tenant.book.open()) {
    tenant.pause = milliseconds(0);
  } else {
    tenant.Rest(now);  // the answer took as long as it holds
  }
}

void EscrowFunds::OnError(Tenant& tenant, const Error& error, SteadyTime now) {
  switch (MeaningOf(error)) {
    case AdjustError::kShort:
      telemetry::CountLeaseAdjustment("short");
      return OnShort(tenant, error, now);
    case AdjustError::kNoRoom:
      telemetry::CountLeaseAdjustment("busy");
      tenant.no_room = true;
      return tenant.Rest(now);  // whether it was done before is not known if it was sent before
    case AdjustError::kNobodyKnows:
      telemetry::CountLeaseAdjustment("unanswered");
      return tenant.Rest(now);
    case AdjustError::kGone:
      telemetry::CountLeaseAdjustment("gone");
      if (error.reason != "LEASE_ENDED") {
        Log(LogLevel::kError, "billing does not know a lease as it is known here; it is given up",
            {{"tenant", tenant.name}, {"reason", error.reason}, {"error", error.message}});
      }
      tenant.book.OnGone();
      return tenant.Rest(now);
    case AdjustError::kNothingDone:
      break;
  }
  telemetry::CountLeaseAdjustment("refused");
  const std::optional<PriceKey> terms = tenant.book.asked()->terms;
  tenant.book.OnRefused();
  tenant.Rest(now);
  if (!IsMissingMoney(error)) {
    Log(LogLevel::kWarning, "billing refuses a lease",
        {{"tenant", tenant.name}, {"reason", error.reason}, {"error", error.message}});
  }
  const bool of_price = error.reason == "PRICE_NOT_FOUND" && terms;
  Refuse(tenant, error, [&](const Waiter& waiter) { return !of_price || waiter.request.price == *terms; });
}

void EscrowFunds::OnShort(Tenant& tenant, const Error& error, SteadyTime now) {
  const Amount need = tenant.book.asked()->need;
  tenant.book.OnRefused();
  tenant.pause = milliseconds(0);
  if (need == Amount()) {  // nobody waited for it
    tenant.not_before = now + kPauseMax;
    return;
  }
  // Who needs less may be served still.
  const Amount lacking = Add(need, tenant.book.free()).value_or(need);
  SteadyTime again = now + std::max(error.retry_after.value_or(milliseconds(0)), kAskAgainMin);
  Error final_error = error;
  final_error.retry_after.reset();  // it was for us
  Refuse(tenant, final_error, [&](Waiter& waiter) {
    if (LackOf(tenant, waiter).value_or(Amount()) < lacking) return false;
    if (!waiter.short_since) waiter.short_since = now;
    const SteadyTime end = *waiter.short_since + kShortMax;
    if (!error.retry_after || now >= end) return true;
    again = std::min(again, end);
    return false;
  });
  tenant.not_before = tenant.waiting.empty() ? now : again;
}

void EscrowFunds::OnShortSlice(Tenant& tenant, const BudgetBook::Ask& ask, std::optional<milliseconds> ask_again,
                               SteadyTime now) {
  const BudgetRule* rule = tenant.book.budgets().RuleOf(ask.key);
  if (rule == nullptr) return;
  const Amount lacking = Add(ask.need, tenant.book.budgets().free(ask.key)).value_or(ask.need);
  SteadyTime again = now + std::max(ask_again.value_or(milliseconds(0)), kAskAgainMin);
  Refuse(tenant, BudgetExhausted(tenant.name, rule->id), [&](Waiter& waiter) {
    const auto lacks = SlicesThatLack(tenant.book, waiter);
    const auto lack = std::ranges::find(lacks, ask.key, &std::pair<SliceKey, Amount>::first);
    // Who needs less may be served still.
    if (lack == lacks.end() || lack->second < lacking) return false;
    waiter.short_of_budget = true;
    if (!waiter.short_since) waiter.short_since = now;
    const SteadyTime end = *waiter.short_since + kShortMax;
    if (!ask_again || now >= end) return true;
    again = std::min(again, end);
    return false;
  });
  if (!tenant.waiting.empty()) tenant.not_before = std::max(tenant.not_before, again);
}

void EscrowFunds::Refuse(Tenant& tenant, const Error& error, const std::function<bool(Waiter&)>& which) {
  std::erase_if(tenant.waiting, [&](const std::shared_ptr<Waiter>& waiter) {
    if (!which(*waiter)) return false;
    waiter->answer = std::unexpected(error);
    telemetry::CountLeaseRefusal(error.reason);
    waiter->wake();
    return true;
  });
}

}  // namespace allod::gateway::metering
