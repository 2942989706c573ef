#include "inference/gate/arbiter.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

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

// More than any machine computes: what a hostile worker can claim at most. Counters stay exact for centuries.
constexpr double kTokensPerSecondMax = 1e6;
constexpr double kTokensAtOnceMax = 65'536;
// Less than a large model decodes: what a second of the cores costs at least, whatever its holder counts.
constexpr double kCostPerSecondMin = 20;
// What a second of holding on costs one that was taken for stuck.
constexpr double kCostPerStuckSecond = 1000;

double Seconds(steady_clock::duration time) { return std::chrono::duration<double>(time).count(); }

}  // namespace

Arbiter::Arbiter(const GateOptions& options)
    : options_(options),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      shares_(options.costs),
      free_cores_(std::max(1, options.cores)) {
  int ends[2] = {-1, -1};
  (void)!pipe2(ends, O_CLOEXEC | O_NONBLOCK);
  events_read_ = ends[0];
  events_write_ = ends[1];
  thread_ = std::thread([this] { Run(); });
}

Arbiter::~Arbiter() {
  stop_.store(true);
  Tell();
  thread_.join();
  for (const int fd : {wake_, events_read_, events_write_}) close(fd);
}

void Arbiter::Tell() const {
  const std::uint64_t one = 1;
  (void)!write(wake_, &one, sizeof(one));
}

void Arbiter::Add(std::uint64_t id, WorkerPage& page, std::string tenant, double weight, int cores) {
  const std::lock_guard lock(mutex_);
  page.budget_us.store(static_cast<std::uint32_t>(options_.turn_alone.count()), std::memory_order_relaxed);
  members_[id] = {.page = &page,
                  .tenant = std::move(tenant),
                  .weight = weight,
                  .cores = std::clamp(cores, 1, std::max(1, options_.cores)),
                  .observed_at = steady_clock::now()};
  Tell();
}

void Arbiter::SetWeight(std::uint64_t id, double weight) {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(id);
  if (found != members_.end()) found->second.weight = weight;
}

void Arbiter::Remove(std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  Member& member = found->second;
  if (member.granted) Release(member);
  if (member.working) shares_.Leave(member.tenant);
  members_.erase(found);
  Tell();
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

void Arbiter::Run() {
  // Refused to unprivileged users, who then wait a little longer for a turn under load.
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  while (!stop_.load()) {
    const milliseconds wait = Decide();
    pollfd fds[2] = {{wake_, POLLIN, 0}, {events_read_, POLLIN, 0}};
    poll(fds, 2, static_cast<int>(wait.count()));
    std::uint64_t count = 0;
    (void)!read(wake_, &count, sizeof(count));
    char events[4096];
    (void)!read(events_read_, events, sizeof(events));
  }
}

void Arbiter::Release(Member& member) {
  member.granted = false;
  member.told_to_yield = {};
  if (!member.stuck) free_cores_ += member.cores;
  member.stuck = false;
}

// What the worker computed since the last look: by its own counters, but no less than the time is worth that it had the
// cores, and no more than could be. Counters that run backwards (a hostile worker's) count as nothing.
void Arbiter::ChargeFor(Member& member, SteadyTime now) {
  const std::uint64_t prompt = member.page->prompt_tokens.load(std::memory_order_relaxed);
  const std::uint64_t decode = member.page->decode_tokens.load(std::memory_order_relaxed);
  const double seconds = Seconds(now - member.observed_at);
  const double most = kTokensAtOnceMax + seconds * kTokensPerSecondMax;
  const auto grown = [most](std::uint64_t counter, std::uint64_t seen) {
    return counter > seen ? static_cast<std::int64_t>(std::min(most, static_cast<double>(counter - seen))) : 0;
  };
  member.cost_of_tokens += shares_.Cost(grown(prompt, member.prompt_seen), grown(decode, member.decode_seen));
  if (member.granted) member.cost_of_time += seconds * kCostPerSecondMin;
  const double cost = std::max(member.cost_of_tokens, member.cost_of_time);
  shares_.Charge(member.tenant, cost - member.charged);
  member.charged = std::max(member.charged, cost);
  member.prompt_seen = prompt;
  member.decode_seen = decode;
  const std::uint64_t turns = member.page->turns.load(std::memory_order_acquire);
  figures_.turns += static_cast<std::uint64_t>(grown(turns, member.turns_seen));
  member.turns_seen = turns;
  const std::uint64_t compute_us = member.page->compute_us.load(std::memory_order_relaxed);
  figures_.compute_seconds += static_cast<double>(grown(compute_us, member.compute_us_seen)) / 1e6;
  member.compute_us_seen = compute_us;
  member.observed_at = now;
}

void Arbiter::Observe(Member& member, SteadyTime now) {
  const std::uint32_t turn = member.page->turn.load(std::memory_order_acquire);
  const bool works = turn == kWaiting || turn == kHeld;
  if (works && !member.working) shares_.Enter(member.tenant, member.weight);
  if (!works && member.working) shares_.Leave(member.tenant);
  member.working = works;
  if (member.granted && turn != kHeld) Release(member);
  const bool waits = turn == kWaiting;
  if (waits && !member.waiting) member.arrival = ++arrivals_;
  member.waiting = waits;

  if (member.granted && !member.stuck && member.told_to_yield != SteadyTime{} &&
      now - member.told_to_yield > options_.turn_stuck) {
    TakeForStuck(member, now);
  }
}

void Arbiter::TakeForStuck(Member& member, SteadyTime now) {
  member.stuck = true;
  free_cores_ += member.cores;
  ++figures_.stuck;
  shares_.Charge(member.tenant, Seconds(now - member.told_to_yield) * kCostPerStuckSecond);
  Log(LogLevel::kWarning, "a worker keeps its turn far too long; the others go on beside it",
      {{"tenant", member.tenant}});
}

void Arbiter::Grant(Member& member) {
  member.granted = true;
  member.waiting = false;
  member.cost_of_tokens = member.cost_of_time = member.charged = 0;
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
    // Told before it begins: its first step has the right size.
    chosen.page->yield.store(waiting.empty() ? 0 : 1, std::memory_order_release);
    chosen.page->budget_us.store(
        static_cast<std::uint32_t>((waiting.empty() ? options_.turn_alone : options_.turn_contended).count()),
        std::memory_order_relaxed);
    Grant(chosen);
  }
  const bool contended = !waiting.empty();
  const auto budget = contended ? options_.turn_contended : options_.turn_alone;
  for (auto& [id, member] : members_) {
    if (!member.granted) continue;
    member.page->budget_us.store(static_cast<std::uint32_t>(budget.count()), std::memory_order_relaxed);
    member.page->yield.store(contended ? 1 : 0, std::memory_order_release);
    if (!contended) {
      member.told_to_yield = {};
    } else if (member.told_to_yield == SteadyTime{}) {
      member.told_to_yield = now;
    }
  }
  return contended ? kLookWhileWaiting : kLookWhileQuiet;
}

}  // namespace allod::inference::gate
