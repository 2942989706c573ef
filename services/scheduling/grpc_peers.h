// The Peers of an installation: tenancy, catalog and billing by gRPC. Channels connect when first used.
//
// All questions about one request are asked at the same time, because whoever asks for an instance waits for them. What
// never changes (variants, versions and price books are immutable) is asked once and kept, up to kKeptMax of each.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/instance_time.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "allod/catalog/v1/listing.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "services/scheduling/peers.h"

namespace allod::scheduling {

class GrpcPeers final : public Peers {
 public:
  GrpcPeers(const std::string& tenancy_target, const std::string& catalog_target, const std::string& billing_target,
            std::chrono::milliseconds timeout = std::chrono::milliseconds(2000));

  static constexpr std::size_t kKeptMax = 1000;

  Result<AdmissionFacts> Ask(const std::string& project_name, const InstanceSpec& spec,
                             const std::string& price_book) override;
  Result<QuotaScopes> AskQuotas(const std::string& name) override;

 private:
  using Prices = std::vector<PriceRow>;
  Result<tenancy::v1::Tenant> AskTenant(const std::string& name);
  Result<tenancy::v1::Project> AskProject(const std::string& name);
  // Absent where the peer says NOT_FOUND.
  Result<std::optional<AdmissionFacts::Listing>> AskListing(const std::string& listing);
  Result<std::optional<AdmissionFacts::Variant>> AskVariant(const std::string& variant);
  Result<std::optional<std::string>> AskCurrency(const std::string& tenant);
  // Whether what the tenant owes has reached its limit: that is billing's to say.
  Result<bool> AskCreditUsedUp(const std::string& tenant);
  Result<Prices> AskPrices(const std::string& price_book);

  const std::chrono::milliseconds timeout_;
  std::unique_ptr<tenancy::v1::TenantService::Stub> tenants_;
  std::unique_ptr<tenancy::v1::ProjectService::Stub> projects_;
  std::unique_ptr<catalog::v1::ListingService::Stub> listings_;
  std::unique_ptr<catalog::v1::ModelService::Stub> models_;
  std::unique_ptr<billing::v1::BillingAccountService::Stub> accounts_;
  std::unique_ptr<billing::v1::PriceBookService::Stub> price_books_;
  std::unique_ptr<billing::v1::InstanceTimeService::Stub> times_;

  std::mutex mutex_;
  std::map<std::string, AdmissionFacts::Variant> variants_;
  std::map<std::string, Prices> prices_;
};

}  // namespace allod::scheduling
