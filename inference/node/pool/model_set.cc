#include "inference/node/pool/model_set.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::inference::node::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kRestartFirst = milliseconds(100);
constexpr auto kRestartMax = milliseconds(10'000);
constexpr auto kNoRoomDelay = seconds(2);
// From nothing again, once it was resident for so long.
constexpr auto kHealthyAfter = seconds(30);
// Large models on slow disks take minutes; one that takes this long is stuck.
constexpr auto kLoadTimeout = std::chrono::minutes(10);

std::string MiB(std::int64_t bytes) { return fmt::format("{} MiB", (bytes + (1 << 20) - 1) >> 20); }

}  // namespace

milliseconds RestartDelay(int failures) {
  return std::min(kRestartMax, kRestartFirst * (1 << std::clamp(failures - 1, 0, 10)));
}

std::optional<Action> ModelSet::Ensure(const DesiredWorker& worker, SteadyTime now, std::int64_t memory_available) {
  Model& model = models_[worker.model_key()];
  model.sha256 = worker.artifact_sha256;
  model.bytes = worker.artifact_bytes;
  model.is_private = worker.isolation == IsolationClass::kDedicated;
  if (model.phase != Phase::kNone || now < model.not_before) return std::nullopt;
  Artifact& artifact = artifacts_[worker.artifact_sha256];
  switch (artifact.state) {
    case Artifact::State::kFetching:
      return std::nullopt;
    case Artifact::State::kFailed:
      if (now < artifact.not_before) return std::nullopt;
      [[fallthrough]];
    case Artifact::State::kUnknown:
      artifact.state = Artifact::State::kFetching;
      return Action{.kind = Action::Kind::kFetch, .sha256 = worker.artifact_sha256};
    case Artifact::State::kPresent:
      break;
  }
  const std::int64_t needed = model.bytes + policy_.memory_reserve_bytes;
  if (needed > memory_available) return MakeRoom(model, now, memory_available);
  // What is being loaded takes memory that still counts as available.
  std::int64_t promised = 0;
  for (const auto& [key, other] : models_) promised += other.phase == Phase::kLoading ? other.bytes : 0;
  if (needed > memory_available - promised) {
    model.not_before = now + kRestartFirst;
    return std::nullopt;
  }
  model.no_room = false;
  model.phase = Phase::kLoading;
  model.since = model.last_used = now;
  return Action{.kind = Action::Kind::kLoad,
                .model_key = worker.model_key(),
                .sha256 = worker.artifact_sha256,
                .artifact = artifact.path,
                .runtime = worker.runtime,
                .private_weights = model.is_private};
}

// Lets the longest unused model go; the others' room is needed more by those who wait.
std::optional<Action> ModelSet::MakeRoom(Model& model, SteadyTime now, std::int64_t memory_available) {
  Model* oldest = nullptr;
  std::string key;
  for (auto& [name, other] : models_) {
    if (other.phase == Phase::kUnloading) {  // room is being made already
      model.not_before = now + kRestartFirst;
      return std::nullopt;
    }
    if (other.phase != Phase::kResident || used_.contains(name)) continue;
    if (oldest != nullptr && oldest->last_used <= other.last_used) continue;
    oldest = &other;
    key = name;
  }
  if (oldest != nullptr) {
    oldest->phase = Phase::kUnloading;
    return Action{.kind = Action::Kind::kUnload, .model_key = key, .sha256 = oldest->sha256};
  }
  model.no_room = true;
  model.message =
      fmt::format("not enough memory on the node: the model needs {} and {} must stay free; {} are available",
                  MiB(model.bytes), MiB(policy_.memory_reserve_bytes), MiB(memory_available));
  model.not_before = now + kNoRoomDelay;
  return std::nullopt;
}

std::optional<Action> ModelSet::Evict(const std::set<std::string>& used, const std::set<std::string>& wanted,
                                      SteadyTime now) {
  used_ = used;
  for (auto& [key, model] : models_) {
    if (used.contains(key)) model.last_used = std::max(model.last_used, now);
    if (model.phase == Phase::kLoading && now - model.since >= kLoadTimeout) {
      model.since = now;  // its end will come as that of any zygote
      return Action{.kind = Action::Kind::kUnload, .model_key = key, .sha256 = model.sha256};
    }
    if (model.phase != Phase::kResident || used.contains(key)) continue;
    const bool nobodys = model.is_private && !wanted.contains(key);
    if (!nobodys && now - model.last_used < policy_.keep_idle) continue;
    model.phase = Phase::kUnloading;
    return Action{.kind = Action::Kind::kUnload, .model_key = key, .sha256 = model.sha256};
  }
  return std::nullopt;
}

std::optional<SteadyTime> ModelSet::NextDeadline(const std::set<std::string>& used) const {
  std::optional<SteadyTime> next;
  for (const auto& [key, model] : models_) {
    if (model.phase == Phase::kLoading) {
      const SteadyTime at = model.since + kLoadTimeout;
      next = next ? std::min(*next, at) : at;
    }
    if (model.phase != Phase::kResident || used.contains(key)) continue;
    const SteadyTime at = model.last_used + policy_.keep_idle;
    next = next ? std::min(*next, at) : at;
  }
  return next;
}

std::optional<SteadyTime> ModelSet::RetryTime(const std::string& key) const {
  const auto model = models_.find(key);
  if (model == models_.end()) return SteadyTime{};
  if (model->second.phase != Phase::kNone) return std::nullopt;
  const auto artifact = artifacts_.find(model->second.sha256);
  if (artifact == artifacts_.end()) return model->second.not_before;
  if (artifact->second.state == Artifact::State::kFetching) return std::nullopt;
  const bool failed = artifact->second.state == Artifact::State::kFailed;
  return failed ? std::max(model->second.not_before, artifact->second.not_before) : model->second.not_before;
}

bool ModelSet::IsResident(const std::string& key) const {
  const auto found = models_.find(key);
  return found != models_.end() && found->second.phase == Phase::kResident;
}

std::string ModelSet::Message(const std::string& key) const {
  const auto model = models_.find(key);
  if (model == models_.end()) return "";
  const auto artifact = artifacts_.find(model->second.sha256);
  if (artifact != artifacts_.end() && model->second.phase == Phase::kNone) {
    if (artifact->second.state == Artifact::State::kFailed) return artifact->second.message;
    if (artifact->second.state == Artifact::State::kFetching && model->second.message.empty()) {
      return "fetching the model";
    }
  }
  if (model->second.phase == Phase::kLoading && model->second.message.empty()) return "loading the model";
  return model->second.message;
}

bool ModelSet::Failed(const std::string& key) const {
  const auto model = models_.find(key);
  if (model == models_.end() || model->second.phase == Phase::kResident) return false;
  if (model->second.refused || model->second.no_room || model->second.failures >= kFailuresShownAsFailed) return true;
  const auto artifact = artifacts_.find(model->second.sha256);
  return artifact != artifacts_.end() && artifact->second.state == Artifact::State::kFailed &&
         artifact->second.failures >= kFailuresShownAsFailed;
}

bool ModelSet::IsShortOfMemory() const {
  return std::ranges::any_of(models_, [](const auto& entry) { return entry.second.no_room; });
}

void ModelSet::OnArtifact(const std::string& sha256, const Result<std::filesystem::path>& path, SteadyTime now) {
  Artifact& artifact = artifacts_[sha256];
  if (path) {
    artifact = {.state = Artifact::State::kPresent, .path = *path};
    return;
  }
  artifact.state = Artifact::State::kFailed;
  artifact.message = fmt::format("artifact {}: {}", sha256.substr(0, 12), path.error().message);
  artifact.not_before = now + RestartDelay(++artifact.failures);
}

void ModelSet::OnResident(const std::string& key, SteadyTime now) {
  const auto found = models_.find(key);
  if (found == models_.end() || found->second.phase != Phase::kLoading) return;
  Model& model = found->second;
  model.phase = Phase::kResident;
  model.since = model.last_used = now;
  model.refused = false;
  model.message.clear();
}

void ModelSet::OnExit(const std::string& key, const ProcessExit& exit, SteadyTime now) {
  const auto found = models_.find(key);
  if (found == models_.end()) return;
  Model& model = found->second;
  const bool on_purpose = model.phase == Phase::kUnloading;
  const bool was_loading = model.phase == Phase::kLoading;
  if (model.phase == Phase::kResident && now - model.since >= kHealthyAfter) model.failures = 0;
  model.phase = Phase::kNone;
  // The store may have lost the file meanwhile: look again before the next load.
  if (const auto a = artifacts_.find(model.sha256);
      a != artifacts_.end() && a->second.state == Artifact::State::kPresent) {
    a->second.state = Artifact::State::kUnknown;
  }
  if (on_purpose) {
    models_.erase(found);
    return;
  }
  ++model.failures;
  model.refused = was_loading && exit.status == kExitModelRefused;
  model.message = "the process that holds the model ended, " + Describe(exit);
  model.not_before = now + (model.refused ? milliseconds(kModelRefusedDelay) : RestartDelay(model.failures));
}

void ModelSet::OnUsed(const std::string& key, SteadyTime now) {
  if (const auto found = models_.find(key); found != models_.end()) found->second.last_used = now;
}

void ModelSet::ForgetUnwanted(const std::set<std::string>& wanted_keys) {
  std::erase_if(models_, [&](const auto& entry) {
    return entry.second.phase == Phase::kNone && !wanted_keys.contains(entry.first);
  });
  std::erase_if(artifacts_, [&](const auto& entry) {
    return entry.second.state != Artifact::State::kFetching &&
           std::ranges::none_of(models_, [&](const auto& model) { return model.second.sha256 == entry.first; });
  });
}

std::vector<ObservedModel> ModelSet::Observed() const {
  std::vector<ObservedModel> out;
  for (const auto& [key, model] : models_) {
    ModelState state = ModelState::kLoading;
    if (model.phase == Phase::kResident) state = ModelState::kResident;
    if (model.phase == Phase::kUnloading) state = ModelState::kUnloading;
    if (model.phase == Phase::kNone && Failed(key)) state = ModelState::kFailed;
    out.push_back({key, model.sha256, state, Message(key)});
  }
  return out;
}

SteadyTime ModelSet::LastUsed(const std::string& key) const {
  const auto found = models_.find(key);
  return found == models_.end() ? SteadyTime{} : found->second.last_used;
}

bool ModelSet::Idle() const {
  return std::ranges::all_of(models_, [](const auto& entry) { return entry.second.phase == Phase::kNone; });
}

}  // namespace allod::inference::node::pool
