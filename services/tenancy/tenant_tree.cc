#include "services/tenancy/tenant_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "services/common/quota.h"
#include "services/common/residency.h"
#include "services/tenancy/tenant_deletion.h"

namespace allod::tenancy {
namespace {

std::int64_t Saturated(std::int64_t a, std::int64_t b) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return a > kMost - b ? kMost : a + b;
}

// Where data of a class of the inner tenant may be, and of the outer may not.
struct Outside {
  DataClass data_class;
  std::string country;
};
std::optional<Outside> FirstOutside(const Tenant& inner, const Tenant& outer) {
  const ResidencyRules in{inner.residency, inner.residency_rules}, out{outer.residency, outer.residency_rules};
  for (const DataClass data_class : kDataClasses) {
    const auto& inside = in.Of(data_class);
    const auto found = std::ranges::find_if(
        inside, [&](const std::string& country) { return !std::ranges::binary_search(out.Of(data_class), country); });
    if (found != inside.end()) return Outside{data_class, *found};
  }
  return std::nullopt;
}

// What of a quota is counted here; nullopt: scheduling counts it.
std::optional<std::int64_t> Counted(const QuotaField& field, const OwnUse& use) {
  if (field.value == &Quota::projects) return use.projects;
  if (field.value == &Quota::api_keys) return use.api_keys;
  return std::nullopt;
}

Status CheckCarvedOut(const Tenant& wanted, const Tenant* before, const Tenant& parent, const OwnUse& use) {
  for (const QuotaField& field : kQuotaFields) {
    const std::int64_t outer = parent.quota.*field.value;
    const std::int64_t inner = wanted.quota.*field.value;
    if (outer == 0) continue;
    if (inner == 0) {
      return InvalidArgument(
          "QUOTA_REQUIRED",
          fmt::format("tenant.quota.{}: {} has {}, of which {} needs a part of its own; give at least 1", field.name,
                      parent.name(), outer, wanted.name()));
    }
    const std::int64_t standing = before == nullptr ? 0 : before->quota.*field.value;
    // What there is goes on; only what is added needs room.
    if (inner <= standing) continue;
    const std::int64_t others = parent.quota_below.*field.value - standing;
    const std::int64_t own = Counted(field, use).value_or(0);
    if (Saturated(Saturated(others, own), inner) <= outer) continue;
    return Fail(Code::kResourceExhausted, "QUOTA_EXCEEDED",
                fmt::format("tenant.quota.{}: {} has {}, of which its other children have {} and it uses {} itself; "
                            "{} can have {} at most. Give it less, or ask whoever set the quota of {} to raise that",
                            field.name, parent.name(), outer, others, own, wanted.name(),
                            std::max<std::int64_t>(outer - others - own, 0), parent.name()));
  }
  return {};
}

}  // namespace

Status CheckIdBelow(std::string_view id, std::string_view parent) {
  if (id.starts_with(fmt::format("{}-", parent))) return {};
  return InvalidArgument(
      "INVALID_ID",
      fmt::format("tenant_id: '{}' is to be below tenants/{}, so it must begin with '{}-'", id, parent, parent));
}

Error IdOfAnothers(std::string_view id, std::string_view other) {
  return {Code::kInvalidArgument, "INVALID_ID",
          fmt::format("tenant_id: '{}' begins with '{}-', which is for tenants below tenants/{}: choose another id, or "
                      "make it below that",
                      id, other, other)};
}

Result<Tenant> PlacedBelow(Tenant child, const Tenant& parent) {
  ALLOD_CHECK_OK(CheckIdBelow(child.id, parent.id));
  if (parent.ancestors.size() + 2 > kTenantLevelsMax) {
    return InvalidArgument("TOO_MANY_LEVELS",
                           fmt::format("tenant.parent: {} is on level {} of {}, so nothing can be below it",
                                       parent.name(), parent.ancestors.size() + 1, kTenantLevelsMax));
  }
  ALLOD_CHECK_OK(CheckNotDeleted(parent));
  child.parent = parent.id;
  child.ancestors = parent.ancestors;
  child.ancestors.push_back(parent.id);
  child.suspended_by = SuspendedBelow(parent);
  return child;
}

Status CheckRoomBelow(const Tenant& parent, std::span<const int> below) {
  for (std::size_t level = 0; level < std::min(below.size(), kTenantsBelowMax.size()); ++level) {
    if (below[level] < kTenantsBelowMax[level]) continue;
    if (level == parent.ancestors.size()) {
      return Fail(Code::kResourceExhausted, "TOO_MANY_TENANTS",
                  fmt::format("there are {} tenants below {}, of all levels, the most that there may be; have one that "
                              "is not needed deleted",
                              below[level], parent.name()));
    }
    return Fail(
        Code::kResourceExhausted, "TOO_MANY_TENANTS",
        fmt::format("no more tenants can be made below {}: together with others of the tree that it is in there "
                    "are as many as there may be; have one that is not needed deleted",
                    parent.name()));
  }
  return {};
}

Status CheckWithinParent(const Tenant& wanted, const Tenant* before, const Tenant& parent, const OwnUse& use) {
  if (const auto outside = FirstOutside(wanted, parent)) {
    return InvalidArgument(
        "RESIDENCY_OUTSIDE_PARENT",
        fmt::format("tenant.residency: '{}' is not {} {}, which {} is below; leave it out, or widen that first",
                    outside->country,
                    parent.residency_rules.contains(outside->data_class)
                        ? fmt::format("in the residency rule for {} of", WordOf(outside->data_class))
                        : "in the residency of",
                    parent.name(), wanted.name()));
  }
  if (wanted.weight > parent.weight && (before == nullptr || wanted.weight > before->weight)) {
    return InvalidArgument("INVALID_WEIGHT",
                           fmt::format("tenant.weight is {}, and that of {}, which {} is below, is {}; give at most "
                                       "that",
                                       wanted.weight, parent.name(), wanted.name(), parent.weight));
  }
  if (before == nullptr || wanted.limits != before->limits) {
    ALLOD_CHECK_OK(CheckLimitsWithin("tenant.limits", wanted.limits, "the parent's", parent.limits));
  }
  return CheckCarvedOut(wanted, before, parent, use);
}

Status CheckGivenBack(const Tenant& wanted, const Tenant& before, const Tenant& parent, const OwnUse& use, Setter by) {
  for (const QuotaField& field : kQuotaFields) {
    const std::int64_t standing = before.quota.*field.value;
    const std::int64_t lowered = wanted.quota.*field.value;
    // 0 is no bound; where the parent has none, nothing is given back.
    if (parent.quota.*field.value == 0 || lowered == 0 || (standing != 0 && lowered >= standing)) continue;
    const auto own = Counted(field, use);
    if (!own) {
      if (by == Setter::kOperator) continue;
      return FailedPrecondition(
          "QUOTA_OPERATORS_ONLY",
          fmt::format("tenant.quota.{}: {} has {}, and only an operator lowers it: what runs there goes on, and would "
                      "be beside what another tenant is given of it. Leave it, or ask an operator",
                      field.name, wanted.name(), standing));
    }
    const std::int64_t below = before.quota_below.*field.value;
    const std::int64_t in_use = Saturated(*own, below);
    if (lowered >= in_use) continue;
    return FailedPrecondition(
        "QUOTA_IN_USE",
        fmt::format("tenant.quota.{}: {} uses {} itself, and those below it have {}; give at least {}, or have what is "
                    "not needed taken away there first",
                    field.name, wanted.name(), *own, below, in_use));
  }
  return {};
}

Status CheckHolds(const Tenant& wanted, const std::vector<Tenant>& children) {
  for (const Tenant& child : children) {
    const auto outside = FirstOutside(child, wanted);
    if (!outside) continue;
    return FailedPrecondition("CHILD_OUTSIDE",
                              fmt::format("tenant.residency: {}, which is below {}, has its {} in '{}' too; take it "
                                          "away there first, or keep it here",
                                          child.name(), wanted.name(), WordOf(outside->data_class), outside->country));
  }
  const Quota below = SumOf(children);
  for (const QuotaField& field : kQuotaFields) {
    const std::int64_t quota = wanted.quota.*field.value;
    if (quota == 0) continue;
    const auto without = std::ranges::find_if(children, [&](const Tenant& c) { return c.quota.*field.value == 0; });
    if (without != children.end()) {
      return FailedPrecondition("CHILD_OUTSIDE",
                                fmt::format("tenant.quota.{}: {}, which is below {}, has none of its own; give it one "
                                            "first, or leave this at 0",
                                            field.name, without->name(), wanted.name()));
    }
    if (below.*field.value <= quota) continue;
    const auto& most =
        *std::ranges::max_element(children, {}, [&](const Tenant& child) { return child.quota.*field.value; });
    return FailedPrecondition(
        "CHILD_OUTSIDE",
        fmt::format("tenant.quota.{}: what is below {} has {} together, most of it {} with {}; lower that first, or "
                    "give at least {}",
                    field.name, wanted.name(), below.*field.value, most.name(), most.quota.*field.value,
                    below.*field.value));
  }
  return {};
}

Status CheckChildless(const Tenant& tenant, const std::vector<Tenant>& children) {
  if (children.empty()) return {};
  return FailedPrecondition("TENANT_HAS_CHILDREN",
                            fmt::format("{} has {} below it{}; delete what is below it first", tenant.name(),
                                        children.front().name(), children.size() > 1 ? " and others" : ""));
}

Quota SumOf(const std::vector<Tenant>& children) {
  Quota out;
  for (const Tenant& child : children) {
    for (const QuotaField& field : kQuotaFields) {
      out.*field.value = Saturated(out.*field.value, child.quota.*field.value);
    }
  }
  return out;
}

Quota OwnQuota(const Quota& quota, const Quota& below) {
  Quota out;
  for (const QuotaField& field : kQuotaFields) {
    out.*field.value = LimitLeft(quota.*field.value, below.*field.value);
  }
  return out;
}

std::string SuspendedBelow(const Tenant& parent) {
  return parent.state == TenantState::kActive ? parent.suspended_by : parent.id;
}

bool IsInForce(const Tenant& tenant) { return tenant.state == TenantState::kActive && tenant.suspended_by.empty(); }

KeysStanding KeysStandingOf(TenantState state, std::string_view suspended_by) {
  switch (state) {
    case TenantState::kActive:
      return suspended_by.empty() ? KeysStanding::kInForce : KeysStanding::kSuspended;
    case TenantState::kSuspended:
      return KeysStanding::kSuspended;
    case TenantState::kDeleting:
      return KeysStanding::kDeleting;
    case TenantState::kPurging:
    case TenantState::kDeleted:
      break;
  }
  return KeysStanding::kGone;
}

bool IsWithin(const Tenant& tenant, std::string_view top) {
  return tenant.id == top || std::ranges::find(tenant.ancestors, top) != tenant.ancestors.end();
}

}  // namespace allod::tenancy
