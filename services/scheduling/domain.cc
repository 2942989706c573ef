#include "services/scheduling/domain.h"

#include <fmt/format.h>

#include <algorithm>

namespace allod::scheduling {
namespace {

Status CheckRange(const char* field, int value, int max) {
  if (value >= 0 && value <= max) return {};
  return InvalidArgument("INVALID_SPEC",
                         fmt::format("spec.{} is {}; give 1 to {}, or 0 for the default", field, value, max));
}

}  // namespace

Status CheckSpec(const InstanceSpec& spec) {
  ALLOD_CHECK_OK(MatchName("spec.listing", spec.listing, "listings/*"));
  ALLOD_CHECK_OK(MatchName("spec.variant", spec.variant, "models/*/versions/*/variants/*"));
  ALLOD_CHECK_OK(CheckId("spec.region", spec.region));
  ALLOD_CHECK_OK(CheckRange("replicas", spec.replicas, kReplicasMax));
  ALLOD_CHECK_OK(CheckRange("max_concurrency", spec.max_concurrency, kConcurrencyMax));
  if (spec.sleep_after_seconds < 0 || spec.sleep_after_seconds > kSleepAfterSecondsMax) {
    return InvalidArgument("INVALID_SPEC", fmt::format("spec.sleep_after_seconds is {}; give 1 to {}, or 0 for never",
                                                       spec.sleep_after_seconds, kSleepAfterSecondsMax));
  }
  if (!spec.quote.empty()) ALLOD_CHECK_OK(MatchName("spec.quote", spec.quote, "tenants/*/projects/*/quotes/*"));
  if (spec.context_tokens != 0 && spec.context_tokens < kContextTokensMin) {
    return InvalidArgument("INVALID_SPEC",
                           fmt::format("spec.context_tokens is {}; give at least {}, or 0 for the default",
                                       spec.context_tokens, kContextTokensMin));
  }
  return {};
}

Result<InstanceSpec> FillIn(InstanceSpec spec, int trained_context_tokens) {
  if (spec.context_tokens > trained_context_tokens) {
    return InvalidArgument("CONTEXT_TOO_LONG", fmt::format("spec.context_tokens is {}; {} was trained for at most {}",
                                                           spec.context_tokens, spec.variant, trained_context_tokens));
  }
  if (spec.context_tokens == 0) spec.context_tokens = std::min(kContextTokensDefault, trained_context_tokens);
  if (spec.replicas == 0) spec.replicas = 1;
  if (spec.max_concurrency == 0) spec.max_concurrency = kConcurrencyDefault;
  return spec;
}

const char* NameOf(IsolationClass isolation_class) {
  switch (isolation_class) {
    case IsolationClass::kIsolated:
      return "isolated";
    case IsolationClass::kPooled:
      return "pooled";
    case IsolationClass::kDedicated:
      return "dedicated";
  }
  return "isolated";
}

std::string ProjectNameOf(const std::string& instance_name) {
  return instance_name.substr(0, instance_name.find("/instances/"));
}

Status CheckWhole(const Instance& instance) {
  const auto broken = [&](std::int64_t generation, const std::string& whose) {
    return Fail(
        Code::kInternal, "ROWS_BROKEN",
        fmt::format("{}: the revision of generation {} is missing, which {}", instance.name, generation, whose));
  };
  if (!instance.revisions.contains(instance.generation)) return broken(instance.generation, "is the current one");
  for (const Replica& replica : instance.replicas) {
    const std::int64_t generation = replica.placement.generation;
    if (!instance.revisions.contains(generation)) {
      return broken(generation, "replica " + replica.placement.id.ToString() + " runs");
    }
  }
  return {};
}

bool AnswersWithInstance(const Operation& operation) {
  return operation.done && !operation.error && operation.kind != OperationKind::kDelete;
}

IsolationClass ClassInForce(const Instance& instance) {
  std::int64_t generation = 0;
  for (const Replica& replica : instance.replicas) {
    const auto state = replica.placement.state;
    const bool answers = state == scheduler::ReplicaState::kReady || state == scheduler::ReplicaState::kAsleep;
    if (answers) generation = std::max(generation, replica.placement.generation);
  }
  const auto revision = instance.revisions.find(generation);
  return (revision == instance.revisions.end() ? instance.current() : revision->second).spec.isolation_class;
}

bool SameTemplate(const Revision& a, const Revision& b) {
  Revision as_b = a;
  as_b.generation = b.generation;
  as_b.spec.replicas = b.spec.replicas;
  as_b.residency = b.residency;
  as_b.spec.quote = b.spec.quote;  // what it says of the price is the price book
  return as_b == b;
}

bool SameContent(const InstanceSpec& asked, const Revision& revision) {
  const auto filled = FillIn(asked, revision.trained_context_tokens);
  return filled && *filled == revision.spec;
}

std::string EtagOf(const Instance& instance) {
  return fmt::format("{}-{}", instance.id.ToString().substr(24), instance.generation);
}

Status CheckEtag(const Instance& instance, const std::string& etag) {
  if (etag.empty()) {
    return InvalidArgument("ETAG_REQUIRED", "instance.etag is required: send back the one that GetInstance gave");
  }
  if (etag == EtagOf(instance)) return {};
  return Fail(Code::kAborted, "ETAG_MISMATCH",
              fmt::format("{} was changed since it was read (etag {}, now {}): read it again", instance.name, etag,
                          EtagOf(instance)));
}

Error InstanceDeleted(const std::string& instance_name) {
  return {Code::kAborted, "INSTANCE_DELETED", fmt::format("{} was deleted before it became ready", instance_name)};
}

Error InstanceExists(const std::string& instance_name) {
  return {Code::kAlreadyExists, "ALREADY_EXISTS",
          fmt::format("{} exists with another spec; change it with UpdateInstance", instance_name)};
}

Status RoomForInstance(std::int64_t in_tenant) {
  if (in_tenant < kInstancesPerTenantMax) return {};
  return Fail(Code::kResourceExhausted, "TOO_MANY_INSTANCES",
              fmt::format("a tenant may have {} instances", kInstancesPerTenantMax));
}

Error InstanceDeleting(const std::string& instance_name) {
  return {Code::kAborted, "INSTANCE_DELETING", fmt::format("{} is being deleted; try again later", instance_name)};
}

Error InstanceJustGone(const std::string& instance_name) {
  return {Code::kAborted, "INSTANCE_DELETED", fmt::format("{} was deleted just now; try again", instance_name)};
}

}  // namespace allod::scheduling
