#include "gateway/portal/services.h"

#include "allod/billing/v1/audit.pb.h"
#include "allod/billing/v1/billing_account.pb.h"
#include "allod/billing/v1/budget.pb.h"
#include "allod/billing/v1/computed_usage.pb.h"
#include "allod/billing/v1/event_sink.pb.h"
#include "allod/billing/v1/instance_time.pb.h"
#include "allod/billing/v1/invoice.pb.h"
#include "allod/billing/v1/ledger.pb.h"
#include "allod/billing/v1/price_terms.pb.h"
#include "allod/billing/v1/usage.pb.h"
#include "allod/billing/v1/usage_report.pb.h"
#include "allod/billing/v1/wallet.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/catalog/v1/model.pb.h"
#include "allod/scheduling/v1/audit.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/scheduling/v1/node.pb.h"
#include "allod/scheduling/v1/quote.pb.h"
#include "allod/tenancy/v1/api_key.pb.h"
#include "allod/tenancy/v1/audit.pb.h"
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
  return {Message::descriptor()->file()->FindServiceByName(name), backend, nullptr};
}

PortalService Operations() {
  PortalService out = In<google::longrunning::Operation>("Operations", Backend::kScheduling);
  out.operations_of = scheduling::v1::Instance::descriptor()->file()->FindServiceByName("InstanceService");
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
      In<billing::v1::EventSink>("EventSinkService", Backend::kBilling),
      In<billing::v1::UsageRecord>("UsageService", Backend::kBilling),
      In<billing::v1::QueryUsageRequest>("UsageReportService", Backend::kBilling),
      In<billing::v1::ComputedUsage>("ComputedUsageService", Backend::kBilling),
      In<billing::v1::InstanceTime>("InstanceTimeService", Backend::kBilling),
      In<billing::v1::Invoice>("InvoiceService", Backend::kBilling),
      In<billing::v1::AgreedTerms>("PriceTermsService", Backend::kBilling),
      In<billing::v1::LedgerAccount>("LedgerService", Backend::kBilling),
      In<billing::v1::Wallet>("WalletService", Backend::kBilling),
      In<billing::v1::Budget>("BudgetService", Backend::kBilling),
      In<scheduling::v1::Instance>("InstanceService", Backend::kScheduling),
      In<scheduling::v1::Quote>("QuoteService", Backend::kScheduling),
      In<scheduling::v1::Region>("NodeService", Backend::kScheduling),
      In<tenancy::v1::ListAuditEntriesRequest>("AuditService", Backend::kTenancy),
      In<scheduling::v1::ListAuditEntriesRequest>("AuditService", Backend::kScheduling),
      In<billing::v1::ListAuditEntriesRequest>("AuditService", Backend::kBilling),
      Operations(),
  };
}

}  // namespace allod::gateway::portal
