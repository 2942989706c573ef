#include "services/scheduling/grpc_peers.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "services/common/rpc/client.h"

namespace allod::scheduling {
namespace {

const Caller& Self() {
  static const Caller caller = Caller::Service("scheduling");
  return caller;
}

// What a NOT_FOUND means here is decided by the rules, so it is an absent value and no error.
template <typename T>
Result<std::optional<T>> Maybe(Result<T> answer) {
  if (answer) return std::optional<T>(*std::move(answer));
  if (answer.error().code == Code::kNotFound) return std::optional<T>();
  return std::unexpected(std::move(answer).error());
}

// A peer that answers with something no instance can be built on.
std::unexpected<Error> Unusable(const std::string& what) {
  return Fail(Code::kFailedPrecondition, "LISTING_NOT_AVAILABLE", what + "; the publisher must correct the catalog");
}

}  // namespace

GrpcPeers::GrpcPeers(const std::string& tenancy_target, const std::string& catalog_target,
                     const std::string& billing_target, std::chrono::milliseconds timeout)
    : timeout_(timeout) {
  const auto tenancy = MakeChannel(tenancy_target);
  const auto catalog = MakeChannel(catalog_target);
  const auto billing = MakeChannel(billing_target);
  tenants_ = tenancy::v1::TenantService::NewStub(tenancy);
  projects_ = tenancy::v1::ProjectService::NewStub(tenancy);
  listings_ = catalog::v1::ListingService::NewStub(catalog);
  models_ = catalog::v1::ModelService::NewStub(catalog);
  accounts_ = billing::v1::BillingAccountService::NewStub(billing);
  price_books_ = billing::v1::PriceBookService::NewStub(billing);
}

Result<AdmissionFacts> GrpcPeers::AskTenant(const std::string& project_name) {
  AdmissionFacts facts;
  facts.tenant_name = TenantOf(project_name);
  tenancy::v1::GetTenantRequest tenant_request;
  tenant_request.set_name(facts.tenant_name);
  ALLOD_TRY(const tenancy::v1::Tenant tenant,
            Call(*tenants_, &tenancy::v1::TenantService::Stub::GetTenant, tenant_request, Self(), timeout_));
  tenancy::v1::GetProjectRequest project_request;
  project_request.set_name(project_name);
  ALLOD_TRY(const tenancy::v1::Project project,
            Call(*projects_, &tenancy::v1::ProjectService::Stub::GetProject, project_request, Self(), timeout_));
  facts.tenant_active = tenant.state() == tenancy::v1::Tenant::STATE_ACTIVE;
  facts.residency.assign(tenant.residency().begin(), tenant.residency().end());
  return facts;
}

Status GrpcPeers::AskListing(const InstanceSpec& spec, AdmissionFacts& facts) {
  catalog::v1::GetListingRequest request;
  request.set_name(spec.listing);
  ALLOD_TRY(const auto listing,
            Maybe(Call(*listings_, &catalog::v1::ListingService::Stub::GetListing, request, Self(), timeout_)));
  if (!listing) return {};
  facts.listing = AdmissionFacts::Listing{listing->state() == catalog::v1::Listing::STATE_ACTIVE,
                                          listing->version(),
                                          {listing->territory().begin(), listing->territory().end()},
                                          listing->price_book()};
  return {};
}

Status GrpcPeers::AskVariant(const InstanceSpec& spec, AdmissionFacts& facts) {
  catalog::v1::GetVariantRequest variant_request;
  variant_request.set_name(spec.variant);
  ALLOD_TRY(const auto variant,
            Maybe(Call(*models_, &catalog::v1::ModelService::Stub::GetVariant, variant_request, Self(), timeout_)));
  if (!variant) return {};
  catalog::v1::GetVersionRequest version_request;
  version_request.set_name(spec.variant.substr(0, spec.variant.find("/variants/")));
  ALLOD_TRY(const auto version,
            Maybe(Call(*models_, &catalog::v1::ModelService::Stub::GetVersion, version_request, Self(), timeout_)));
  if (!version) return {};
  if (!CheckSha256("artifact_sha256", variant->artifact_sha256()) || variant->artifact_bytes() <= 0) {
    return Unusable(fmt::format("{} has no artifact", spec.variant));
  }
  if (version->trained_context_tokens() <= 0 || version->parameter_count() < 0) {
    return Unusable(fmt::format("{} does not say for how many tokens of context it was trained", version->name()));
  }
  facts.variant = AdmissionFacts::Variant{variant->artifact_sha256(), variant->artifact_bytes(),
                                          version->parameter_count(), version->trained_context_tokens()};
  return {};
}

Status GrpcPeers::AskBilling(AdmissionFacts& facts) {
  billing::v1::GetBillingAccountRequest account_request;
  account_request.set_name(facts.tenant_name + "/billingAccount");
  ALLOD_TRY(const auto account, Maybe(Call(*accounts_, &billing::v1::BillingAccountService::Stub::GetBillingAccount,
                                           account_request, Self(), timeout_)));
  if (!account) return {};
  facts.billing_currency = account->currency_code();
  if (!facts.listing) return {};
  billing::v1::GetPriceBookRequest book_request;
  book_request.set_name(facts.listing->price_book);
  ALLOD_TRY(const auto book, Maybe(Call(*price_books_, &billing::v1::PriceBookService::Stub::GetPriceBook, book_request,
                                        Self(), timeout_)));
  if (!book) return {};
  for (const auto& row : book->prices()) facts.prices.push_back({row.currency_code(), row.variant_id()});
  return {};
}

Status GrpcPeers::AskOffer(const InstanceSpec& spec, AdmissionFacts& facts) {
  ALLOD_CHECK_OK(AskListing(spec, facts));
  ALLOD_CHECK_OK(AskVariant(spec, facts));
  return AskBilling(facts);
}

}  // namespace allod::scheduling
