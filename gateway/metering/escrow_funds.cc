#include "gateway/metering/escrow_funds.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "gateway/metering/adjust_lease.h"
#include "gateway/metering/funds_errors.h"
#include "gateway/telemetry/gateway_metrics.h"
#include "services/common/fault_point.h"
#include "services/common/log.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/stream_reader.h"
#include "services/common/rpc/timestamp.h"

namespace allod::gateway::metering {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// EndEarlierLeases takes 10,000 ids: of the leases that there are, and of those that may begin meanwhile.
constexpr int kTenantsMax = 6000;
constexpr std::size_t kSaidIds = 4000;
constexpr std::size_t kWaitersMax = 4096;  // of one tenant
constexpr std::size_t kStopCallsMax = 64;
constexpr milliseconds kPauseMin(20);
constexpr milliseconds kPauseMax(250);
constexpr milliseconds kEndPauseMax(2000);
constexpr milliseconds kEndTimeout(30'000);  // of thousands of leases
// How long money is looked for that other gateways have.
constexpr milliseconds kShortMax(250);
constexpr milliseconds kAskAgainMin(5);
constexpr milliseconds kLookForStop(100);
// When at the latest it is looked at what of settled requests nobody has used.
constexpr milliseconds kLookAgain(2000);
Error TooMuchAtOnce() {
  return {Code::kUnavailable, "BILLING_BUSY", "too many requests wait for billing; try again", milliseconds(1000)};
}

}  // namespace

// A request that waits for money. Its coroutine and the shard's lock share it.
struct EscrowFunds::Waiter {
  FundsRequest request;
  std::optional<Funds> held;
  std::function<void()> wake;               // from any thread
  std::optional<Result<Funds>> answer{};    // these under the shard's lock
  std::optional<SteadyTime> short_since{};  // since when money for it is looked for
  bool short_of_budget = false;             // others need not wait behind it
};

struct EscrowFunds::Tenant {
  const std::string name;
  LeaseBook book{};
  std::string currency{};
  std::deque<std::shared_ptr<Waiter>> waiting{};
  bool calling = false;
  bool no_room = false;                // said the last answer
  SteadyTime not_before{};             // of the next call
  milliseconds pause{0};               // before it
  SteadyTime due = SteadyTime::max();  // in the timer

  // Before the next call.
  void Rest(SteadyTime now) {
    pause = std::clamp(2 * pause, kPauseMin, kPauseMax);
    not_before = now + pause;
  }
};

// In flight; owned by its callback.
struct EscrowFunds::Call {
  std::string tenant;
  billing::v1::AdjustLeaseRequest request;
  billing::v1::AdjustLeaseResponse response;
  std::unique_ptr<grpc::ClientContext> context;
};

struct EscrowFunds::EndCall {
  billing::v1::EndEarlierLeasesRequest request;
  billing::v1::EndEarlierLeasesResponse response;
  std::unique_ptr<grpc::ClientContext> context;
};

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
  const std::optional<PriceTerms> terms = tenant.book.asked()->terms;
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

void EscrowFunds::WakeAt(Tenant& tenant, SteadyTime when) {
  if (when >= tenant.due) return;
  tenant.due = when;
  Schedule(when, tenant.name);
}

void EscrowFunds::Schedule(SteadyTime when, const std::string& tenant) {
  {
    const std::lock_guard lock(timer_mutex_);
    timer_.emplace(when, tenant);
  }
  timer_changed_.notify_one();
}

void EscrowFunds::Loop(const std::stop_token& stop) {
  std::unique_lock lock(timer_mutex_);
  while (!stop.stop_requested()) {
    if (timer_.empty()) {
      timer_changed_.wait(lock, stop, [this] { return !timer_.empty(); });
      continue;
    }
    const SteadyTime first = timer_.begin()->first;
    if (steady_clock::now() < first) {
      timer_changed_.wait_until(lock, stop, first, [&] { return timer_.begin()->first < first; });
      continue;
    }
    const std::string tenant = std::move(timer_.begin()->second);
    timer_.erase(timer_.begin());
    lock.unlock();
    if (tenant.empty()) {
      StartEndCall();
    } else {
      Visit(tenant, first);
    }
    lock.lock();
  }
}

void EscrowFunds::Visit(const std::string& name, std::optional<SteadyTime> due) {
  Shard& shard = ShardOf(name);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.tenants.find(name);
  if (found == shard.tenants.end()) return;
  if (due && *due != found->second->due) return;  // another time took its place
  found->second->due = SteadyTime::max();
  Drive(shard, *found->second);
}

void EscrowFunds::VisitWaiting() {
  for (Shard& shard : shards_) {
    std::vector<std::string> names;
    {
      const std::lock_guard lock(shard.mutex);
      for (const auto& [name, tenant] : shard.tenants) {
        if (!tenant->waiting.empty()) names.push_back(name);
      }
    }
    for (const std::string& name : names) Visit(name, std::nullopt);
  }
}

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
