// The supervisor's spare workers: made, taken, given up.
#include <algorithm>

#include "inference/node/process/machine.h"
#include "inference/node/supervisor.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

using std::chrono::steady_clock;

// At the gate a spare is a tenant of its own, which has computed next to nothing.
constexpr char kGateTenant[] = "spare";

}  // namespace

void Supervisor::KeepSpares() {
  if (stopping_ || spare_set_.IsEmpty()) return;
  const gate::GateFigures gate = gate_.figures();
  pool::NodeLoad load{.is_idle = gate.holding == 0 && gate.waiting == 0 && !set_.IsStarting(),
                      .is_short_of_memory = set_.IsShortOfMemory(),
                      .memory_available = process::AvailableMemory()};
  while (const auto action = spare_set_.NextAction(steady_clock::now(), load)) {
    if (action->kind == pool::SpareAction::Kind::kMake) {
      MakeSpare(*action);
      load.is_idle = false;  // one after another
      continue;
    }
    for (auto& [id, spare] : spares_) {
      if (spare.number != action->spare || spare.is_dropped) continue;
      spare.is_dropped = true;
      spare.running.process.Kill();
    }
  }
}

void Supervisor::MakeSpare(const pool::SpareAction& action) {
  const zygote::WorkerSpec spec{.id = ++last_id_, .shape = action.shape, .is_spare = true};
  auto started = StartProcess(action.model_key, spec, "spare of " + action.model_key.substr(0, 12));
  if (!started) {
    Log(LogLevel::kWarning, "cannot make a spare worker", {{"error", started.error().message}});
    return spare_set_.OnSpareGone(action.model_key, action.spare, steady_clock::now());
  }
  gate_.Add(spec.id, started->process.page(), kGateTenant, 1, config_.shapes.threads);
  spares_.emplace(spec.id, Spare{*std::move(started), action.spare});
}

std::optional<Supervisor::Running> Supervisor::TakeSpare(std::uint64_t number) {
  const auto found = std::ranges::find_if(spares_, [&](const auto& entry) { return entry.second.number == number; });
  if (found == spares_.end() || found->second.is_dropped || !found->second.running.lie.empty()) return std::nullopt;
  std::optional<Running> taken(std::move(found->second.running));
  spares_.erase(found);
  return taken;
}

bool Supervisor::SpareGone(std::uint64_t id) {
  const auto found = spares_.find(id);
  if (found == spares_.end()) return false;
  if (!found->second.is_dropped) {
    Log(LogLevel::kWarning, "a spare worker ended", {{"says", found->second.running.process.LastWords()}});
    spare_set_.OnSpareGone(found->second.running.model_key, found->second.number, steady_clock::now());
  }
  gate_.Remove(id);
  cgroups_.Remove(GroupName(id));
  spares_.erase(found);
  return true;
}

}  // namespace allod::inference::node
