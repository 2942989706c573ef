#include "cli/commands/prove_trial.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "allod/billing/v1/billing_account.grpc.pb.h"
#include "allod/billing/v1/price_book.grpc.pb.h"
#include "allod/catalog/v1/listing.grpc.pb.h"
#include "allod/catalog/v1/model.grpc.pb.h"
#include "allod/scheduling/v1/instance.grpc.pb.h"
#include "allod/scheduling/v1/node.grpc.pb.h"
#include "allod/tenancy/v1/api_key.grpc.pb.h"
#include "allod/tenancy/v1/project.grpc.pb.h"
#include "allod/tenancy/v1/tenant.grpc.pb.h"
#include "cli/kinds/calls.h"
#include "cli/net/connections.h"
#include "cli/net/operations.h"
#include "cli/net/pages.h"
#include "services/common/ids.h"

namespace allod::cli::commands {
namespace {

namespace billing_v1 = allod::billing::v1;
namespace catalog_v1 = allod::catalog::v1;
namespace scheduling_v1 = allod::scheduling::v1;
namespace tenancy_v1 = allod::tenancy::v1;

constexpr int kRecordsListedMax = 200;
constexpr char kListingOfProofs[] = "listings/allod-prove";
constexpr std::int64_t kGraceSeconds = 86'400;

// What is for sale, and where.
struct Offer {
  std::string listing;
  std::string variant;
  std::string region;
  std::string currency;
  std::vector<std::string> residency;
};

// The smallest variant of it, in the first region that it may be in.
Result<std::optional<Offer>> OfferOf(const net::Services& services, const catalog_v1::Listing& listing,
                                     const std::vector<terminal::MessagePtr>& regions) {
  const auto region = std::ranges::find_if(regions, [&](const terminal::MessagePtr& one) {
    const auto& jurisdiction = dynamic_cast<const scheduling_v1::Region&>(*one).jurisdiction();
    return std::ranges::find(listing.territory(), jurisdiction) != listing.territory().end();
  });
  if (region == regions.end() || listing.prices().empty()) return std::optional<Offer>();
  catalog_v1::ListVariantsRequest request;
  request.set_parent(listing.version());
  using Models = catalog_v1::ModelService;
  ALLOD_TRY(const net::Listed variants,
            net::List<Models>(services, &Models::Stub::ListVariants, request, kRecordsListedMax));
  const auto smallest = std::ranges::min_element(variants.items, {}, [](const terminal::MessagePtr& one) {
    return dynamic_cast<const catalog_v1::Variant&>(*one).artifact_bytes();
  });
  if (smallest == variants.items.end()) return std::optional<Offer>();
  const auto& where = dynamic_cast<const scheduling_v1::Region&>(**region);
  return Offer{.listing = listing.name(),
               .variant = dynamic_cast<const catalog_v1::Variant&>(**smallest).name(),
               .region = where.name(),
               .currency = listing.prices(0).currency_code(),
               .residency = {where.jurisdiction()}};
}

Result<std::optional<Offer>> FindOffer(const net::Services& services) {
  using Nodes = scheduling_v1::NodeService;
  ALLOD_TRY(const net::Listed regions, net::List<Nodes>(services, &Nodes::Stub::ListRegions,
                                                        scheduling_v1::ListRegionsRequest(), kRecordsListedMax));
  using Listings = catalog_v1::ListingService;
  ALLOD_TRY(const net::Listed listings, net::List<Listings>(services, &Listings::Stub::ListListings,
                                                            catalog_v1::ListListingsRequest(), kRecordsListedMax));
  for (const terminal::MessagePtr& one : listings.items) {
    const auto& listing = dynamic_cast<const catalog_v1::Listing&>(*one);
    if (listing.state() != catalog_v1::Listing::STATE_ACTIVE) continue;
    ALLOD_TRY(std::optional<Offer> offer, OfferOf(services, listing, regions.items));
    if (offer) return offer;
  }
  return std::optional<Offer>();
}

// Where this installation stands: a tenant that may be nowhere else can be made nowhere.
Result<std::vector<std::string>> SomeResidency(const net::Services& services) {
  using Nodes = scheduling_v1::NodeService;
  ALLOD_TRY(const net::Listed regions, net::List<Nodes>(services, &Nodes::Stub::ListRegions,
                                                        scheduling_v1::ListRegionsRequest(), kRecordsListedMax));
  if (regions.items.empty()) {
    return FailedPrecondition("NO_REGION", "this installation has no region; make one with `allod apply`");
  }
  return std::vector<std::string>{dynamic_cast<const scheduling_v1::Region&>(*regions.items.front()).jurisdiction()};
}

Status MakeTenant(const net::Services& services, const Trial& trial, const std::vector<std::string>& residency) {
  tenancy_v1::CreateTenantRequest request;
  request.set_tenant_id(kinds::LastSegment(trial.tenant));
  request.mutable_tenant()->set_display_name("allod prove billing (throw-away)");
  request.mutable_tenant()->set_currency_code(trial.currency);
  for (const std::string& jurisdiction : residency) request.mutable_tenant()->add_residency(jurisdiction);
  using Tenants = tenancy_v1::TenantService;
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::CreateTenant, request));
  tenancy_v1::CreateProjectRequest project;
  project.set_parent(trial.tenant);
  project.set_project_id(kinds::LastSegment(trial.project));
  project.mutable_project()->set_display_name("allod prove billing");
  using Projects = tenancy_v1::ProjectService;
  ALLOD_CHECK_OK(net::Ask<Projects>(services, &Projects::Stub::CreateProject, project));
  return {};
}

Status MakePriceBook(const net::Services& services, const Trial& trial) {
  billing_v1::CreatePriceBookRequest request;
  request.mutable_price_book()->set_name(trial.price_book);
  request.mutable_price_book()->set_listing(kListingOfProofs);
  auto& price = *request.mutable_price_book()->add_prices();
  price.set_currency_code(trial.currency);
  price.set_prompt_price_per_million("1");
  price.set_completion_price_per_million("2");
  using Books = billing_v1::PriceBookService;
  ALLOD_CHECK_OK(net::Ask<Books>(services, &Books::Stub::CreatePriceBook, request));
  return {};
}

Status MakeInstance(const net::Services& services, const Offer& offer, Trial& trial) {
  const std::string name = trial.project + "/instances/streams";
  scheduling_v1::CreateInstanceRequest request;
  request.set_parent(trial.project);
  request.set_instance_id(kinds::LastSegment(name));
  auto& spec = *request.mutable_instance()->mutable_spec();
  spec.set_listing(offer.listing);
  spec.set_variant(offer.variant);
  spec.set_region(offer.region);
  using Instances = scheduling_v1::InstanceService;
  ALLOD_TRY(const auto operation, net::Ask<Instances>(services, &Instances::Stub::CreateInstance, request));
  ALLOD_CHECK_OK(net::WaitForChange(services, {"scheduling", operation}, name));
  tenancy_v1::CreateApiKeyRequest key;
  key.set_parent(trial.project);
  key.mutable_api_key()->set_display_name("allod prove billing");
  key.mutable_api_key()->add_scopes(tenancy_v1::ApiKey::SCOPE_INFERENCE);
  using Keys = tenancy_v1::ApiKeyService;
  ALLOD_TRY(const auto made, net::Ask<Keys>(services, &Keys::Stub::CreateApiKey, key));
  trial.api_key = made.secret();
  trial.instance = name;
  return {};
}

}  // namespace

std::string WhatATrialMakes() {
  return "makes a tenant `prove-...` of its own, with an instance where something is for sale, and deletes it at the "
         "end; "
         "what it used stays in its ledger, as of every tenant";
}

Result<Trial> MakeTrial(const net::Services& services) {
  ALLOD_TRY(const std::optional<Offer> offer, FindOffer(services));
  Trial trial;
  const std::string id = Uuid::V7().ToString();
  trial.tenant = "tenants/prove-" + id.substr(id.size() - 12);
  trial.project = trial.tenant + "/projects/prove";
  trial.currency = offer ? offer->currency : "EUR";
  trial.price_book = "priceBooks/" + Uuid::FromName("allod prove billing in " + trial.currency).ToString();
  ALLOD_CHECK_OK(MakePriceBook(services, trial));
  std::vector<std::string> residency;
  if (offer) residency = offer->residency;
  if (!offer) {
    ALLOD_TRY(residency, SomeResidency(services));
  }
  ALLOD_CHECK_OK(MakeTenant(services, trial, residency));
  const auto rest = [&]() -> Status {
    ALLOD_CHECK_OK(SetTrialLimit(services, trial, "1000"));
    if (!offer) {
      trial.no_instance = "nothing is for sale in a region of this installation";
      return {};
    }
    if (const Status made = MakeInstance(services, *offer, trial); !made) trial.no_instance = made.error().message;
    return {};
  };
  if (const Status made = rest(); !made) {
    (void)EndTrial(services, trial);
    return std::unexpected(made.error());
  }
  return trial;
}

Status EndTrial(const net::Services& services, const Trial& trial) {
  using Tenants = tenancy_v1::TenantService;
  tenancy_v1::GetTenantRequest get;
  get.set_name(trial.tenant);
  ALLOD_TRY(const auto standing, net::Ask<Tenants>(services, &Tenants::Stub::GetTenant, get));
  tenancy_v1::DeleteTenantRequest request;
  request.set_name(trial.tenant);
  request.set_etag(standing.etag());
  request.set_reason("made by allod prove billing");
  request.mutable_grace()->set_seconds(kGraceSeconds);
  ALLOD_CHECK_OK(net::Ask<Tenants>(services, &Tenants::Stub::DeleteTenant, request));
  return {};
}

Status SetTrialLimit(const net::Services& services, const Trial& trial, const std::string& amount) {
  billing_v1::SetBillingAccountRequest request;
  auto& account = *request.mutable_billing_account();
  account.set_name(trial.tenant + "/billingAccount");
  account.set_currency_code(trial.currency);
  account.set_credit_limit(amount);
  using Accounts = billing_v1::BillingAccountService;
  ALLOD_CHECK_OK(net::Ask<Accounts>(services, &Accounts::Stub::SetBillingAccount, request));
  return {};
}

}  // namespace allod::cli::commands
