#include "proto/known_permissions.h"

#include <google/protobuf/descriptor.h>

#include <map>
#include <set>

#include "allod/access/v1/access.pb.h"
#include "allod/billing/v1/audit.pb.h"
#include "allod/billing/v1/billing_account.pb.h"
#include "allod/billing/v1/budget.pb.h"
#include "allod/billing/v1/computed_usage.pb.h"
#include "allod/billing/v1/correction.pb.h"
#include "allod/billing/v1/event_sink.pb.h"
#include "allod/billing/v1/instance_time.pb.h"
#include "allod/billing/v1/invoice.pb.h"
#include "allod/billing/v1/lease.pb.h"
#include "allod/billing/v1/ledger.pb.h"
#include "allod/billing/v1/legal_entity.pb.h"
#include "allod/billing/v1/payout.pb.h"
#include "allod/billing/v1/price_book.pb.h"
#include "allod/billing/v1/price_terms.pb.h"
#include "allod/billing/v1/usage.pb.h"
#include "allod/billing/v1/usage_report.pb.h"
#include "allod/billing/v1/wallet.pb.h"
#include "allod/catalog/v1/artifact.pb.h"
#include "allod/catalog/v1/job.pb.h"
#include "allod/catalog/v1/listing.pb.h"
#include "allod/catalog/v1/model.pb.h"
#include "allod/scheduling/v1/audit.pb.h"
#include "allod/scheduling/v1/instance.pb.h"
#include "allod/scheduling/v1/node.pb.h"
#include "allod/scheduling/v1/quote.pb.h"
#include "allod/scheduling/v1/region.pb.h"
#include "allod/tenancy/v1/api_key.pb.h"
#include "allod/tenancy/v1/audit.pb.h"
#include "allod/tenancy/v1/identity.pb.h"
#include "allod/tenancy/v1/project.pb.h"
#include "allod/tenancy/v1/quota.pb.h"
#include "allod/tenancy/v1/session.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"

namespace allod {
namespace {

using access::v1::Access;
using google::protobuf::FileDescriptor;

// The files with methods; what they import comes with them.
std::vector<const FileDescriptor*> Roots() {
  return {
      billing::v1::GetAuditHeadRequest::descriptor()->file(),
      billing::v1::GetBillingAccountRequest::descriptor()->file(),
      billing::v1::GetBudgetRequest::descriptor()->file(),
      billing::v1::CheckUsageRequest::descriptor()->file(),
      billing::v1::RerateInvoiceRequest::descriptor()->file(),
      billing::v1::GetEventSinkRequest::descriptor()->file(),
      billing::v1::ListInstanceTimeRequest::descriptor()->file(),
      billing::v1::GetInvoiceRequest::descriptor()->file(),
      billing::v1::AdjustLeaseRequest::descriptor()->file(),
      billing::v1::CheckLedgerRequest::descriptor()->file(),
      billing::v1::GetLegalEntityRequest::descriptor()->file(),
      billing::v1::GetPayoutRequest::descriptor()->file(),
      billing::v1::GetPriceBookRequest::descriptor()->file(),
      billing::v1::GetPriceTermsRequest::descriptor()->file(),
      billing::v1::ReserveRequest::descriptor()->file(),
      billing::v1::QueryUsageRequest::descriptor()->file(),
      billing::v1::GetWalletRequest::descriptor()->file(),
      catalog::v1::ReadArtifactRequest::descriptor()->file(),
      catalog::v1::LeaseJobRequest::descriptor()->file(),
      catalog::v1::GetListingRequest::descriptor()->file(),
      catalog::v1::GetModelRequest::descriptor()->file(),
      scheduling::v1::GetAuditHeadRequest::descriptor()->file(),
      scheduling::v1::GetInstanceRequest::descriptor()->file(),
      scheduling::v1::ListNodesRequest::descriptor()->file(),
      scheduling::v1::GetRegionRequest::descriptor()->file(),
      scheduling::v1::GetQuoteRequest::descriptor()->file(),
      tenancy::v1::ListApiKeysRequest::descriptor()->file(),
      tenancy::v1::GetAuditHeadRequest::descriptor()->file(),
      tenancy::v1::WatchIdentitiesRequest::descriptor()->file(),
      tenancy::v1::GetProjectRequest::descriptor()->file(),
      tenancy::v1::GetQuotaUseRequest::descriptor()->file(),
      tenancy::v1::Session::descriptor()->file(),
      tenancy::v1::GetTenantRequest::descriptor()->file(),
  };
}

bool AdmitsTenants(access::v1::Who who) {
  return who == access::v1::WHO_ANYONE || who == access::v1::WHO_TENANT || who == access::v1::WHO_MEMBER ||
         who == access::v1::WHO_ABOVE || who == access::v1::WHO_PLATFORM_OR_TENANT;
}

bool AdmitsOperators(access::v1::Who who) {
  return who != access::v1::WHO_UNSPECIFIED && who != access::v1::WHO_SERVICE && who != access::v1::WHO_NODE;
}

using ByText = std::map<std::string, KnownPermission>;

void Add(const Access& rule, ByText& out) {
  if (rule.permission().empty()) return;
  KnownPermission& known = out[rule.permission()];
  known.text = rule.permission();
  known.is_tenants = known.is_tenants || AdmitsTenants(rule.who());
  known.is_operators = known.is_operators || AdmitsOperators(rule.who());
}

void AddFile(const FileDescriptor& file, std::set<const FileDescriptor*>& seen, ByText& out) {
  if (!file.package().starts_with("allod.") || !seen.insert(&file).second) return;
  for (int i = 0; i < file.dependency_count(); ++i) AddFile(*file.dependency(i), seen, out);
  for (int i = 0; i < file.service_count(); ++i) {
    const auto& service = *file.service(i);
    for (int k = 0; k < service.method_count(); ++k) {
      Add(service.method(k)->options().GetExtension(access::v1::access), out);
    }
    const auto& operations = service.options().GetExtension(access::v1::operations);
    for (const Access& rule : {operations.get(), operations.list(), operations.wait()}) Add(rule, out);
  }
}

}  // namespace

const std::vector<KnownPermission>& KnownPermissions() {
  static const auto all = [] {
    std::set<const FileDescriptor*> seen;
    ByText by_text;
    for (const FileDescriptor* file : Roots()) AddFile(*file, seen, by_text);
    std::vector<KnownPermission> out;
    for (auto& [text, known] : by_text) out.push_back(std::move(known));
    return out;
  }();
  return all;
}

}  // namespace allod
