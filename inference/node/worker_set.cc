#include "inference/node/worker_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <set>

namespace allod::inference::node {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kRestartFirst = milliseconds(100);
constexpr auto kRestartMax = milliseconds(10'000);
constexpr auto kHealthyAfter = seconds(30);
constexpr auto kTerminateGrace = seconds(3);
constexpr auto kModelRefusedDelay = minutes(1);
// Reading a large model from a slow disk takes minutes; one that takes longer than this is stuck.
constexpr auto kStartTimeout = minutes(10);
constexpr int kFailuresShownAsFailed = 3;
constexpr int kExitModelRefused = 3;
constexpr std::size_t kEpochsMax = 4096;

std::string Describe(const WorkerExit& exit) {
  std::string how = exit.signal ? fmt::format("killed by signal {} ({})", *exit.signal, strsignal(*exit.signal))
                                : fmt::format("exit status {}", exit.status.value_or(-1));
  return exit.last_line.empty() ? how : fmt::format("{}: {}", how, exit.last_line);
}

}  // namespace

std::chrono::milliseconds RestartDelay(int failures) {
  return std::min(kRestartMax, kRestartFirst * (1 << std::clamp(failures - 1, 0, 10)));
}

bool DesiredWorker::SameProcess(const DesiredWorker& other) const {
  return instance == other.instance && artifact_sha256 == other.artifact_sha256 &&
         context_tokens == other.context_tokens && max_concurrency == other.max_concurrency;
}

void WorkerSet::RememberEpoch(const std::string& replica_uid, std::int64_t epoch) {
  epochs_[replica_uid] = epoch;
  for (auto it = epochs_.begin(); epochs_.size() > kEpochsMax && it != epochs_.end();) {
    // Replica uids sort by time: the first are the oldest.
    it = entries_.contains(it->first) ? std::next(it) : epochs_.erase(it);
  }
}

std::vector<std::string> WorkerSet::SetDesired(const std::vector<DesiredWorker>& desired, SteadyTime now) {
  std::vector<std::string> refused;
  std::set<std::string> named;
  for (const DesiredWorker& d : desired) {
    named.insert(d.replica_uid);
    const auto seen = epochs_.find(d.replica_uid);
    if (seen != epochs_.end() && d.epoch < seen->second) {
      refused.push_back(d.replica_uid);
      continue;
    }
    Entry& entry = entries_[d.replica_uid];
    RememberEpoch(d.replica_uid, d.epoch);
    if (entry.desired && !entry.desired->SameProcess(d)) {
      // Another model or shape: the old one's failures say nothing about it.
      entry.failures = 0;
      entry.model_refused = false;
      entry.not_before = now;
      entry.message.clear();
    }
    entry.desired = d;
  }
  for (auto it = entries_.begin(); it != entries_.end();) {
    Entry& entry = it->second;
    if (!named.contains(it->first)) entry.desired.reset();
    it = !entry.desired && entry.phase == Phase::kNone ? entries_.erase(it) : std::next(it);
  }
  std::erase_if(artifacts_, [&](const auto& artifact) {
    return std::ranges::none_of(entries_, [&](const auto& e) {
      return e.second.desired && e.second.desired->artifact_sha256 == artifact.first;
    });
  });
  return refused;
}

std::optional<Action> WorkerSet::StopAction(Entry& entry, SteadyTime now) {
  switch (entry.phase) {
    case Phase::kStarting:
    case Phase::kReady:
      if (!entry.desired || !entry.desired->SameProcess(entry.running)) {
        entry.phase = Phase::kTerminating;
        entry.since = now;
        entry.on_purpose = true;
        return Action{Action::Kind::kTerminate, entry.running, {}, 0};
      }
      if (entry.phase == Phase::kStarting && now - entry.since >= kStartTimeout) {
        entry.phase = Phase::kKilling;
        entry.since = now;
        entry.on_purpose = false;
        return Action{Action::Kind::kKill, entry.running, {}, 0};
      }
      return std::nullopt;
    case Phase::kTerminating:
      if (now - entry.since < kTerminateGrace) return std::nullopt;
      entry.phase = Phase::kKilling;
      entry.since = now;
      return Action{Action::Kind::kKill, entry.running, {}, 0};
    case Phase::kNone:
    case Phase::kKilling:
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Action> WorkerSet::StartAction(Entry& entry, SteadyTime now) {
  if (entry.phase != Phase::kNone || !entry.desired || now < entry.not_before) return std::nullopt;
  Artifact& artifact = artifacts_[entry.desired->artifact_sha256];
  switch (artifact.state) {
    case Artifact::State::kFetching:
      return std::nullopt;
    case Artifact::State::kFailed:
      if (now < artifact.not_before) return std::nullopt;
      [[fallthrough]];
    case Artifact::State::kUnknown:
      artifact.state = Artifact::State::kFetching;
      return Action{Action::Kind::kFetch, *entry.desired, {}, 0};
    case Artifact::State::kPresent:
      break;
  }
  entry.phase = Phase::kStarting;
  entry.since = now;
  entry.on_purpose = false;
  entry.running = *entry.desired;
  ++entry.start_count;
  return Action{Action::Kind::kStart, entry.running, artifact.path, ++starts_};
}

std::optional<Action> WorkerSet::NextAction(SteadyTime now) {
  // Stops first: what goes frees memory for what comes.
  for (auto& [uid, entry] : entries_) {
    if (auto action = StopAction(entry, now)) return action;
  }
  for (auto& [uid, entry] : entries_) {
    if (auto action = StartAction(entry, now)) return action;
  }
  return std::nullopt;
}

std::optional<SteadyTime> WorkerSet::NextDeadline() const {
  std::optional<SteadyTime> next;
  const auto consider = [&](SteadyTime t) { next = next ? std::min(*next, t) : t; };
  for (const auto& [uid, entry] : entries_) {
    if (entry.phase == Phase::kTerminating) consider(entry.since + kTerminateGrace);
    if (entry.phase == Phase::kStarting) consider(entry.since + kStartTimeout);
    if (entry.phase != Phase::kNone || !entry.desired) continue;
    const auto artifact = artifacts_.find(entry.desired->artifact_sha256);
    if (artifact != artifacts_.end() && artifact->second.state == Artifact::State::kFetching) continue;
    const bool failed = artifact != artifacts_.end() && artifact->second.state == Artifact::State::kFailed;
    consider(failed ? std::max(entry.not_before, artifact->second.not_before) : entry.not_before);
  }
  return next;
}

void WorkerSet::OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& path, SteadyTime now) {
  const auto found = artifacts_.find(sha256);
  if (found == artifacts_.end()) return;  // no longer wanted
  Artifact& artifact = found->second;
  if (path) {
    artifact = {.state = Artifact::State::kPresent, .path = *path};
    return;
  }
  artifact.state = Artifact::State::kFailed;
  artifact.message = fmt::format("artifact {}: {}", sha256.substr(0, 12), path.error().message);
  artifact.not_before = now + RestartDelay(++artifact.failures);
}

void WorkerSet::OnReady(const std::string& replica_uid, const std::string& target, SteadyTime now) {
  const auto found = entries_.find(replica_uid);
  if (found == entries_.end() || found->second.phase != Phase::kStarting) return;
  Entry& entry = found->second;
  entry.phase = Phase::kReady;
  entry.since = now;
  entry.target = target;
  entry.message.clear();
  entry.model_refused = false;
}

void WorkerSet::OnExit(const std::string& replica_uid, const WorkerExit& exit, SteadyTime now) {
  const auto found = entries_.find(replica_uid);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  const bool was_healthy = entry.phase == Phase::kReady && now - entry.since >= kHealthyAfter;
  const bool timed_out = entry.phase == Phase::kKilling && !entry.on_purpose;
  const bool on_purpose = entry.on_purpose;
  const bool was_ready = entry.phase == Phase::kReady;
  entry.phase = Phase::kNone;
  entry.target.clear();
  // The store may have lost the file meanwhile: look again before the next start.
  if (const auto a = artifacts_.find(entry.running.artifact_sha256);
      a != artifacts_.end() && a->second.state == Artifact::State::kPresent) {
    a->second.state = Artifact::State::kUnknown;
  }
  if (!entry.desired) {
    entries_.erase(found);
    return;
  }
  if (on_purpose) {
    entry.not_before = now;
    return;
  }
  if (was_healthy) entry.failures = 0;
  ++entry.failures;
  entry.model_refused = !was_ready && exit.status == kExitModelRefused;
  entry.message = timed_out ? "worker did not answer in time and was killed" : "worker ended, " + Describe(exit);
  entry.not_before = now + (entry.model_refused ? milliseconds(kModelRefusedDelay) : RestartDelay(entry.failures));
}

std::vector<ObservedWorker> WorkerSet::Observed() const {
  std::vector<ObservedWorker> out;
  for (const auto& [uid, entry] : entries_) {
    ObservedWorker o;
    o.replica_uid = uid;
    o.start_count = entry.start_count;
    const bool current = entry.desired && (entry.phase == Phase::kNone || entry.desired->SameProcess(entry.running));
    o.epoch = current ? entry.desired->epoch : entry.running.epoch;
    o.message = entry.message;
    if (entry.phase == Phase::kReady && current) {
      o.state = WorkerState::kReady;
      o.target = entry.target;
    } else if (entry.phase != Phase::kNone && !current) {
      o.message = "stopping";
    } else if (entry.model_refused || entry.failures >= kFailuresShownAsFailed) {
      o.state = WorkerState::kFailed;
    }
    if (current && entry.phase == Phase::kNone) {
      const auto artifact = artifacts_.find(entry.desired->artifact_sha256);
      if (artifact != artifacts_.end() && artifact->second.state == Artifact::State::kFetching) {
        if (o.message.empty()) o.message = "fetching the model";
      } else if (artifact != artifacts_.end() && artifact->second.state == Artifact::State::kFailed) {
        o.message = artifact->second.message;
        if (artifact->second.failures >= kFailuresShownAsFailed) o.state = WorkerState::kFailed;
      }
    }
    out.push_back(std::move(o));
  }
  return out;
}

std::vector<std::string> WorkerSet::Unanswered() const {
  std::vector<std::string> out;
  for (const auto& [uid, entry] : entries_) {
    if (entry.phase == Phase::kStarting) out.push_back(uid);
  }
  return out;
}

}  // namespace allod::inference::node
