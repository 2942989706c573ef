// The supervisor's workers: made, or taken from the spares, and told whom they answer for.
#include <algorithm>

#include "inference/node/supervisor.h"
#include "services/common/log.h"

namespace allod::inference::node {
namespace {

using std::chrono::steady_clock;

// Who is served in proportion to whom at the gate: tenants; the members of a pool share a turn and divide it
// themselves.
std::string GateTenant(const pool::Action& action) {
  const pool::DesiredWorker& first = action.members.front();
  return first.isolation == pool::IsolationClass::kPooled ? action.worker_key : first.member.tenant_uid;
}

double GateWeight(const std::vector<pool::DesiredWorker>& members) {
  double sum = 0;
  for (const pool::DesiredWorker& replica : members) sum += std::max(1.0, replica.member.weight);
  return std::max(1.0, sum);
}

}  // namespace

Result<Supervisor::Running> Supervisor::StartProcess(const std::string& model_key, const zygote::WorkerSpec& spec,
                                                     std::string who) {
  const auto zygote = zygotes_.find(model_key);
  if (zygote == zygotes_.end()) return Internal("its model is gone");
  ALLOD_TRY(OwnedFd bell, gate_.MakeBell(spec.id));
  auto worker = process::WorkerProcess::Prepare(spec.id, std::move(who), std::move(bell));
  const Status forked =
      worker ? zygote->second.process.Fork(spec, worker->fork_fds()) : Status(std::unexpected(worker.error()));
  if (!forked) {
    gate_.Remove(spec.id);
    return std::unexpected(forked.error());
  }
  return Running{.process = *std::move(worker),
                 .model_key = model_key,
                 .kv_tokens = KvTokensOf(spec.shape),
                 .started = steady_clock::now()};
}

void Supervisor::ForkWorker(const pool::Action& action) {
  const pool::DesiredWorker& first = action.members.front();
  const bool is_pooled = first.isolation == pool::IsolationClass::kPooled;
  const auto failed = [&](const std::string& why) {
    Log(LogLevel::kError, "cannot start a worker", {{"instance", first.member.instance}, {"error", why}});
    set_.OnWorkerExit(action.worker_key, {.status = -1, .last_line = why}, steady_clock::now());
  };
  KeepSockets();  // that of a worker which failed too often was closed until this moment
  const auto socket = sockets_.find(action.worker_key);
  if (socket == sockets_.end()) return failed("its socket is gone");
  const std::string who = is_pooled ? action.worker_key : first.member.instance;
  const zygote::WorkerSpec spec{.id = ++last_id_, .shape = ShapeOf(first, config_.shapes)};
  // A pool's workers are few, and a dedicated model is one worker's.
  std::optional<std::uint64_t> spare;
  if (first.isolation == pool::IsolationClass::kIsolated) {
    spare = spare_set_.Take(action.model_key, spec.shape, steady_clock::now());
  }
  std::optional<Running> running = spare ? TakeSpare(*spare) : std::optional<Running>();
  if (running) {
    gate_.SetTenant(running->process.id(), GateTenant(action), GateWeight(action.members));
  } else {
    auto started = StartProcess(action.model_key, spec, who);
    if (!started) return failed(started.error().message);
    running.emplace(*std::move(started));
    gate_.Add(spec.id, running->process.page(), GateTenant(action), GateWeight(action.members), config_.shapes.threads);
  }
  const std::uint64_t id = running->process.id();
  auto ring = usage_.Open(id, first.replica_uid, RingMembersOf(action.members, config_.shapes));
  if (ring) {
    running->process.Assign(who, MembersOf(action.members), socket->second.fd(), *std::move(ring));
  } else {
    // Its end comes as that of any worker.
    running->lie = ring.error().message;
    Log(LogLevel::kError, "cannot start a worker",
        {{"instance", first.member.instance}, {"error", ring.error().message}});
    running->process.Kill();
  }
  running_.emplace(action.worker_key, *std::move(running));
}

void Supervisor::TellMembers(const pool::Action& action) {
  const auto found = running_.find(action.worker_key);
  if (found == running_.end()) return;
  process::WorkerProcess& process = found->second.process;
  usage_.AddMembers(process.id(), RingMembersOf(action.members, config_.shapes));
  process.SendMembers(MembersOf(action.members), action.members_version);
  gate_.SetWeight(process.id(), GateWeight(action.members));
}

}  // namespace allod::inference::node
