#include "services/scheduling/quota.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "services/common/quota.h"

namespace allod::scheduling {
namespace {

struct Field {
  std::string_view name;
  std::string_view things;
  std::int64_t InstanceTotals::*value;
};
constexpr std::array<Field, 4> kFields{{{"quota.instances", "instances", &InstanceTotals::instances},
                                        {"quota.replicas", "replicas", &InstanceTotals::replicas},
                                        {"quota.context_tokens", "context tokens", &InstanceTotals::context_tokens},
                                        {"quota.memory_bytes", "bytes of memory", &InstanceTotals::memory_bytes}}};

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::int64_t Sum(std::int64_t a, std::int64_t b) { return a > kMost - b ? kMost : a + b; }
std::int64_t Product(std::int64_t a, std::int64_t b) { return b != 0 && a > kMost / b ? kMost : a * b; }

Status CheckScope(const std::string& owner, std::string_view raiser, const InstanceTotals& limits,
                  const InstanceTotals& before, const InstanceTotals& after) {
  for (const Field& field : kFields) {
    ALLOD_CHECK_OK(CheckQuota({.owner = owner,
                               .field = field.name,
                               .things = field.things,
                               .raiser = raiser,
                               .limit = limits.*field.value,
                               .before = before.*field.value,
                               .after = after.*field.value}));
  }
  return {};
}

}  // namespace

InstanceTotals InstanceTotals::operator+(const InstanceTotals& o) const {
  InstanceTotals out;
  for (const Field& field : kFields) out.*field.value = Sum(this->*field.value, o.*field.value);
  return out;
}

InstanceTotals TotalsOf(const Revision& revision) {
  const InstanceSpec& spec = revision.spec;
  return {1, spec.replicas, Product(spec.replicas, Product(spec.context_tokens, spec.max_concurrency)),
          Product(spec.replicas, revision.demand.Alone().memory_bytes)};
}

Status CheckQuotas(const std::string& instance_name, const QuotaScopes& limits, const QuotaScopes& others,
                   const Revision* standing, const Revision& wanted) {
  const InstanceTotals before = standing == nullptr ? InstanceTotals() : TotalsOf(*standing);
  const InstanceTotals after = TotalsOf(wanted);
  if (standing == nullptr) ALLOD_CHECK_OK(RoomForInstance(others.in_tenant.instances));
  ALLOD_CHECK_OK(CheckScope(TenantOf(instance_name), "an operator", limits.in_tenant, others.in_tenant + before,
                            others.in_tenant + after));
  return CheckScope(ProjectNameOf(instance_name), "an owner or admin of the tenant", limits.in_project,
                    others.in_project + before, others.in_project + after);
}

}  // namespace allod::scheduling
