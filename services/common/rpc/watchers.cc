#include "services/common/rpc/watchers.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <utility>

#include "services/common/ids.h"
#include "services/common/log.h"
#include "services/common/metrics.h"

namespace allod {
namespace {

using std::chrono::milliseconds;

// What is kept of a caller's deadline for the answer.
constexpr milliseconds kAcknowledgedAnswerTime{50};

prometheus::Gauge& GaugeOf(const char* name, const char* help, const std::string& state) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(Metrics()).Add({{"state", state}});
}

prometheus::Counter& WaitsOf(const std::string& state, const char* result) {
  return prometheus::BuildCounter()
      .Name("allod_watch_waits_total")
      .Help("Mutations that waited until watchers had applied them, by whether all did in time.")
      .Register(Metrics())
      .Add({{"state", state}, {"result", result}});
}

}  // namespace

Watchers::Place::Place(Place&& other) noexcept
    : watchers_(std::exchange(other.watchers_, nullptr)), number_(other.number_) {}

Watchers::Place::~Place() {
  if (watchers_ != nullptr) watchers_->Leave(number_);
}

void Watchers::Place::Sending(std::int64_t version) {
  const std::scoped_lock lock(watchers_->mutex_);
  Watcher& watcher = watchers_->watchers_.at(number_);
  watcher.sent = std::max(watcher.sent, version);
}

Watchers::Watchers(std::string state, int watchers_max)
    : state_(std::move(state)),
      watchers_max_(watchers_max),
      connected_(GaugeOf("allod_watchers", "Connected watchers of a pushed state.", state_)),
      lagging_(GaugeOf("allod_watchers_lagging", "Watchers of a pushed state that mutations do not wait for.", state_)),
      acknowledged_(WaitsOf(state_, "acknowledged")),
      ran_out_(WaitsOf(state_, "ran_out")) {}

Result<Watchers::Place> Watchers::Join(const std::string& watcher_id) {
  if (!watcher_id.empty() && !Uuid::Parse(watcher_id)) {
    return InvalidArgument("INVALID_WATCHER_ID", "watcher_id: give a UUID made for this stream, or leave it empty");
  }
  const std::scoped_lock lock(mutex_);
  if (std::cmp_greater_equal(watchers_.size(), watchers_max_)) {
    return Fail(Code::kResourceExhausted, "TOO_MANY_WATCHERS",
                fmt::format("{} watchers of {} are connected already; try again", watchers_max_, state_));
  }
  for (const auto& [number, watcher] : watchers_) {
    if (watcher_id.empty() || watcher.id != watcher_id) continue;
    return Fail(Code::kAlreadyExists, "WATCHER_ID_IN_USE",
                "watcher_id: another stream has it; make one for each stream");
  }
  const std::uint64_t number = next_++;
  watchers_[number].id = watcher_id;
  SetGauges();
  return Place(*this, number);
}

void Watchers::Leave(std::uint64_t number) {
  const std::scoped_lock lock(mutex_);
  watchers_.erase(number);
  SetGauges();
  changed_.notify_all();
}

Status Watchers::Acknowledge(const std::string& watcher_id, std::int64_t version) {
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(watchers_, [&](const auto& item) { return item.second.id == watcher_id; });
  if (watcher_id.empty() || found == watchers_.end()) {
    return NotFound(fmt::format("watcher_id: no stream of {} has it; watch again", state_));
  }
  Watcher& watcher = found->second;
  if (version > watcher.sent) {
    return InvalidArgument("VERSION_NOT_SENT",
                           fmt::format("version: {} was not sent to this watcher, {} was", version, watcher.sent));
  }
  watcher.applied = std::max(watcher.applied, version);
  if (watcher.lagging && watcher.applied >= watcher.missed) {
    watcher.lagging = false;
    Log(LogLevel::kInfo, "a watcher keeps up again", {{"state", state_}, {"watcher", watcher.id}});
    SetGauges();
  }
  changed_.notify_all();
  return {};
}

bool Watchers::WaitedFor(const Watcher& watcher, std::int64_t version) const {
  return !watcher.id.empty() && !watcher.lagging && watcher.applied < version;
}

void Watchers::ExpectFor(milliseconds time) {
  const std::scoped_lock lock(mutex_);
  expected_until_ = std::chrono::steady_clock::now() + time;
}

bool Watchers::Await(std::int64_t version, milliseconds wait) {
  using std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  const auto until = steady_clock::now() + wait;
  // Nobody ends this wait: it is for those that are not there.
  while (steady_clock::now() < std::min(until, expected_until_)) {
    changed_.wait_until(lock, std::min(until, expected_until_));
  }
  const bool all = changed_.wait_until(lock, until, [&] {
    return std::ranges::none_of(watchers_, [&](const auto& item) { return WaitedFor(item.second, version); });
  });
  (all ? acknowledged_ : ran_out_).Increment();
  if (all) return true;
  for (auto& [number, watcher] : watchers_) {
    // One that applied all that it was sent waits for this service, not the other way round. One that did not is
    // behind, whether or not the newest is on its way: its stream may be stuck.
    if (!WaitedFor(watcher, version) || (watcher.sent < version && watcher.applied >= watcher.sent)) continue;
    watcher.lagging = true;
    watcher.missed = watcher.sent;
    Log(LogLevel::kWarning, "a watcher lags and is not waited for",
        {{"state", state_}, {"watcher", watcher.id}, {"waited_ms", std::to_string(wait.count())}});
  }
  SetGauges();
  return false;
}

void Watchers::SetGauges() {
  connected_.Set(static_cast<double>(watchers_.size()));
  lagging_.Set(
      static_cast<double>(std::ranges::count_if(watchers_, [](const auto& item) { return item.second.lagging; })));
}

milliseconds AcknowledgementWait(const grpc::ServerContext& context) {
  const auto deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return Watchers::kWaitMax;
  const auto left =
      std::chrono::duration_cast<milliseconds>(deadline - std::chrono::system_clock::now()) - kAcknowledgedAnswerTime;
  return std::clamp(left, milliseconds(0), Watchers::kWaitMax);
}

}  // namespace allod
