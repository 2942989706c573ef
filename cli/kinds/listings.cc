// Listings.

#include "allod/catalog/v1/listing.grpc.pb.h"
#include "cli/kinds/calls.h"

namespace allod::cli::kinds {
namespace {

namespace catalog_v1 = allod::catalog::v1;
using google::protobuf::Message;
using net::Services;

ResourceKind ListingKind() {
  return {.kind = "Listing",
          .plural = "listings",
          .pattern = "listings/*",
          .columns = {{"NAME", "name"},
                      {"VERSION", "version"},
                      {"TERMS", "license_terms"},
                      {"TERRITORY", "territory"},
                      {"STATE", "state"}},
          .prototype = &catalog_v1::Listing::default_instance(),
          .spec_fields = {"version", "display_name", "license_terms", "territory", "prices"},
          .decimals = {"allod.billing.v1.TokenPrice.prompt_price_per_million",
                       "allod.billing.v1.TokenPrice.completion_price_per_million",
                       "allod.billing.v1.TokenPrice.instance_price_per_hour"},
          .get = Getter<catalog_v1::ListingService>(&catalog_v1::ListingService::Stub::GetListing),
          .list = Lister<catalog_v1::ListingService>(&catalog_v1::ListingService::Stub::ListListings),
          .create = [](const Services& services, const Message& wanted, const Attempt& attempt) -> Result<net::Change> {
            catalog_v1::CreateListingRequest request;
            *request.mutable_listing() = dynamic_cast<const catalog_v1::Listing&>(wanted);
            request.set_listing_id(LastSegment(request.listing().name()));
            Mark(request, attempt);
            return Done(net::Ask<catalog_v1::ListingService>(services, &catalog_v1::ListingService::Stub::CreateListing,
                                                             request));
          }};
}

}  // namespace

std::vector<ResourceKind> ListingKinds() { return {ListingKind()}; }

}  // namespace allod::cli::kinds
