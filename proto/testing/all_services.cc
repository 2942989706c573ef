#include "proto/testing/all_services.h"

#include <google/protobuf/message.h>

#include <stdexcept>
#include <string>

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
#include "allod/inference/v1/worker.pb.h"
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
#include "allod/tenancy/v1/role.pb.h"
#include "allod/tenancy/v1/session.pb.h"
#include "allod/tenancy/v1/tenant.pb.h"

namespace allod {
namespace {

// A message of each file with methods, so that all of them are in the program.
void Link() {
  billing::v1::GetBillingAccountRequest::descriptor();
  billing::v1::GetBudgetRequest::descriptor();
  billing::v1::CheckUsageRequest::descriptor();
  billing::v1::GetAuditHeadRequest::descriptor();
  scheduling::v1::GetRegionRequest::descriptor();
  scheduling::v1::GetQuoteRequest::descriptor();
  scheduling::v1::GetAuditHeadRequest::descriptor();
  tenancy::v1::GetAuditHeadRequest::descriptor();
  billing::v1::RerateInvoiceRequest::descriptor();
  billing::v1::GetEventSinkRequest::descriptor();
  billing::v1::ListInstanceTimeRequest::descriptor();
  billing::v1::GetInvoiceRequest::descriptor();
  billing::v1::AdjustLeaseRequest::descriptor();
  billing::v1::CheckLedgerRequest::descriptor();
  billing::v1::GetLegalEntityRequest::descriptor();
  billing::v1::GetPayoutRequest::descriptor();
  billing::v1::GetPriceBookRequest::descriptor();
  billing::v1::GetPriceTermsRequest::descriptor();
  billing::v1::ReserveRequest::descriptor();
  billing::v1::QueryUsageRequest::descriptor();
  billing::v1::GetWalletRequest::descriptor();
  catalog::v1::ReadArtifactRequest::descriptor();
  catalog::v1::LeaseJobRequest::descriptor();
  catalog::v1::GetListingRequest::descriptor();
  catalog::v1::GetModelRequest::descriptor();
  inference::v1::EmbedRequest::descriptor();
  scheduling::v1::GetInstanceRequest::descriptor();
  scheduling::v1::ListNodesRequest::descriptor();
  tenancy::v1::ListApiKeysRequest::descriptor();
  tenancy::v1::GetProjectRequest::descriptor();
  tenancy::v1::GetTenantRequest::descriptor();
  tenancy::v1::WorkloadRule::descriptor();
  tenancy::v1::IdentityProvider::descriptor();
  tenancy::v1::Member::descriptor();
  tenancy::v1::Role::descriptor();
  tenancy::v1::Session::descriptor();
  tenancy::v1::WatchIdentitiesRequest::descriptor();
  tenancy::v1::GetQuotaUseRequest::descriptor();
}

}  // namespace

std::vector<const google::protobuf::ServiceDescriptor*> AllServices(const std::filesystem::path& source) {
  Link();
  std::vector<const google::protobuf::ServiceDescriptor*> out;
  const std::filesystem::path root = source / "proto";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "allod")) {
    if (entry.path().extension() != ".proto") continue;
    const std::string name = entry.path().lexically_relative(root).string();
    const auto* file = google::protobuf::DescriptorPool::generated_pool()->FindFileByName(name);
    if (file == nullptr) {
      throw std::runtime_error(name + " is not linked: one of its messages belongs into proto/testing/all_services.cc");
    }
    for (int i = 0; i < file->service_count(); ++i) out.push_back(file->service(i));
  }
  return out;
}

}  // namespace allod
