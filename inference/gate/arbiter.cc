#include "inference/gate/arbiter.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "inference/gate/futex.h"
#include "services/common/log.h"

namespace allod::inference::gate {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// While somebody waits, a holder that stopped counting is looked for this often; else there is nothing to look for.
constexpr milliseconds kLookWhileWaiting{100};
constexpr milliseconds kLookWhileQuiet{60'000};
// Handing over is what every worker waits for.
constexpr int kNiceness = -10;

// More than any machine counts: what is shown of a hostile worker at most.
constexpr double kCountedPerSecondMax = 1e7;
// Of a moment that is too short to be measured.
constexpr double kCountedAtOnceMax = 4096;
// Seconds.
constexpr double kAsideOwedMax = 10;

// In the epoll set, beside the ids of workers.
constexpr std::uint64_t kOwnWake = ~std::uint64_t{0};
constexpr std::uint64_t kOwnEvents = kOwnWake - 1;
constexpr int kEventsAtOnceMax = 64;

double Seconds(steady_clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

Arbiter::Arbiter(const GateOptions& options) : options_(options), free_cores_(std::max(1, options.cores)) {
  for (const auto& [fd, who] : {std::pair(wake_.get(), kOwnWake), std::pair(events_.read.get(), kOwnEvents)}) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = who;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
  // Without it nobody gets a turn any more.
  thread_ = OwnedThread("arbiter", [this](const std::stop_token& stop) { Run(stop); });
}

void Arbiter::Add(std::uint64_t id, WorkerPage& page, std::string tenant, double weight, int cores) {
  const std::lock_guard lock(mutex_);
  page.budget_us.store(static_cast<std::uint32_t>(options_.turns.alone.count()), std::memory_order_relaxed);
  members_[id] = {.page = &page,
                  .tenant = std::move(tenant),
                  .weight = weight,
                  .cores = std::clamp(cores, 1, std::max(1, options_.cores)),
                  .observed_at = steady_clock::now()};
  wake_.Wake();
}

void Arbiter::SetWeight(std::uint64_t id, double weight) {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(id);
  if (found != members_.end()) found->second.weight = weight;
}

void Arbiter::SetTenant(std::uint64_t id, std::string tenant, double weight) {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.working) shares_.Leave(member.tenant);
  member.tenant = std::move(tenant);
  member.weight = weight;
  if (member.working) shares_.Enter(member.tenant, weight);
}

void Arbiter::Remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  bells_.Remove(id);
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.granted) Release(member);
  if (member.working) shares_.Leave(member.tenant);
  members_.erase(found);
  wake_.Wake();
}

GateFigures Arbiter::figures() const {
  const std::lock_guard lock(mutex_);
  GateFigures out = figures_;
  out.cores = std::max(1, options_.cores);
  out.workers = static_cast<int>(members_.size());
  for (const auto& [id, member] : members_) {
    if (member.waiting) ++out.waiting;
    if (member.granted) ++out.holding;
  }
  return out;
}

void Arbiter::Run(const std::stop_token& stop) {
  const std::stop_callback woken(stop, [this] { wake_.Wake(); });
  // Refused to unprivileged users, who then wait a little longer for a turn under load.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  while (!stop.stop_requested()) Listen(Decide());
}

void Arbiter::Listen(milliseconds wait) {
  {
    const std::lock_guard lock(mutex_);
    if (bells_.AnyMuted()) wait = std::min(wait, kLookWhileWaiting);
  }
  epoll_event events[kEventsAtOnceMax];
  const int count = epoll_wait(epoll_.get(), events, kEventsAtOnceMax, static_cast<int>(wait.count()));
  std::vector<std::uint64_t> rung;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t who = events[i].data.u64;
    if (who == kOwnWake) {
      wake_.Clear();
    } else if (who == kOwnEvents) {
      char told[4096];
      (void)!read(events_.read.get(), told, sizeof(told));
    } else {
      rung.push_back(who);
    }
  }
  const std::lock_guard lock(mutex_);
  bells_.Listen(rung, steady_clock::now());
}

Result<OwnedFd> Arbiter::MakeBell(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  return bells_.Make(id, steady_clock::now());
}

std::vector<std::uint64_t> Arbiter::TakeFlooding() {
  const std::lock_guard lock(mutex_);
  return bells_.TakeFlooding();
}

void Arbiter::Release(Member& member) {
  member.granted = false;
  member.claim_until = {};
  member.told_to_yield = {};
  if (!member.stuck) free_cores_ += member.cores;
  member.stuck = false;
}

// For the time since the last look in which it had the cores, and for what it says it used besides: no more than there
// was. Counters that run backwards (a hostile worker's) count as nothing.
void Arbiter::ChargeFor(Member& member, SteadyTime now) {
  const double cores = std::max(1, options_.cores);
  const double seconds = Seconds(now - member.observed_at);
  const auto grown = [](const std::atomic<std::uint64_t>& counter, std::uint64_t& seen, double most) {
    const std::uint64_t before = std::exchange(seen, counter.load(std::memory_order_acquire));
    return seen > before ? std::min(most, static_cast<double>(seen - before)) : 0.0;
  };
  if (member.granted) shares_.Charge(member.tenant, seconds * member.cores / cores);
  // Told when it is over: it is charged as it could have been used.
  member.aside_owed += grown(member.page->aside_us, member.aside_us_seen, kAsideOwedMax * 1e6) / 1e6;
  member.aside_owed = std::min(member.aside_owed, kAsideOwedMax);
  const double aside = std::min(member.aside_owed, seconds * cores);
  member.aside_owed -= aside;
  if (aside > 0) shares_.ChargeAhead(member.tenant, member.weight, aside / cores);
  const double most = kCountedAtOnceMax + seconds * kCountedPerSecondMax;
  figures_.turns += static_cast<std::uint64_t>(grown(member.page->turns, member.turns_seen, most));
  figures_.compute_seconds += grown(member.page->compute_us, member.compute_us_seen, most) / 1e6;
  member.observed_at = now;
}

void Arbiter::Observe(Member& member, SteadyTime now) {
  const std::uint32_t turn = member.page->turn.load(std::memory_order_acquire);
  const bool works = turn == kWaiting || turn == kHeld;
  if (works && !member.working) member.has_come = shares_.Enter(member.tenant, member.weight);
  if (!works && member.working) shares_.Leave(member.tenant);
  member.working = works;
  if (member.granted && turn != kHeld) Release(member);
  const bool waits = turn == kWaiting;
  if (waits && !member.waiting) member.arrival = ++arrivals_;
  member.waiting = waits;

  if (member.granted && !member.stuck && member.told_to_yield != SteadyTime{} &&
      now - member.told_to_yield > options_.turn_stuck) {
    TakeForStuck(member);
  }
}

void Arbiter::TakeForStuck(Member& member) {
  member.stuck = true;
  free_cores_ += member.cores;
  ++figures_.stuck;
  Log(LogLevel::kWarning, "a worker keeps its turn far too long; the others go on beside it",
      {{"tenant", member.tenant}});
}

void Arbiter::Grant(Member& member) {
  member.granted = true;
  member.waiting = false;
  free_cores_ -= member.cores;
  ++figures_.grants;
  std::uint32_t expected = kWaiting;
  // It may have gone to rest in this moment; the next look sees it.
  if (member.page->turn.compare_exchange_strong(expected, kHeld, std::memory_order_acq_rel)) {
    FutexWake(member.page->turn);
  } else {
    Release(member);
  }
}

void Arbiter::TellPlan(Member& member, bool others_wait, SteadyTime now) const {
  if (now >= member.claim_until) {
    const TurnPlan plan =
        PlanTurn(options_.turns, std::exchange(member.has_come, false), others_wait, now - somebody_waited_);
    member.page->budget_us.store(static_cast<std::uint32_t>(plan.budget.count()), std::memory_order_relaxed);
    member.page->crowded.store(plan.crowded ? 1 : 0, std::memory_order_relaxed);
    member.page->is_claim.store(plan.is_claim ? 1 : 0, std::memory_order_relaxed);
    if (plan.is_claim) member.claim_until = now + plan.budget;
  }
  member.page->yield.store(others_wait ? 1 : 0, std::memory_order_release);
}

milliseconds Arbiter::Decide() {
  const std::lock_guard lock(mutex_);
  const SteadyTime now = steady_clock::now();
  std::vector<Member*> waiting;
  // All are charged before anybody enters, whose counter is lifted to the others'.
  for (auto& [id, member] : members_) ChargeFor(member, now);
  for (auto& [id, member] : members_) {
    Observe(member, now);
    if (member.waiting) waiting.push_back(&member);
  }
  std::ranges::sort(waiting, {}, &Member::arrival);
  while (!waiting.empty() && free_cores_ > 0) {
    std::vector<std::string> tenants;
    for (const Member* member : waiting) tenants.push_back(member->tenant);
    const std::size_t next = shares_.Pick(tenants);
    // The least served is not passed over for one that would fit: it would never be its turn.
    if (waiting[next]->cores > free_cores_) break;
    Member& chosen = *waiting[next];
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(next));
    if (!waiting.empty()) somebody_waited_ = now;
    // Told before it begins: its first step has the right size.
    TellPlan(chosen, !waiting.empty(), now);
    Grant(chosen);
  }
  const bool contended = !waiting.empty();
  if (contended) somebody_waited_ = now;
  for (auto& [id, member] : members_) {
    if (!member.granted) continue;
    TellPlan(member, contended, now);
    if (!contended) {
      member.told_to_yield = {};
    } else if (member.told_to_yield == SteadyTime{}) {
      member.told_to_yield = now;
    }
  }
  if (contended) return kLookWhileWaiting;
  // To let turns become long again.
  return now - somebody_waited_ < options_.turns.recent ? options_.turns.recent : kLookWhileQuiet;
}

}  // namespace allod::inference::gate
