#include "services/tenancy/tenant_deletion.h"

#include <fmt/format.h>

namespace allod::tenancy {

Result<std::chrono::seconds> GraceOf(const std::optional<std::chrono::seconds>& wanted, std::chrono::seconds min) {
  const std::chrono::seconds grace = wanted.value_or(kGraceDefault);
  if (grace >= min && grace <= kGraceMax) return grace;
  const auto text = [](std::chrono::seconds time) {
    constexpr std::chrono::seconds kDay{std::chrono::hours(24)};
    if (time % kDay != std::chrono::seconds(0)) return fmt::format("{} s", time.count());
    return fmt::format("{} {}", time / kDay, time == kDay ? "day" : "days");
  };
  return InvalidArgument("INVALID_GRACE", fmt::format("grace: it is {}; give {} to {}, or leave it out for {}",
                                                      text(grace), text(min), text(kGraceMax), text(kGraceDefault)));
}

bool IsPurged(TenantState state) { return state == TenantState::kPurging || state == TenantState::kDeleted; }

Error TenantDeleted(std::string_view tenant) {
  return {
      Code::kFailedPrecondition, "TENANT_DELETED",
      fmt::format("tenants/{} was deleted and its grace is over: nothing of it can be made, changed or brought back",
                  tenant)};
}

Status CheckNotPurged(const Tenant& tenant) {
  if (IsPurged(tenant.state)) return std::unexpected(TenantDeleted(tenant.id));
  return {};
}

Status CheckNotDeleted(const Tenant& tenant) {
  ALLOD_CHECK_OK(CheckNotPurged(tenant));
  if (tenant.state != TenantState::kDeleting) return {};
  return FailedPrecondition("TENANT_DELETING", fmt::format("{} is being deleted: undelete it first", tenant.name()));
}

Result<Tenant> Deleted(const Tenant& standing, const TenantDeletionRequest& request) {
  ALLOD_CHECK_OK(CheckNotDeleted(standing));
  ALLOD_CHECK_OK(CheckEtag("tenant", standing.name(), EtagOf(standing), request.etag));
  if (request.by == Setter::kFromAbove && standing.state == TenantState::kSuspended && !standing.suspended_from_above) {
    return FailedPrecondition(
        "SUSPENDED_BY_OPERATOR",
        fmt::format(
            "{} was suspended by the operator, who alone deletes it while it is: what it has may be why; ask him",
            standing.name()));
  }
  Tenant out = standing;
  out.deletion = {request.now, request.now + request.grace, request.reason, standing.state,
                  request.by == Setter::kFromAbove};
  out.state = TenantState::kDeleting;
  return out;
}

Result<Tenant> Undeleted(const Tenant& standing, Time now, Setter by) {
  ALLOD_CHECK_OK(CheckNotPurged(standing));
  Tenant out = standing;
  if (standing.state != TenantState::kDeleting) return out;
  if (now >= standing.deletion->purge_time) return std::unexpected(TenantDeleted(standing.id));
  if (by == Setter::kFromAbove && !standing.deletion->from_above) {
    return FailedPrecondition(
        "DELETED_BY_OPERATOR",
        fmt::format("{} was deleted by the operator, who alone brings it back; ask him before its purge time",
                    standing.name()));
  }
  out.state = standing.deletion->state_before;
  out.deletion.reset();
  return out;
}

Error TenantIdUsed(std::string_view tenant) {
  return {Code::kAlreadyExists, "TENANT_ID_USED",
          fmt::format("tenants/{} was deleted, and ids are never reused: choose another", tenant)};
}

Tenant TombstoneOf(const Tenant& tenant) {
  Tenant out = tenant;
  out.state = TenantState::kDeleted;
  out.display_name = tenant.id;
  out.suspend_reason.clear();
  out.deletion->reason.clear();
  return out;
}

}  // namespace allod::tenancy
