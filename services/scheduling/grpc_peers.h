// The Peers of an installation: tenancy, catalog and billing by gRPC. Channels connect when first used.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "allod/billing/v1/billing_account.grpc.pb.h"
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

  Result<AdmissionFacts> AskTenant(const std::string& project_name) override;
  Status AskOffer(const InstanceSpec& spec, AdmissionFacts& facts) override;

 private:
  Status AskListing(const InstanceSpec& spec, AdmissionFacts& facts);
  Status AskVariant(const InstanceSpec& spec, AdmissionFacts& facts);
  Status AskBilling(AdmissionFacts& facts);

  const std::chrono::milliseconds timeout_;
  std::unique_ptr<tenancy::v1::TenantService::Stub> tenants_;
  std::unique_ptr<tenancy::v1::ProjectService::Stub> projects_;
  std::unique_ptr<catalog::v1::ListingService::Stub> listings_;
  std::unique_ptr<catalog::v1::ModelService::Stub> models_;
  std::unique_ptr<billing::v1::BillingAccountService::Stub> accounts_;
  std::unique_ptr<billing::v1::PriceBookService::Stub> price_books_;
};

}  // namespace allod::scheduling
