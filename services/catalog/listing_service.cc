#include "services/catalog/listing_service.h"

#include <set>

#include "services/catalog/convert.h"
#include "services/common/rpc/request_id.h"
#include "services/common/rpc/server.h"

namespace allod::catalog {

Result<Listing> ListingServiceImpl::Judge(const Listing& wanted) {
  ALLOD_CHECK_OK(store_.GetVersion(wanted.version));
  std::set<std::string> variants;
  PageRequest page{.size = kPageSizeMax};
  while (true) {
    ALLOD_TRY(const auto listed, store_.ListVariants(wanted.version, page));
    for (const Variant& variant : listed.items) variants.insert(variant.key.variant);
    if (listed.next_page_token.empty()) break;
    page.after = listed.items.back().key.variant;
  }
  ALLOD_CHECK_OK(CheckPricedVariants(wanted, variants));
  const auto standing = store_.GetListing(wanted.id);
  if (!standing && standing.error().code == Code::kNotFound) return wanted;
  if (standing && !SameContent(*standing, wanted)) return std::unexpected(TakenByOtherContent(wanted.name()));
  return standing;
}

grpc::Status ListingServiceImpl::CreateListing(grpc::ServerContext* context, const v1::CreateListingRequest* request,
                                               v1::Listing* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Listing> {
    ALLOD_TRY(const Listing wanted, ListingFromRequest(*request, clock_.Now()));
    ALLOD_TRY(const RequestId request_id, ReadRequestId(*request));
    if (request->validate_only()) {
      ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
      ALLOD_TRY(const Listing judged, Judge(wanted));
      v1::Listing out = ToProto(judged);
      // Made with the listing, not before.
      if (judged.state == ListingState::kPending) out.clear_price_book();
      return out;
    }
    ALLOD_TRY(const Listing prepared, store_.PrepareListing(wanted, request_id));
    if (prepared.state != ListingState::kPending) return ToProto(prepared);
    ALLOD_CHECK_OK(price_books_.Create(prepared));
    ALLOD_TRY(const Listing active, store_.ActivateListing(prepared.id, prepared.price_book));
    return ToProto(active);
  });
}

grpc::Status ListingServiceImpl::GetListing(grpc::ServerContext* context, const v1::GetListingRequest* request,
                                            v1::Listing* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::Listing> {
    ALLOD_TRY(const auto name, MatchName("name", request->name(), "listings/*"));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const Listing listing, store_.GetListing(name[0]));
    return ToProto(listing);
  });
}

grpc::Status ListingServiceImpl::ListListings(grpc::ServerContext* context, const v1::ListListingsRequest* request,
                                              v1::ListListingsResponse* response) {
  // A listing carries its terms, so a page of the usual size could exceed a message.
  constexpr int kPerPageMax = 25;
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::ListListingsResponse> {
    ALLOD_TRY(const PageRequest page, ParsePage("listings", request->page_size(), request->page_token(), kPerPageMax));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const auto listings, store_.ListListings(page));
    v1::ListListingsResponse out;
    for (const Listing& listing : listings.items) *out.add_listings() = ToProto(listing);
    out.set_next_page_token(listings.next_page_token);
    return out;
  });
}

}  // namespace allod::catalog
