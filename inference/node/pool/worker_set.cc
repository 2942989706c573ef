#include "inference/node/pool/worker_set.h"

#include <algorithm>

namespace allod::inference::node::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kWorkerHealthyAfter = seconds(30);
constexpr auto kTerminateGrace = seconds(3);
// Forking and making a context takes milliseconds; one that takes this long is stuck.
constexpr auto kStartTimeout = minutes(1);
constexpr std::size_t kEpochsMax = 4096;
// A worker takes a list of members between two messages; one that is silent for this long is told again.
constexpr auto kTellAgainAfter = seconds(2);
constexpr int kTellingsMax = 5;
constexpr auto kDoesNotListen = "worker did not take its members and was killed";

// Whether a process started for `a` can go on for `b`. Pooled workers have a shape of their own.
bool SameProcess(const DesiredWorker& a, const DesiredWorker& b) {
  if (a.model_key() != b.model_key() || a.worker_key() != b.worker_key()) return false;
  if (a.isolation == IsolationClass::kPooled) return true;
  // All but the weight, which it is told while it runs.
  ports::Member would_be = a.member;
  would_be.weight = b.member.weight;
  return would_be == b.member;
}

bool SameMember(const DesiredWorker& a, const DesiredWorker& b) {
  return a.replica_uid == b.replica_uid && a.member == b.member;
}

// It sleeps when all of its members may.
std::optional<seconds> SleepAfter(const std::map<std::string, DesiredWorker>& members) {
  seconds longest{0};
  for (const auto& [uid, member] : members) {
    if (member.sleep_after == seconds(0)) return std::nullopt;
    longest = std::max(longest, member.sleep_after);
  }
  return members.empty() ? std::nullopt : std::optional(longest);
}

}  // namespace

void WorkerSet::RememberEpoch(const std::string& replica_uid, std::int64_t epoch) {
  epochs_[replica_uid] = epoch;
  if (epochs_.size() <= kEpochsMax) return;
  std::set<std::string> present;
  for (const auto& [key, worker] : workers_) {
    for (const auto& [uid, member] : worker.members) present.insert(uid);
  }
  // Replica uids sort by time: the first are the oldest.
  for (auto it = epochs_.begin(); epochs_.size() > kEpochsMax && it != epochs_.end();) {
    it = present.contains(it->first) ? std::next(it) : epochs_.erase(it);
  }
}

std::vector<std::string> WorkerSet::SetDesired(const std::vector<DesiredWorker>& desired, SteadyTime now) {
  std::vector<std::string> refused;
  std::map<std::string, std::map<std::string, DesiredWorker>> wanted;  // by worker, by replica
  unusable_.clear();
  for (const DesiredWorker& d : desired) {
    if (!d.refused_because.empty()) {
      unusable_.push_back(d);
      continue;
    }
    const auto seen = epochs_.find(d.replica_uid);
    if (seen != epochs_.end() && d.epoch < seen->second) {
      refused.push_back(d.replica_uid);
      // What was accepted before stays.
      for (const auto& [key, worker] : workers_) {
        const auto member = worker.members.find(d.replica_uid);
        if (member != worker.members.end()) wanted[key][d.replica_uid] = member->second;
      }
      continue;
    }
    RememberEpoch(d.replica_uid, d.epoch);
    wanted[d.worker_key()][d.replica_uid] = d;
  }
  for (auto& [key, members] : wanted) {
    Worker& worker = workers_[key];
    if (!worker.members.empty() && !SameProcess(worker.members.begin()->second, members.begin()->second)) {
      // Another model or shape: the old one's failures say nothing about it.
      worker.failures = 0;
      worker.model_refused = false;
      worker.not_before = now;
      worker.message.clear();
      if (worker.phase == Phase::kAsleep) worker.phase = Phase::kNone;
    }
    if (worker.members.empty()) worker.last_active = now;
    worker.members = std::move(members);
    // Told never to sleep while it does.
    if (worker.phase == Phase::kAsleep && !SleepAfter(worker.members)) worker.phase = Phase::kNone;
  }
  for (auto it = workers_.begin(); it != workers_.end();) {
    Worker& worker = it->second;
    if (!wanted.contains(it->first)) worker.members.clear();
    const bool has_process = worker.phase != Phase::kNone && worker.phase != Phase::kAsleep;
    it = worker.members.empty() && !has_process ? workers_.erase(it) : std::next(it);
  }
  models_.ForgetUnwanted(WantedModels());
  return refused;
}

std::set<std::string> WorkerSet::UsedModels() const {
  std::set<std::string> out;
  for (const auto& [key, worker] : workers_) {
    if (worker.phase == Phase::kAsleep) continue;
    if (worker.phase != Phase::kNone) out.insert(worker.running.model_key());
    if (!worker.members.empty()) out.insert(worker.members.begin()->second.model_key());
  }
  return out;
}

std::set<std::string> WorkerSet::WantedModels() const {
  std::set<std::string> out = UsedModels();
  for (const auto& [key, worker] : workers_) {
    if (!worker.members.empty()) out.insert(worker.members.begin()->second.model_key());
  }
  return out;
}

std::optional<Action> WorkerSet::StopAction(const std::string& key, Worker& worker, SteadyTime now) {
  const auto act = [&](Phase phase, Action::Kind kind, bool on_purpose) {
    worker.phase = phase;
    worker.since = now;
    worker.on_purpose = on_purpose;
    return Action{.kind = kind, .worker_key = key, .model_key = worker.running.model_key()};
  };
  switch (worker.phase) {
    case Phase::kStarting:
    case Phase::kReady: {
      if (worker.members.empty() || !SameProcess(worker.members.begin()->second, worker.running)) {
        worker.goes_to_sleep = false;
        return act(Phase::kTerminating, Action::Kind::kTerminate, true);
      }
      if (worker.phase == Phase::kStarting) {
        if (now - worker.since < kStartTimeout) return std::nullopt;
        return act(Phase::kKilling, Action::Kind::kKill, false);
      }
      const auto sleep_after = SleepAfter(worker.members);
      if (sleep_after && now - worker.last_active >= *sleep_after) {
        worker.goes_to_sleep = true;
        return act(Phase::kTerminating, Action::Kind::kTerminate, true);
      }
      if (worker.tellings >= kTellingsMax && !worker.is_told && now - worker.told_at >= kTellAgainAfter) {
        worker.message = kDoesNotListen;
        return act(Phase::kKilling, Action::Kind::kKill, false);
      }
      return MembersAction(key, worker, now);
    }
    case Phase::kTerminating:
      if (now < KillTime(worker)) return std::nullopt;
      return act(Phase::kKilling, Action::Kind::kKill, true);
    case Phase::kNone:
    case Phase::kKilling:
    case Phase::kAsleep:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Action> WorkerSet::MembersAction(const std::string& key, Worker& worker, SteadyTime now) {
  auto held = MembershipOf(worker.members).held;
  const bool news = !std::ranges::equal(held, worker.told, SameMember);
  if (!news && (worker.is_told || now - worker.told_at < kTellAgainAfter)) return std::nullopt;
  if (news) {
    worker.told = std::move(held);
    worker.tellings = 0;
  }
  ++worker.told_version;
  ++worker.tellings;
  worker.is_told = false;
  worker.told_at = now;
  return Action{.kind = Action::Kind::kMembers,
                .worker_key = key,
                .members = worker.told,
                .members_version = worker.told_version};
}

void WorkerSet::Confirm(Worker& worker, const std::vector<ports::RefusedMember>& refused) {
  worker.is_told = true;
  worker.answered.clear();
  worker.refused.clear();
  for (const DesiredWorker& replica : worker.told) {
    const std::string& instance = replica.member.instance;
    const auto found = std::ranges::find(refused, instance, &ports::RefusedMember::instance);
    if (found == refused.end()) {
      worker.answered.insert(replica.replica_uid);
    } else {
      worker.refused[replica.replica_uid] = "its worker refuses " + instance + ", which " + found->why;
    }
  }
}

std::optional<Action> WorkerSet::StartAction(const std::string& key, Worker& worker, SteadyTime now,
                                             std::int64_t memory_available) {
  if (worker.phase != Phase::kNone || worker.members.empty() || now < worker.not_before) return std::nullopt;
  const DesiredWorker& first = worker.members.begin()->second;
  const std::string model = first.model_key();
  if (!models_.IsResident(model)) return models_.Ensure(first, now, memory_available);
  worker.phase = Phase::kStarting;
  worker.since = now;
  worker.last_active = now;
  worker.on_purpose = false;
  worker.goes_to_sleep = false;
  worker.running = first;
  worker.told = MembershipOf(worker.members).held;
  worker.is_told = true;  // when it is ready
  worker.tellings = 0;
  worker.answered.clear();
  worker.refused.clear();
  ++worker.start_count;
  models_.OnUsed(model, now);
  return Action{.kind = Action::Kind::kFork, .worker_key = key, .model_key = model, .members = worker.told};
}

std::optional<Action> WorkerSet::NextAction(SteadyTime now, std::int64_t memory_available) {
  // Stops first: what goes frees memory for what comes.
  for (auto& [key, worker] : workers_) {
    if (auto action = StopAction(key, worker, now)) return action;
  }
  if (auto action = models_.Evict(UsedModels(), WantedModels(), now)) return action;
  for (auto& [key, worker] : workers_) {
    if (auto action = StartAction(key, worker, now, memory_available)) return action;
  }
  return std::nullopt;
}

SteadyTime WorkerSet::KillTime(const Worker& worker) const {
  return std::min(std::max(worker.since, worker.last_active), worker.since + drain_) + kTerminateGrace;
}

std::optional<SteadyTime> WorkerSet::DeadlineOf(const Worker& worker) const {
  switch (worker.phase) {
    case Phase::kTerminating:
      return KillTime(worker);
    case Phase::kStarting:
      return worker.since + kStartTimeout;
    case Phase::kReady: {
      const auto sleep_after = SleepAfter(worker.members);
      std::optional<SteadyTime> next;
      if (sleep_after) next = worker.last_active + *sleep_after;
      const SteadyTime tell_again = worker.told_at + kTellAgainAfter;
      if (!worker.is_told) next = next ? std::min(*next, tell_again) : tell_again;
      return next;
    }
    case Phase::kNone: {
      if (worker.members.empty()) return std::nullopt;
      const std::string model = worker.members.begin()->second.model_key();
      if (models_.IsResident(model)) return worker.not_before;
      const auto retry = models_.RetryTime(model);
      return retry ? std::optional(std::max(*retry, worker.not_before)) : std::nullopt;
    }
    case Phase::kKilling:
    case Phase::kAsleep:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<SteadyTime> WorkerSet::NextDeadline() const {
  std::optional<SteadyTime> next = models_.NextDeadline(UsedModels());
  for (const auto& [key, worker] : workers_) {
    if (const auto at = DeadlineOf(worker)) next = next ? std::min(*next, *at) : *at;
  }
  return next;
}

std::set<std::string> WorkerSet::WorkersToListenFor() const {
  std::set<std::string> out;
  for (const auto& [key, worker] : workers_) {
    if (worker.members.empty()) continue;
    // Who connects to one that does not start would wait for nothing.
    const bool fails =
        worker.phase == Phase::kNone && (worker.failures >= kFailuresShownAsFailed || worker.model_refused ||
                                         models_.Failed(worker.members.begin()->second.model_key()));
    if (!fails) out.insert(key);
  }
  return out;
}

void WorkerSet::OnListening(const std::string& worker_key, const std::string& target) {
  if (const auto found = workers_.find(worker_key); found != workers_.end()) found->second.target = target;
}

void WorkerSet::OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& path, SteadyTime now) {
  models_.OnArtifact(sha256, path, now);
}

void WorkerSet::OnResident(const std::string& model_key, SteadyTime now) { models_.OnResident(model_key, now); }

void WorkerSet::OnModelExit(const std::string& model_key, const ProcessExit& exit, SteadyTime now) {
  models_.OnExit(model_key, exit, now);
}

void WorkerSet::OnMembers(const std::string& worker_key, std::uint64_t version,
                          const std::vector<ports::RefusedMember>& refused) {
  const auto found = workers_.find(worker_key);
  if (found == workers_.end() || found->second.phase != Phase::kReady) return;
  // Of an older list, or of one that was never told.
  if (found->second.is_told || version != found->second.told_version) return;
  Confirm(found->second, refused);
}

void WorkerSet::OnReady(const std::string& worker_key, SteadyTime now,
                        const std::vector<ports::RefusedMember>& refused) {
  const auto found = workers_.find(worker_key);
  if (found == workers_.end() || found->second.phase != Phase::kStarting) return;
  Worker& worker = found->second;
  worker.phase = Phase::kReady;
  worker.since = now;
  worker.last_active = now;
  worker.message.clear();
  worker.model_refused = false;
  Confirm(worker, refused);
}

void WorkerSet::OnWorkerExit(const std::string& worker_key, const ProcessExit& exit, SteadyTime now) {
  const auto found = workers_.find(worker_key);
  if (found == workers_.end()) return;
  Worker& worker = found->second;
  if (worker.phase == Phase::kNone || worker.phase == Phase::kAsleep) return;
  const bool was_ready = worker.phase == Phase::kReady;
  const bool was_healthy = was_ready && now - worker.since >= kWorkerHealthyAfter;
  const bool timed_out = worker.phase == Phase::kKilling && !worker.on_purpose;
  worker.phase = Phase::kNone;
  worker.told.clear();
  worker.answered.clear();
  worker.refused.clear();
  worker.is_told = true;
  models_.OnUsed(worker.running.model_key(), now);
  if (worker.members.empty()) {
    workers_.erase(found);
    return;
  }
  if (worker.on_purpose) {
    worker.not_before = now;
    if (worker.goes_to_sleep && SleepAfter(worker.members)) {
      worker.phase = Phase::kAsleep;
      worker.since = now;
    }
    return;
  }
  if (was_healthy) worker.failures = 0;
  ++worker.failures;
  worker.model_refused = !was_ready && exit.status == kExitModelRefused;
  if (!timed_out) {
    worker.message = "worker ended, " + Describe(exit);
  } else if (worker.message != kDoesNotListen) {
    worker.message = "worker did not answer in time and was killed";
  }
  worker.not_before = now + (worker.model_refused ? milliseconds(kModelRefusedDelay) : RestartDelay(worker.failures));
}

void WorkerSet::OnActivity(const std::string& worker_key, SteadyTime now) {
  if (const auto found = workers_.find(worker_key); found != workers_.end()) found->second.last_active = now;
}

void WorkerSet::OnKnock(const std::string& worker_key, SteadyTime now) {
  const auto found = workers_.find(worker_key);
  if (found == workers_.end() || found->second.phase != Phase::kAsleep) return;
  found->second.phase = Phase::kNone;
  found->second.not_before = now;
  ++found->second.wake_count;
}

ObservedWorker WorkerSet::Observe(const std::string& key, const Worker& worker, const DesiredWorker& member,
                                  const Membership& membership) const {
  ObservedWorker out;
  out.replica_uid = member.replica_uid;
  out.epoch = member.epoch;
  out.worker_key = key;
  out.start_count = worker.start_count;
  out.wake_count = worker.wake_count;
  out.message = worker.message;
  out.target = worker.target;
  const bool has_process = worker.phase != Phase::kNone && worker.phase != Phase::kAsleep;
  if (has_process && !SameProcess(member, worker.running)) {
    // Of what still runs the epoch is the old one's: it must not pass for what is wanted.
    out.epoch = worker.running.epoch;
    out.target.clear();
    out.message = "stopping";
    return out;
  }
  const bool answered = worker.phase == Phase::kReady && worker.answered.contains(member.replica_uid);
  const auto left_out = membership.left_out.find(member.replica_uid);
  if (!answered && left_out != membership.left_out.end()) {
    out.state = WorkerState::kFailed;
    out.target.clear();
    out.message = left_out->second;
    return out;
  }
  switch (worker.phase) {
    case Phase::kReady:
      if (answered) {
        out.state = WorkerState::kReady;
        return out;
      }
      // It would be told that nobody of that name is here.
      out.target.clear();
      if (const auto refused = worker.refused.find(member.replica_uid); refused != worker.refused.end()) {
        out.state = WorkerState::kFailed;
        out.message = refused->second;
      } else {
        out.message = "its worker is told of it";
      }
      return out;
    case Phase::kTerminating:
      if (worker.goes_to_sleep) out.state = WorkerState::kAsleep;
      return out;
    case Phase::kAsleep:
      out.state = WorkerState::kAsleep;
      return out;
    case Phase::kStarting:
      // One that came after the fork is told of when the worker is ready; who connected before would be turned away.
      if (std::ranges::find(worker.told, member.replica_uid, &DesiredWorker::replica_uid) == worker.told.end()) {
        out.target.clear();
      }
      break;
    case Phase::kKilling:
    case Phase::kNone:
      break;
  }
  if (worker.model_refused || worker.failures >= kFailuresShownAsFailed) out.state = WorkerState::kFailed;
  if (worker.phase == Phase::kNone && !models_.IsResident(member.model_key())) {
    if (const std::string why = models_.Message(member.model_key()); !why.empty()) out.message = why;
    if (models_.Failed(member.model_key())) out.state = WorkerState::kFailed;
  }
  return out;
}

std::vector<ObservedWorker> WorkerSet::Observed() const {
  std::vector<ObservedWorker> out;
  for (const auto& [key, worker] : workers_) {
    const Membership membership = MembershipOf(worker.members);
    for (const auto& [uid, member] : worker.members) out.push_back(Observe(key, worker, member, membership));
    if (!worker.members.empty()) continue;
    // No longer wanted and still there.
    for (const DesiredWorker& member : worker.told) {
      ObservedWorker stopping;
      stopping.replica_uid = member.replica_uid;
      stopping.epoch = member.epoch;
      stopping.worker_key = key;
      stopping.message = "stopping";
      stopping.start_count = worker.start_count;
      out.push_back(std::move(stopping));
    }
  }
  for (const DesiredWorker& unusable : unusable_) {
    ObservedWorker failed;
    failed.replica_uid = failed.worker_key = unusable.replica_uid;
    failed.epoch = unusable.epoch;
    failed.state = WorkerState::kFailed;
    failed.message = unusable.refused_because;
    out.push_back(std::move(failed));
  }
  return out;
}

bool WorkerSet::IsStarting() const {
  return std::ranges::any_of(workers_, [](const auto& entry) { return entry.second.phase == Phase::kStarting; });
}

std::vector<std::string> WorkerSet::Sleeping() const {
  std::vector<std::string> out;
  for (const auto& [key, worker] : workers_) {
    if (worker.phase == Phase::kAsleep) out.push_back(key);
  }
  return out;
}

}  // namespace allod::inference::node::pool
