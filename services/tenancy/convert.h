// Between the messages of allod.tenancy.v1 and the domain.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "allod/tenancy/v1/api_key.pb.h"
#include "allod/tenancy/v1/project.pb.h"
#include "allod/tenancy/v1/quota.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"
#include "services/tenancy/key_feed.h"
#include "services/tenancy/store.h"

namespace allod::tenancy {

namespace pb = allod::tenancy::v1;

// Checked as ValidTenant and its siblings do; INVALID_ARGUMENT / INVALID_NAME for a malformed parent.
Result<Tenant> TenantFromRequest(const pb::CreateTenantRequest& request, Time now);
// The content that is to replace a tenant's, and its id.
Result<Tenant> TenantFromRequest(const pb::UpdateTenantRequest& request);
Result<Project> ProjectFromRequest(const pb::CreateProjectRequest& request, Time now);
// The content that is to replace a project's, and its ids.
Result<Project> ProjectFromRequest(const pb::UpdateProjectRequest& request);
// Without kid and digest; `held` is what the maker may hand on. INVALID_ARGUMENT / INVALID_SCOPE or INVALID_ROLE, and
// the errors of key_rules.h and ParseIpRanges.
Result<ApiKey> ApiKeyFromRequest(const pb::CreateApiKeyRequest& request, const Held& held, Time now);
// Without the successor's kid and digest. INVALID_ARGUMENT / INVALID_NAME, INVALID_OVERLAP, INVALID_EXPIRE_TIME.
Result<KeyRotation> RotationFromRequest(const pb::RotateApiKeyRequest& request, Time now);
// By tenant's id; each minute floored, and not after `now`. INVALID_ARGUMENT / TOO_MANY_USES past kUsesMax,
// INVALID_NAME, INVALID_TIME.
inline constexpr int kUsesMax = 1000;
Result<std::map<std::string, std::vector<KeyUse>>> UsesFromRequest(const pb::ReportApiKeyUseRequest& request, Time now);

struct ProjectName {
  std::string tenant;
  std::string project;
};
Result<std::string> TenantIdOf(std::string_view field, std::string_view name);
Result<ProjectName> ProjectNameOf(std::string_view field, std::string_view name);

pb::ApiKey::Scope ToProto(Scope scope);
pb::Tenant::State ToProto(TenantState state);
pb::Tenant ToProto(const Tenant& tenant);
pb::Project ToProto(const Project& project);
// Of a project if `project` is set, else of the tenant.
pb::GetQuotaUseResponse ToProto(const QuotaState& state, bool project);
pb::ApiKey ToProto(const ApiKey& key);
pb::WatchApiKeysResponse::Key ToProto(const KeyChange& change);
pb::TenantLimits ToProto(const TenantLimits& limits);
pb::WatchApiKeysResponse::TenantStanding ToProto(const TenantStanding& standing);

}  // namespace allod::tenancy
