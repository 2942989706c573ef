#include "gateway/metering/escrow_funds.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "gateway/metering/adjust_lease.h"
#include "gateway/metering/escrow_parts.h"
#include "gateway/metering/funds_errors.h"
#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/stream_reader.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// EndEarlierLeases takes 10,000 ids: of the leases that there are, and of those that may begin meanwhile (kSaidIds).
constexpr int kTenantsMax = 6000;
constexpr std::size_t kWaitersMax = 4096;  // of one tenant
constexpr milliseconds kLookForStop(100);
// When at the latest it is looked at what of settled requests nobody has used.
constexpr milliseconds kLookAgain(2000);

Error TooMuchAtOnce() {
  return {Code::kUnavailable, "BILLING_BUSY", "too many requests wait for billing; try again", milliseconds(1000)};
}

}  // namespace

EscrowFunds::EscrowFunds(std::shared_ptr<grpc::Channel> billing, const Uuid& gateway_id, milliseconds call_timeout)
    : billing_(std::move(billing)),
      stub_(billing::v1::LeaseService::NewStub(billing_)),
      gateway_id_(gateway_id.ToString()),
      call_timeout_(call_timeout),
      thread_("escrow", [this](const std::stop_token& stop) { Loop(stop); }),
      recalls_(std::make_unique<WatchLoop>(
          "lease recalls", Caller::Service("gateway"), [this](grpc::ClientContext& context) {
            billing::v1::WatchRecallsRequest request;
            request.set_gateway_id(gateway_id_);
            StreamReader<billing::v1::WatchRecallsResponse> reader(context);
            reader.Begin([&](auto* reactor) { stub_->async()->WatchRecalls(&context, &request, reactor); });
            billing::v1::WatchRecallsResponse recall;
            while (reader.Read(recall)) OnRecall(recall);
            return reader.Finish();
          })) {}

EscrowFunds::~EscrowFunds() { Stop(milliseconds(0)); }

EscrowFunds::Shard& EscrowFunds::ShardOf(const std::string& tenant) const {
  return shards_[std::hash<std::string>()(tenant) % shards_.size()];
}

EscrowFunds::Tenant* EscrowFunds::TenantOf(Shard& shard, const std::string& name) {
  const auto found = shard.tenants.find(name);
  if (found != shard.tenants.end()) return found->second.get();
  if (tenant_count_.fetch_add(1) >= kTenantsMax) {
    --tenant_count_;
    return nullptr;
  }
  return shard.tenants.emplace(name, std::unique_ptr<Tenant>(new Tenant{.name = name})).first->second.get();
}

std::optional<Result<Funds>> EscrowFunds::TryTake(LeaseBook& book, const FundsRequest& request, const Funds* held,
                                                  SteadyTime now) {
  const TokenPrices* prices = book.PricesOf(request.price);
  if (prices == nullptr) return std::nullopt;
  const Result<Amount> amount = CostToHold(*prices, request.bounds);
  if (!amount) return std::unexpected(amount.error());
  const bool in_its_lease = held != nullptr && held->lease_id == book.id();
  // The lease that it runs on is gone.
  if (request.running && !in_its_lease) return std::unexpected(FundsUnavailable());
  // All or none: of the lease, and of every budget in which it counts.
  const std::vector<SliceKey> slices = book.budgets().SlicesFor(request.spender);
  if (!book.budgets().Covers(request.spender, slices, *amount)) return std::nullopt;
  const bool taken =
      in_its_lease ? book.TryExchange(held->lease_id, held->amount, *amount, now) : book.TryTake(*amount, now);
  if (!taken) return std::nullopt;
  book.budgets().Take(request.spender, slices, *amount, now);
  return Funds{book.id(), *prices, *amount};
}

std::optional<Result<Funds>> EscrowFunds::TakeNow(const FundsRequest& request, const Funds* held) {
  const SteadyTime now = steady_clock::now();
  Shard& shard = ShardOf(request.tenant);
  const std::lock_guard lock(shard.mutex);
  if (stopping_) return std::unexpected(FundsUnavailable());
  const auto found = shard.tenants.find(request.tenant);
  if (found == shard.tenants.end() || !found->second->waiting.empty()) return std::nullopt;
  auto taken = TryTake(found->second->book, request, held, now);
  if (taken && found->second->book.is_low(now)) Drive(shard, *found->second);
  if (taken) PassFaultPoint(FaultPoint::kFundsTaken);
  return taken;
}

Status EscrowFunds::Join(const std::shared_ptr<Waiter>& waiter) {
  Shard& shard = ShardOf(waiter->request.tenant);
  const std::lock_guard lock(shard.mutex);
  if (stopping_) return std::unexpected(FundsUnavailable());
  Tenant* tenant = TenantOf(shard, waiter->request.tenant);
  if (tenant == nullptr || tenant->waiting.size() >= kWaitersMax) return std::unexpected(TooMuchAtOnce());
  tenant->waiting.push_back(waiter);
  telemetry::CountLeaseWait();
  Drive(shard, *tenant);
  return {};
}

std::optional<EscrowFunds::SteadyTime> EscrowFunds::Patience(Waiter& waiter, SteadyTime start, bool leaving) {
  Shard& shard = ShardOf(waiter.request.tenant);
  const std::lock_guard lock(shard.mutex);
  if (waiter.answer) return std::nullopt;
  Tenant& tenant = *shard.tenants.at(waiter.request.tenant);  // it is there while somebody waits
  const SteadyTime now = steady_clock::now();
  const SteadyTime end = start + (tenant.no_room ? kFullPatience : 1) * call_timeout_;
  if (!leaving && now < end) return end;
  Refuse(tenant, tenant.no_room ? TooMuchAtOnce() : FundsUnavailable(),
         [&](const Waiter& one) { return &one == &waiter; });
  Drive(shard, tenant);
  return std::nullopt;
}

http::Awaitable<Result<Funds>> EscrowFunds::Take(const FundsRequest& request, const Funds* held,
                                                 http::ResponseWriter& out) {
  if (std::optional<Result<Funds>> taken = TakeNow(request, held)) co_return *std::move(taken);
  if (request.at_once) co_return std::unexpected(FundsUnavailable());
  const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  const auto wakeup = std::make_shared<http::Wakeup>(executor);
  const auto waiter = std::make_shared<Waiter>(
      Waiter{request, held == nullptr ? std::nullopt : std::optional(*held),
             [executor, wakeup] { boost::asio::post(executor, [wakeup] { wakeup->Notify(); }); }});
  const SteadyTime start = steady_clock::now();
  if (Status joined = Join(waiter); !joined) co_return std::unexpected(std::move(joined).error());
  // It comes once. Who has gone is waited for still, because what he had is to be paid; that the gateway stops is then
  // looked for.
  out.OnInterrupt([wakeup] { wakeup->Notify(); });
  while (const auto until = Patience(*waiter, start, out.shutting_down())) {
    co_await wakeup->Wait(out.gone() ? std::min(*until, steady_clock::now() + kLookForStop) : *until);
  }
  out.OnInterrupt(nullptr);
  co_return *std::move(waiter->answer);
}

void EscrowFunds::Settle(const std::string& name, const Uuid& lease_id, Amount held, Amount cost, const Uuid& request) {
  Shard& shard = ShardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(name);
  if (found == shard.tenants.end()) return;
  Tenant& tenant = *found->second;
  PassFaultPoint(FaultPoint::kFundsSettled);
  tenant.book.Settle(lease_id, held, cost);
  if (lease_id == tenant.book.id()) tenant.book.budgets().Settle(request, cost);
  if (stopping_) return;
  const bool is_recalled = tenant.book.recalled() || tenant.book.budgets().has_recalled();
  if (!tenant.waiting.empty() || is_recalled) return Drive(shard, tenant);
  WakeAt(tenant, steady_clock::now() + kLookAgain);
}

std::vector<SliceKey> EscrowFunds::SlicesOf(const std::string& name, const Uuid& lease_id, const Uuid& request) const {
  Shard& shard = ShardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(name);
  if (found == shard.tenants.end() || found->second->book.id() != lease_id) return {};
  return found->second->book.budgets().TakenFrom(request);
}

void EscrowFunds::OnRecall(const billing::v1::WatchRecallsResponse& recall) {
  if (recall.budgets_changed() && recall.tenant().empty()) return DoubtBudgets();
  const Uuid lease = Uuid::Parse(recall.lease_id()).value_or(Uuid());
  const Uuid budget = Uuid::Parse(recall.budget_uid()).value_or(Uuid());
  Shard& shard = ShardOf(recall.tenant());
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(recall.tenant());
  if (found == shard.tenants.end()) return;
  LeaseBook& book = found->second->book;
  if (recall.budgets_changed()) {
    book.DoubtBudgets();
  } else if (budget.is_nil()) {
    book.Recall(lease);
  } else if (lease == book.id()) {
    book.budgets().Recall(budget);
  }
  PassFaultPoint(FaultPoint::kFundsRecalled);
  Drive(shard, *found->second);
}

void EscrowFunds::DoubtBudgets() {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [name, tenant] : shard.tenants) {
      tenant->book.DoubtBudgets();
      WakeAt(*tenant, steady_clock::now());
    }
  }
}

void EscrowFunds::Serve(Tenant& tenant, SteadyTime now) {
  for (auto next = tenant.waiting.begin(); next != tenant.waiting.end();) {
    Waiter& waiter = **next;
    waiter.answer = TryTake(tenant.book, waiter.request, waiter.held ? &*waiter.held : nullptr, now);
    if (waiter.answer) {
      waiter.wake();
      next = tenant.waiting.erase(next);
    } else if (waiter.short_of_budget) {
      ++next;
    } else {
      return;
    }
  }
}

std::optional<Amount> EscrowFunds::LackOf(const Tenant& tenant, const Waiter& waiter) {
  const TokenPrices* prices = tenant.book.PricesOf(waiter.request.price);
  if (prices == nullptr) return std::nullopt;
  const Amount amount = CostToHold(*prices, waiter.request.bounds).value_or(Amount());
  if (!waiter.held || waiter.held->lease_id != tenant.book.id()) return amount;
  return std::max(Subtract(amount, waiter.held->amount).value_or(amount), Amount());
}

std::vector<std::pair<SliceKey, Amount>> EscrowFunds::SlicesThatLack(const LeaseBook& book, const Waiter& waiter) {
  std::vector<std::pair<SliceKey, Amount>> out;
  const TokenPrices* prices = book.PricesOf(waiter.request.price);
  if (prices == nullptr) return out;
  const Amount amount = CostToHold(*prices, waiter.request.bounds).value_or(Amount());
  for (const SliceKey& key : book.budgets().SlicesFor(waiter.request.spender)) {
    const Amount lack = book.budgets().LackOf(waiter.request.spender, key, amount);
    if (lack > Amount()) out.emplace_back(key, lack);
  }
  return out;
}

std::optional<LeaseBook::Waiting> EscrowFunds::WhoWaits(const Tenant& tenant) {
  if (tenant.waiting.empty()) return std::nullopt;
  LeaseBook::Waiting out;
  for (const auto& waiter : tenant.waiting) {
    const std::optional<Amount> lack = LackOf(tenant, *waiter);
    for (const auto& [key, of_slice] : SlicesThatLack(tenant.book, *waiter)) {
      BudgetBook::Waiting& slice = out.slices[key];
      if (slice.first == Amount()) slice.first = of_slice;
      slice.all = Add(slice.all, of_slice).value_or(slice.all);
    }
    const bool is_first = waiter == tenant.waiting.front();
    if (is_first && !lack) out.unpriced = waiter->request.price;
    if (is_first && lack) out.first = *lack;
    if (lack) out.all = Add(out.all, *lack).value_or(out.all);
  }
  return out;
}

void EscrowFunds::Drive(Shard& shard, Tenant& tenant) {
  const SteadyTime now = steady_clock::now();
  Serve(tenant, now);
  if (tenant.calling) return;
  if (now < tenant.not_before) return WakeAt(tenant, tenant.not_before);
  if (tenant.book.asked()) return Send(tenant, *tenant.book.asked());  // nobody knows whether it arrived
  std::optional<LeaseBook::Waiting> waiting = WhoWaits(tenant);
  if (waiting && !tenant.book.has_id()) {
    const std::optional<Uuid> id = NextLeaseId();
    if (!id) return;
    tenant.book.Begin(*id);
  }
  const LeaseBook::Step step = tenant.book.NextStep(waiting ? &*waiting : nullptr,
                                                    stopping_ ? LeaseBook::Mood::kEnding : LeaseBook::Mood::kOpen, now);
  if (step.ask) return Send(tenant, *step.ask);
  if (step.until) WakeAt(tenant, *step.until);
  if (tenant.book.empty() && tenant.waiting.empty()) {
    shard.tenants.erase(std::string(tenant.name));
    --tenant_count_;
  }
}

void EscrowFunds::Send(Tenant& tenant, const LeaseBook::Ask& ask) {
  auto* call = new Call;
  call->tenant = tenant.name;
  call->request = ToRequest(ask);
  call->request.set_tenant(tenant.name);
  call->request.set_gateway_id(gateway_id_);
  *call->request.mutable_send_time() = ToTimestamp(std::chrono::system_clock::now());
  call->context = MakeContext(Caller::Service("gateway"), call_timeout_);
  tenant.calling = true;
  if (ask.end || ask.give_back > Amount()) PassFaultPoint(FaultPoint::kLeaseGivingBack);
  PassFaultPoint(FaultPoint::kLeaseAsking);
  {
    const std::lock_guard lock(calls_mutex_);
    calls_.insert(call->context.get());
  }
  // The callback never runs inside the call that starts it.
  stub_->async()->AdjustLease(call->context.get(), &call->request, &call->response,
                              [this, call](const grpc::Status& status) { OnDone(call, status); });
}

EscrowFunds::Figures EscrowFunds::figures() const {
  Figures out;
  {
    const std::lock_guard lock(currencies_mutex_);
    for (const std::string& currency : currencies_) out.free[currency];
  }
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [name, tenant] : shard.tenants) {
      if (!tenant->book.open()) continue;
      ++out.leases;
      Amount& free = out.free[tenant->currency];
      free = Add(free, tenant->book.free()).value_or(free);
    }
  }
  return out;
}

}  // namespace allod::gateway::metering
