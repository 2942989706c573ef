#include "services/scheduling/convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/country_code.h"
#include "services/common/quota.h"
#include "services/common/rpc/residency.h"
#include "services/common/rpc/timestamp.h"

namespace allod::scheduling {
namespace {

// What one worker may say about itself.
constexpr std::size_t kTargetBytesMax = 256;
constexpr int kLayersMax = 32;
constexpr std::size_t kLayerBytesMax = 64;

v1::Replica::State StateOf(scheduler::ReplicaState state) {
  switch (state) {
    case scheduler::ReplicaState::kPending:
      return v1::Replica::STATE_PENDING;
    case scheduler::ReplicaState::kStarting:
      return v1::Replica::STATE_STARTING;
    case scheduler::ReplicaState::kReady:
      return v1::Replica::STATE_READY;
    case scheduler::ReplicaState::kStopping:
    case scheduler::ReplicaState::kStopped:
      return v1::Replica::STATE_STOPPING;
    case scheduler::ReplicaState::kFailed:
      return v1::Replica::STATE_FAILED;
    case scheduler::ReplicaState::kAsleep:
      return v1::Replica::STATE_ASLEEP;
  }
  return v1::Replica::STATE_UNSPECIFIED;
}

v1::Replica::State StateOf(drivers::ObservedWorker::State state) {
  switch (state) {
    case drivers::ObservedWorker::State::kStarting:
      return v1::Replica::STATE_STARTING;
    case drivers::ObservedWorker::State::kReady:
      return v1::Replica::STATE_READY;
    case drivers::ObservedWorker::State::kFailed:
      return v1::Replica::STATE_FAILED;
    case drivers::ObservedWorker::State::kAsleep:
      return v1::Replica::STATE_ASLEEP;
  }
  return v1::Replica::STATE_UNSPECIFIED;
}

v1::IsolationClass ClassOf(IsolationClass isolation_class) {
  switch (isolation_class) {
    case IsolationClass::kIsolated:
      return v1::ISOLATION_CLASS_ISOLATED;
    case IsolationClass::kPooled:
      return v1::ISOLATION_CLASS_POOLED;
    case IsolationClass::kDedicated:
      return v1::ISOLATION_CLASS_DEDICATED;
  }
  return v1::ISOLATION_CLASS_UNSPECIFIED;
}

Result<IsolationClass> ClassFrom(v1::IsolationClass isolation_class) {
  switch (isolation_class) {
    case v1::ISOLATION_CLASS_UNSPECIFIED:
    case v1::ISOLATION_CLASS_ISOLATED:
      return IsolationClass::kIsolated;
    case v1::ISOLATION_CLASS_POOLED:
      return IsolationClass::kPooled;
    case v1::ISOLATION_CLASS_DEDICATED:
      return IsolationClass::kDedicated;
    default:
      return InvalidArgument("INVALID_SPEC",
                             fmt::format("spec.isolation_class {} is not known; give POOLED, ISOLATED or DEDICATED",
                                         static_cast<int>(isolation_class)));
  }
}

v1::InstanceStatus::State StateOf(InstanceState state) {
  switch (state) {
    case InstanceState::kProvisioning:
      return v1::InstanceStatus::STATE_PROVISIONING;
    case InstanceState::kReady:
      return v1::InstanceStatus::STATE_READY;
    case InstanceState::kFailing:
      return v1::InstanceStatus::STATE_FAILING;
    case InstanceState::kDeleting:
      return v1::InstanceStatus::STATE_DELETING;
    case InstanceState::kStopped:
      return v1::InstanceStatus::STATE_STOPPED;
  }
  return v1::InstanceStatus::STATE_UNSPECIFIED;
}

void FillSpec(const InstanceSpec& spec, v1::InstanceSpec& out) {
  out.set_listing(spec.listing);
  out.set_variant(spec.variant);
  out.set_region("regions/" + spec.region);
  out.set_isolation_class(ClassOf(spec.isolation_class));
  out.set_replicas(spec.replicas);
  out.set_context_tokens(spec.context_tokens);
  out.set_max_concurrency(spec.max_concurrency);
  out.set_sleep_after_seconds(spec.sleep_after_seconds);
  out.set_quote(spec.quote);
}

void FillStatus(const Instance& instance, v1::InstanceStatus& out) {
  out.set_state(StateOf(instance.status.state));
  out.set_observed_generation(instance.status.observed_generation);
  out.set_ready_replicas(instance.status.ready_replicas);
  out.set_message(instance.status.message);
  out.set_reason(instance.status.reason);
  out.set_price_book(instance.current().price_book);
  out.set_isolation_class(ClassOf(ClassInForce(instance)));
  for (const Replica& replica : instance.replicas) {
    v1::Replica& row = *out.add_replicas();
    row.set_uid(replica.placement.id.ToString());
    row.set_node("nodes/" + replica.placement.node);
    row.set_state(StateOf(replica.placement.state));
    row.set_message(replica.message);
    row.set_start_count(replica.start_count);
    const auto revision = instance.revisions.find(replica.placement.generation);
    if (revision != instance.revisions.end()) {
      row.set_isolation_class(ClassOf(revision->second.spec.isolation_class));
    }
  }
}

}  // namespace

Result<InstanceSpec> SpecFrom(const v1::InstanceSpec& spec) {
  InstanceSpec out;
  out.listing = spec.listing();
  out.variant = spec.variant();
  ALLOD_TRY(const auto region, MatchName("spec.region", spec.region(), "regions/*"));
  out.region = region[0];
  ALLOD_TRY(out.isolation_class, ClassFrom(spec.isolation_class()));
  out.replicas = spec.replicas();
  out.context_tokens = spec.context_tokens();
  out.max_concurrency = spec.max_concurrency();
  out.sleep_after_seconds = spec.sleep_after_seconds();
  out.quote = spec.quote();
  return out;
}

v1::InstanceSpec ToProto(const InstanceSpec& spec) {
  v1::InstanceSpec out;
  FillSpec(spec, out);
  return out;
}

v1::Instance ToProto(const Instance& instance) {
  v1::Instance out;
  out.set_name(instance.name);
  out.set_uid(instance.id.ToString());
  FillSpec(instance.current().spec, *out.mutable_spec());
  out.set_generation(instance.generation);
  FillStatus(instance, *out.mutable_status());
  *out.mutable_create_time() = ToTimestamp(instance.create_time);
  out.set_etag(EtagOf(instance));
  return out;
}

v1::Instance Remains(const Operation& operation) {
  v1::Instance out;
  out.set_name(operation.instance_name);
  out.set_uid(operation.instance.ToString());
  out.set_generation(operation.generation);
  return out;
}

v1::InstanceOperationMetadata MetadataOf(const Operation& operation) {
  v1::InstanceOperationMetadata out;
  out.set_instance(operation.instance_name);
  out.set_generation(operation.generation);
  out.set_phase(operation.phase);
  *out.mutable_create_time() = ToTimestamp(operation.create_time);
  return out;
}

std::string OperationName(const Operation& operation) {
  return fmt::format("{}/operations/{}", TenantOf(operation.instance_name), operation.id.ToString());
}

v1::Node ToProto(const Node& node) {
  v1::Node out;
  out.set_name("nodes/" + node.node.id);
  out.set_region("regions/" + node.node.region);
  out.set_state(node.node.state == scheduler::NodeState::kReady ? v1::Node::STATE_READY : v1::Node::STATE_LOST);
  out.mutable_capacity()->set_memory_bytes(node.node.capacity.memory_bytes);
  out.mutable_capacity()->set_cpu_millis(static_cast<std::int32_t>(node.node.capacity.cpu_millis));
  out.mutable_allocated()->set_memory_bytes(node.allocated.memory_bytes);
  out.mutable_allocated()->set_cpu_millis(static_cast<std::int32_t>(node.allocated.cpu_millis));
  *out.mutable_last_report_time() = ToTimestamp(node.node.last_report);
  out.set_worker_count(node.worker_count);
  out.set_jurisdiction(node.node.jurisdiction);
  return out;
}

Result<scheduler::Node> NodeFrom(const v1::WatchAssignmentsRequest& request) {
  scheduler::Node node;
  ALLOD_TRY(const auto id, MatchName("node", request.node(), "nodes/*"));
  ALLOD_TRY(const auto region, MatchName("region", request.region(), "regions/*"));
  node.id = id[0];
  node.region = region[0];
  ALLOD_CHECK_OK(CheckCountryCode("jurisdiction", request.jurisdiction()));
  node.jurisdiction = request.jurisdiction();
  node.capacity = {request.capacity().memory_bytes(), request.capacity().cpu_millis()};
  if (node.capacity.memory_bytes <= 0 || node.capacity.cpu_millis <= 0) {
    return InvalidArgument("INVALID_CAPACITY",
                           fmt::format("capacity of {}: {} bytes of memory and {} thousandths of a core; both must be "
                                       "positive",
                                       request.node(), node.capacity.memory_bytes, node.capacity.cpu_millis));
  }
  return node;
}

v1::Worker ToProto(const drivers::WorkerView& worker) {
  v1::Worker out;
  out.set_name(fmt::format("nodes/{}/workers/{}", worker.node, worker.replica.ToString()));
  out.set_state(worker.desired ? v1::Replica::STATE_PENDING : v1::Replica::STATE_STOPPING);
  if (worker.desired) {
    out.set_instance(worker.desired->instance);
    out.set_variant(worker.desired->variant);
    out.set_isolation_class(ClassOf(worker.desired->isolation_class));
  }
  if (worker.observed) {
    if (worker.desired) out.set_state(StateOf(worker.observed->state));
    out.set_message(worker.observed->message);
    out.set_start_count(worker.observed->start_count);
  }
  return out;
}

v1::Assignment ToProto(const drivers::DesiredWorker& worker) {
  v1::Assignment out;
  out.set_replica_uid(worker.replica.ToString());
  out.set_instance(worker.instance);
  out.set_tenant_uid(worker.tenant.ToString());
  out.set_epoch(worker.epoch);
  out.set_artifact_sha256(worker.artifact_sha256);
  out.set_artifact_bytes(worker.artifact_bytes);
  out.set_context_tokens(worker.context_tokens);
  out.set_max_concurrency(worker.max_concurrency);
  out.set_isolation_class(ClassOf(worker.isolation_class));
  out.set_sleep_after_seconds(worker.sleep_after_seconds);
  out.set_weight(worker.weight);
  out.set_variant(worker.variant);
  *out.mutable_residency() = ToProto(worker.residency);
  return out;
}

bool LayersFit(const v1::WorkerReport& report) {
  return report.sandbox_layers_size() <= kLayersMax &&
         std::ranges::all_of(report.sandbox_layers(), [](const auto& layer) { return layer.size() <= kLayerBytesMax; });
}

Result<drivers::ObservedWorker> WorkerFrom(const v1::WorkerReport& report) {
  drivers::ObservedWorker out;
  ALLOD_TRY(out.replica, Uuid::Parse(report.replica_uid()));
  out.epoch = report.epoch();
  // What makes no sense of a worker is that worker's failure; the rest of its node's report holds.
  const auto invalid = [&](std::string_view what) {
    out.state = drivers::ObservedWorker::State::kFailed;
    out.message = fmt::format("its node reports what makes no sense: {}", what);
    return out;
  };
  drivers::ObservedWorker::State state{};
  switch (report.state()) {
    case v1::WorkerReport::STATE_STARTING:
      state = drivers::ObservedWorker::State::kStarting;
      break;
    case v1::WorkerReport::STATE_READY:
      state = drivers::ObservedWorker::State::kReady;
      if (report.target().empty()) return invalid("ready, but without a target");
      break;
    case v1::WorkerReport::STATE_FAILED:
      state = drivers::ObservedWorker::State::kFailed;
      break;
    case v1::WorkerReport::STATE_ASLEEP:
      state = drivers::ObservedWorker::State::kAsleep;
      if (report.target().empty()) return invalid("asleep, but without a target to wake it");
      break;
    default:
      return invalid("an unknown state");
  }
  if (report.target().size() > kTargetBytesMax) return invalid("a target of more than 256 bytes");
  if (report.start_count() < 0) return invalid("a negative start_count");
  if (!LayersFit(report)) return invalid("more than 32 sandbox layers, or one of more than 64 bytes");
  out.state = state;
  out.target = report.target();
  out.message = report.message();
  out.start_count = report.start_count();
  return out;
}

v1::Route ToProto(const Route& route) {
  v1::Route row;
  row.set_instance(route.instance);
  row.set_variant(route.variant);
  row.set_price_book(route.price_book);
  row.set_context_tokens(route.context_tokens);
  row.set_max_concurrency(route.max_concurrency);
  for (const auto& target : route.targets) row.add_targets(target);
  *row.mutable_create_time() = ToTimestamp(route.create_time);
  row.set_isolation_class(ClassOf(route.isolation_class));
  row.set_ready_target_count(route.ready_target_count);
  row.set_generation(route.generation);
  row.set_stopped(route.stopped);
  for (const auto& jurisdiction : route.target_jurisdictions) row.add_target_jurisdictions(jurisdiction);
  *row.mutable_residency() = ToProto(route.residency);
  return row;
}

InstanceTotals LimitsFrom(const tenancy::v1::Quota& quota) {
  return {quota.instances(), quota.replicas(), quota.context_tokens(), quota.memory_bytes()};
}

InstanceTotals LimitsFrom(const tenancy::v1::Tenant& tenant) {
  const auto& quota = tenant.quota();
  const auto& below = tenant.quota_below();
  return {LimitLeft(quota.instances(), below.instances()), LimitLeft(quota.replicas(), below.replicas()),
          LimitLeft(quota.context_tokens(), below.context_tokens()),
          LimitLeft(quota.memory_bytes(), below.memory_bytes())};
}

bool IsActive(const tenancy::v1::Tenant& tenant) {
  return tenant.state() == tenancy::v1::Tenant::STATE_ACTIVE && tenant.suspended_by().empty();
}

v1::GetInstanceQuotaUseResponse UseToProto(const QuotaScopes& limits, const QuotaScopes& used, bool project) {
  v1::GetInstanceQuotaUseResponse out;
  const auto add = [&](const char* resource, std::int64_t InstanceTotals::*value, std::int64_t bound) {
    std::int64_t limit = TighterLimit(limits.in_tenant.*value, bound);
    if (project) limit = TighterLimit(limits.in_project.*value, limit);
    tenancy::v1::QuotaUse& use = *out.add_uses();
    use.set_resource(resource);
    use.set_used((project ? used.in_project : used.in_tenant).*value);
    use.set_limit(limit);
  };
  add("instances", &InstanceTotals::instances, kInstancesPerTenantMax);
  add("replicas", &InstanceTotals::replicas, 0);
  add("context_tokens", &InstanceTotals::context_tokens, 0);
  add("memory_bytes", &InstanceTotals::memory_bytes, 0);
  return out;
}

Result<TenantTerms> ClosedTerms(const tenancy::v1::Tenant& tenant) {
  TenantTerms out;
  ALLOD_CHECK_OK(MatchName("tenant.name", tenant.name(), "tenants/*"));
  ALLOD_TRY(out.tenant, TenantId::FromName(tenant.name()));
  out.purge =
      tenant.state() == tenancy::v1::Tenant::STATE_PURGING || tenant.state() == tenancy::v1::Tenant::STATE_DELETED;
  return out;
}

Result<TenantTerms> TermsFrom(const tenancy::v1::Tenant& tenant) {
  ALLOD_TRY(TenantTerms out, ClosedTerms(tenant));
  // A state of the future is none in which something runs.
  out.active = IsActive(tenant);
  if (tenant.weight() < 1 || tenant.weight() > 1000) {
    return InvalidArgument("INVALID_WEIGHT", fmt::format("{} has the weight {}", tenant.name(), tenant.weight()));
  }
  out.weight = tenant.weight();
  ALLOD_TRY(out.residency, ResidencyOf(tenant));
  return out;
}

}  // namespace allod::scheduling
