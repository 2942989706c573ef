#include "services/scheduling/grpc_peers.h"

#include <fmt/format.h>

#include <utility>

#include "services/common/async_in_call.h"
#include "services/common/rpc/client.h"
#include "services/common/rpc/residency.h"
#include "services/scheduling/convert.h"

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

Result<Amount> TokenPriceFrom(std::string_view field, const std::string& per_million) {
  if (per_million.empty()) return Amount();
  return TokenPriceFromMillion(field, per_million);
}

template <typename T>
std::optional<T> Find(std::mutex& mutex, const std::map<std::string, T>& kept, const std::string& name) {
  const std::lock_guard lock(mutex);
  const auto it = kept.find(name);
  return it == kept.end() ? std::nullopt : std::optional<T>(it->second);
}

template <typename T>
void Keep(std::mutex& mutex, std::map<std::string, T>& kept, const std::string& name, const T& value, std::size_t max) {
  const std::lock_guard lock(mutex);
  if (kept.size() >= max) kept.erase(kept.begin());
  kept.insert_or_assign(name, value);
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
  times_ = billing::v1::InstanceTimeService::NewStub(billing);
}

Result<AdmissionFacts> GrpcPeers::Ask(const std::string& project_name, const InstanceSpec& spec,
                                      const std::string& price_book) {
  AdmissionFacts facts;
  facts.tenant_name = TenantOf(project_name);
  auto project = AsyncInCall([&] { return AskProject(project_name); });
  auto variant = AsyncInCall([&] { return AskVariant(spec.variant); });
  auto currency = AsyncInCall([&] { return AskCurrency(facts.tenant_name); });
  auto offered = AsyncInCall([&]() -> Result<std::pair<std::optional<AdmissionFacts::Listing>, Prices>> {
    ALLOD_TRY(auto listing, AskListing(spec.listing));
    if (!listing) return std::pair(listing, Prices());
    if (!price_book.empty()) listing->price_book = price_book;
    ALLOD_TRY(auto prices, AskPrices(listing->price_book));
    return std::pair(std::move(listing), std::move(prices));
  });
  const auto tenant = AskTenant(facts.tenant_name);
  const auto belongs = project.get();
  auto found_offer = offered.get();
  auto found_variant = variant.get();
  auto found_currency = currency.get();
  if (!tenant) return std::unexpected(tenant.error());
  if (!belongs) return std::unexpected(belongs.error());
  facts.tenant_active = IsActive(*tenant);
  ALLOD_TRY(facts.residency, ResidencyOf(*tenant));
  facts.quotas = {LimitsFrom(*tenant), LimitsFrom(belongs->quota())};
  if (!found_offer) {
    facts.offer = std::unexpected(std::move(found_offer).error());
  } else if (!found_variant) {
    facts.offer = std::unexpected(std::move(found_variant).error());
  } else if (!found_currency) {
    facts.offer = std::unexpected(std::move(found_currency).error());
  } else {
    facts.listing = std::move(found_offer->first);
    facts.prices = std::move(found_offer->second);
    facts.variant = *std::move(found_variant);
    facts.billing_currency = *std::move(found_currency);
    if (const auto price = FindPrice(spec, facts); price && price->second > Amount()) {
      const auto used_up = AskCreditUsedUp(facts.tenant_name);
      if (used_up) facts.credit_used_up = *used_up;
      if (!used_up) facts.offer = std::unexpected(used_up.error());
    }
  }
  return facts;
}

Result<tenancy::v1::Tenant> GrpcPeers::AskTenant(const std::string& name) {
  tenancy::v1::GetTenantRequest request;
  request.set_name(name);
  return CallUnary(*tenants_, &tenancy::v1::TenantService::Stub::GetTenant, request, Self(), timeout_);
}

Result<tenancy::v1::Project> GrpcPeers::AskProject(const std::string& name) {
  tenancy::v1::GetProjectRequest request;
  request.set_name(name);
  return CallUnary(*projects_, &tenancy::v1::ProjectService::Stub::GetProject, request, Self(), timeout_);
}

Result<QuotaScopes> GrpcPeers::AskQuotas(const std::string& name) {
  QuotaScopes out;
  const std::string owner = TenantOf(name);
  ALLOD_TRY(const auto tenant, AskTenant(owner));
  out.in_tenant = LimitsFrom(tenant);
  if (name == owner) return out;
  ALLOD_TRY(const auto project, AskProject(name));
  out.in_project = LimitsFrom(project.quota());
  return out;
}

Result<std::optional<AdmissionFacts::Listing>> GrpcPeers::AskListing(const std::string& listing) {
  catalog::v1::GetListingRequest request;
  request.set_name(listing);
  ALLOD_TRY(const auto found,
            Maybe(CallUnary(*listings_, &catalog::v1::ListingService::Stub::GetListing, request, Self(), timeout_)));
  if (!found) return std::nullopt;
  return AdmissionFacts::Listing{found->state() == catalog::v1::Listing::STATE_ACTIVE,
                                 found->version(),
                                 {found->territory().begin(), found->territory().end()},
                                 found->price_book()};
}

Result<std::optional<AdmissionFacts::Variant>> GrpcPeers::AskVariant(const std::string& name) {
  if (auto kept = Find(mutex_, variants_, name)) return kept;
  auto version_answer = AsyncInCall([&] {
    catalog::v1::GetVersionRequest request;
    request.set_name(name.substr(0, name.find("/variants/")));
    return Maybe(CallUnary(*models_, &catalog::v1::ModelService::Stub::GetVersion, request, Self(), timeout_));
  });
  catalog::v1::GetVariantRequest request;
  request.set_name(name);
  const auto variant_answer =
      Maybe(CallUnary(*models_, &catalog::v1::ModelService::Stub::GetVariant, request, Self(), timeout_));
  ALLOD_TRY(const auto version, version_answer.get());
  ALLOD_TRY(const auto variant, variant_answer);
  if (!variant || !version) return std::nullopt;
  if (!CheckSha256("artifact_sha256", variant->artifact_sha256()) || variant->artifact_bytes() <= 0) {
    return Unusable(fmt::format("{} has no artifact", name));
  }
  if (version->trained_context_tokens() <= 0 || version->parameter_count() < 0 || version->kv_bytes_per_token() < 0) {
    return Unusable(fmt::format("{} does not say for how many tokens of context it was trained", version->name()));
  }
  AdmissionFacts::Variant facts{variant->artifact_sha256(), variant->artifact_bytes(), version->parameter_count(),
                                version->trained_context_tokens(), version->kv_bytes_per_token()};
  Keep(mutex_, variants_, name, facts, kKeptMax);
  return facts;
}

Result<std::optional<std::string>> GrpcPeers::AskCurrency(const std::string& tenant) {
  billing::v1::GetBillingAccountRequest request;
  request.set_name(tenant + "/billingAccount");
  ALLOD_TRY(const auto found, Maybe(CallUnary(*accounts_, &billing::v1::BillingAccountService::Stub::GetBillingAccount,
                                              request, Self(), timeout_)));
  if (!found) return std::nullopt;
  return found->currency_code();
}

Result<bool> GrpcPeers::AskCreditUsedUp(const std::string& tenant) {
  // Of no interval: only that.
  billing::v1::RecordInstanceTimeRequest request;
  request.set_tenant(tenant);
  ALLOD_TRY(const auto answer,
            CallUnary(*times_, &billing::v1::InstanceTimeService::Stub::RecordInstanceTime, request, Self(), timeout_));
  return answer.credit_used_up();
}

Result<GrpcPeers::Prices> GrpcPeers::AskPrices(const std::string& price_book) {
  if (auto kept = Find(mutex_, prices_, price_book)) return *std::move(kept);
  billing::v1::GetPriceBookRequest request;
  request.set_name(price_book);
  ALLOD_TRY(const auto book, Maybe(CallUnary(*price_books_, &billing::v1::PriceBookService::Stub::GetPriceBook, request,
                                             Self(), timeout_)));
  Prices prices;
  if (!book) return prices;
  for (const auto& row : book->prices()) {
    ALLOD_TRY(const Amount prompt, TokenPriceFrom("prompt_price_per_million", row.prompt_price_per_million()));
    ALLOD_TRY(const Amount completion,
              TokenPriceFrom("completion_price_per_million", row.completion_price_per_million()));
    ALLOD_TRY(const Amount second, SecondPriceFromHour("instance_price_per_hour", row.instance_price_per_hour()));
    prices.push_back({row.currency_code(), row.variant_id(), row.isolation_class(), prompt, completion, second});
  }
  Keep(mutex_, prices_, price_book, prices, kKeptMax);
  return prices;
}

}  // namespace allod::scheduling
