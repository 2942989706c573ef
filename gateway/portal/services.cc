#include "gateway/portal/services.h"

#include "allod/billing/v1/billing_account.pb.h"
#include "allod/billing/v1/invoice.pb.h"
#include "allod/billing/v1/usage.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/catalog/v1/model.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/tenancy/v1/api_key.pb.h"
#include "allod/tenancy/v1/identity_provider.pb.h"
#include "allod/tenancy/v1/member.pb.h"
#include "allod/tenancy/v1/project.pb.h"
#include "allod/tenancy/v1/quota.pb.h"
#include "allod/tenancy/v1/role.pb.h"
#include "allod/tenancy/v1/session.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"
#include "allod/tenancy/v1/workload_rule.pb.h"
#include "google/longrunning/operations.pb.h"
#include "google/rpc/error_details.pb.h"

namespace allod::gateway::portal {
namespace {

// The service `name` in the file that declares `Message`.
template <typename Message>
PortalService In(const char* name, Backend backend) {
  return {Message::descriptor()->file()->FindServiceByName(name), backend, {}};
}

PortalService Operations() {
  PortalService out = In<google::longrunning::Operation>("Operations", Backend::kScheduling);
  out.rules = {{"GetOperation", "GET", "/v1/{name=tenants/*/operations/*}", ""},
               {"ListOperations", "GET", "/v1/{name=tenants/*}/operations", ""},
               {"WaitOperation", "POST", "/v1/{name=tenants/*/operations/*}:wait", "*"}};
  return out;
}

}  // namespace

std::vector<PortalService> PortalServices() {
  google::rpc::ErrorInfo::descriptor();  // appears in the `error` of operations
  return {
      In<tenancy::v1::Tenant>("TenantService", Backend::kTenancy),
      In<tenancy::v1::Project>("ProjectService", Backend::kTenancy),
      In<tenancy::v1::Quota>("QuotaService", Backend::kTenancy),
      In<tenancy::v1::ApiKey>("ApiKeyService", Backend::kTenancy),
      In<tenancy::v1::IdentityProvider>("IdentityProviderService", Backend::kTenancy),
      In<tenancy::v1::WorkloadRule>("WorkloadRuleService", Backend::kTenancy),
      In<tenancy::v1::Member>("MemberService", Backend::kTenancy),
      In<tenancy::v1::Role>("RoleService", Backend::kTenancy),
      In<tenancy::v1::Session>("SessionService", Backend::kTenancy),
      In<catalog::v1::Model>("ModelService", Backend::kCatalog),
      In<catalog::v1::Listing>("ListingService", Backend::kCatalog),
      In<billing::v1::BillingAccount>("BillingAccountService", Backend::kBilling),
      In<billing::v1::UsageRecord>("UsageService", Backend::kBilling),
      In<billing::v1::Invoice>("InvoiceService", Backend::kBilling),
      In<scheduling::v1::Instance>("InstanceService", Backend::kScheduling),
      Operations(),
  };
}

}  // namespace allod::gateway::portal
