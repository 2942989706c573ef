#include "inference/node/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/common/ids.h"
#include "services/common/rpc/residency.h"

namespace allod::inference::node {
namespace {

constexpr std::int32_t kContextTokensMax = 1 << 22;
constexpr std::int32_t kConcurrencyMax = 64;
constexpr std::int32_t kWeightMax = 1000;
constexpr int kModelsMax = 256;

// A class that this agent does not know promises something that it cannot keep: taken for none of its own.
Result<pool::IsolationClass> IsolationFrom(scheduling::v1::IsolationClass isolation) {
  switch (isolation) {
    case scheduling::v1::ISOLATION_CLASS_ISOLATED:
      return pool::IsolationClass::kIsolated;
    case scheduling::v1::ISOLATION_CLASS_POOLED:
      return pool::IsolationClass::kPooled;
    case scheduling::v1::ISOLATION_CLASS_DEDICATED:
      return pool::IsolationClass::kDedicated;
    default:
      return InvalidArgument("INVALID_ASSIGNMENT",
                             fmt::format("isolation_class {} is unknown here", static_cast<int>(isolation)));
  }
}

scheduling::v1::WorkerReport::State ToProto(pool::WorkerState state) {
  switch (state) {
    case pool::WorkerState::kStarting:
      return scheduling::v1::WorkerReport::STATE_STARTING;
    case pool::WorkerState::kReady:
      return scheduling::v1::WorkerReport::STATE_READY;
    case pool::WorkerState::kAsleep:
      return scheduling::v1::WorkerReport::STATE_ASLEEP;
    case pool::WorkerState::kFailed:
      return scheduling::v1::WorkerReport::STATE_FAILED;
  }
  std::unreachable();
}

scheduling::v1::ResidentModel::State ToProto(pool::ModelState state) {
  switch (state) {
    case pool::ModelState::kLoading:
      return scheduling::v1::ResidentModel::STATE_LOADING;
    case pool::ModelState::kResident:
      return scheduling::v1::ResidentModel::STATE_RESIDENT;
    case pool::ModelState::kUnloading:
      return scheduling::v1::ResidentModel::STATE_EVICTED;
    case pool::ModelState::kFailed:
      return scheduling::v1::ResidentModel::STATE_FAILED;
  }
  std::unreachable();
}

// What a worker or zygote said may be any bytes, and one string that is no UTF-8 makes a whole report unreadable.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

scheduling::v1::WorkerReport ToProto(const pool::ObservedWorker& worker) {
  scheduling::v1::WorkerReport out;
  out.set_replica_uid(worker.replica_uid);
  out.set_epoch(worker.epoch);
  out.set_state(ToProto(worker.state));
  out.set_target(worker.target);
  out.set_message(Printable(worker.message));
  out.set_start_count(worker.start_count);
  return out;
}

void FillFigures(const pool::ObservedWorker& worker, const WorkerFigures& f, scheduling::v1::WorkerFigures& out) {
  out.set_active_requests(f.active_requests);
  out.set_queued_requests(f.queued_requests);
  out.set_prompt_tokens_total(f.prompt_tokens);
  out.set_cached_prompt_tokens_total(f.cached_prompt_tokens);
  out.set_completion_tokens_total(f.completion_tokens);
  out.set_turns_total(f.turns);
  out.set_compute_seconds_total(f.compute_seconds);
  out.set_gate_wait_seconds_total(f.gate_wait_seconds);
  out.set_requests_total(f.requests);
  out.set_ttft_count(f.ttft_count);
  out.set_ttft_seconds_sum(f.ttft_seconds);
  out.set_tokens_per_second(f.tokens_per_second);
  out.set_private_bytes(f.private_bytes);
  out.set_shared_bytes(std::max<std::int64_t>(0, f.pss_bytes - f.private_bytes));
  out.set_wake_count(worker.wake_count);
}

void Fill(const pool::ObservedModel& model, const NodeFigures& figures, scheduling::v1::ResidentModel& out) {
  out.set_artifact_sha256(model.sha256);
  out.set_state(ToProto(model.state));
  out.set_message(Printable(model.message));
  out.set_dedicated(model.key != model.sha256);
  const auto found = figures.models.find(model.key);
  if (found == figures.models.end()) return;
  out.set_private_bytes(found->second.memory.private_bytes);
  out.set_worker_count(found->second.worker_count);
  out.set_load_seconds(found->second.load_seconds);
  using std::chrono::system_clock;
  const auto idle = std::chrono::steady_clock::now() - found->second.last_used;
  const auto used = system_clock::now() - std::chrono::duration_cast<system_clock::duration>(idle);
  out.mutable_last_used_time()->set_seconds(system_clock::to_time_t(used));
}

}  // namespace

Result<pool::DesiredWorker> FromProto(const scheduling::v1::Assignment& a, const std::string& jurisdiction) {
  ALLOD_TRY(const Uuid uid, Uuid::Parse(a.replica_uid()));
  ALLOD_CHECK_OK(CheckSha256("artifact_sha256", a.artifact_sha256()));
  ALLOD_TRY(const auto segments, MatchName("instance", a.instance(), "tenants/*/projects/*/instances/*"));
  if (a.context_tokens() < 0 || a.context_tokens() > kContextTokensMax) {
    return InvalidArgument("INVALID_ASSIGNMENT",
                           fmt::format("context_tokens {} is not in 0 to {}", a.context_tokens(), kContextTokensMax));
  }
  if (a.max_concurrency() < 1 || a.max_concurrency() > kConcurrencyMax) {
    return InvalidArgument("INVALID_ASSIGNMENT",
                           fmt::format("max_concurrency {} is not in 1 to {}", a.max_concurrency(), kConcurrencyMax));
  }
  if (a.sleep_after_seconds() < 0) return InvalidArgument("INVALID_ASSIGNMENT", "sleep_after_seconds is negative");
  ALLOD_TRY(const Uuid tenant, Uuid::Parse(a.tenant_uid()));
  ALLOD_TRY(const pool::IsolationClass isolation, IsolationFrom(a.isolation_class()));
  // Whoever placed it here asked the same; this is asked again by what the machine itself knows of where it stands.
  ALLOD_TRY(const ResidencyRules residency, ResidencyFrom(a.residency()));
  if (const std::string why = WhyOutside(residency, kClassesOnNodes, jurisdiction); !why.empty()) {
    return FailedPrecondition("RESIDENCY", fmt::format("it stands in jurisdiction {}, {}", jurisdiction, why));
  }
  return pool::DesiredWorker{.replica_uid = uid.ToString(),
                             .epoch = a.epoch(),
                             .artifact_sha256 = a.artifact_sha256(),
                             .artifact_bytes = a.artifact_bytes(),
                             .isolation = isolation,
                             .sleep_after = std::chrono::seconds(a.sleep_after_seconds()),
                             .member = {.instance = a.instance(),
                                        .tenant_uid = tenant.ToString(),
                                        .context_tokens = a.context_tokens(),
                                        .max_concurrency = a.max_concurrency(),
                                        .weight = static_cast<double>(std::clamp(a.weight(), 1, kWeightMax))}};
}

std::optional<pool::DesiredWorker> Unusable(const scheduling::v1::Assignment& a, const Error& why) {
  const auto uid = Uuid::Parse(a.replica_uid());
  if (!uid) return std::nullopt;
  return pool::DesiredWorker{.replica_uid = uid->ToString(),
                             .epoch = a.epoch(),
                             .refused_because = "this node cannot run what it is assigned: " + why.message};
}

scheduling::v1::ReportWorkersRequest ToReport(const std::string& node_name, const Supervisor::Snapshot& snapshot) {
  scheduling::v1::ReportWorkersRequest out;
  out.set_node(node_name);
  for (const pool::ObservedWorker& worker : snapshot.workers) {
    auto& report = *out.add_workers();
    report = ToProto(worker);
    const auto figures = snapshot.figures.workers.find(worker.worker_key);
    if (figures == snapshot.figures.workers.end()) continue;
    report.set_pid(figures->second.pid);
    for (const std::string& layer : figures->second.layers) report.add_sandbox_layers(Printable(layer));
    if (worker.worker_key == worker.replica_uid) FillFigures(worker, figures->second, *report.mutable_figures());
  }
  for (const pool::ObservedModel& model : snapshot.models) {
    if (out.resident_models_size() >= kModelsMax) break;
    Fill(model, snapshot.figures, *out.add_resident_models());
  }
  auto& gate = *out.mutable_gate();
  gate.set_cores(snapshot.figures.gate.cores);
  gate.set_waiting(snapshot.figures.gate.waiting);
  gate.set_turns_total(static_cast<std::int64_t>(snapshot.figures.gate.turns));
  gate.set_compute_seconds_total(snapshot.figures.gate.compute_seconds);
  gate.set_reclaimed_total(static_cast<std::int64_t>(snapshot.figures.gate.stuck));
  return out;
}

}  // namespace allod::inference::node
