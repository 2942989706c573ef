// RPCs of ListingService. Thread-safe; borrows everything it is given.
//
// A listing is created in three steps that a retry completes: a PENDING row with the price book's id, the price book in
// billing, ACTIVE. Readers see it after the third.
#pragma once

#include "allod/catalog/v1/listing.grpc.pb.h"
#include "services/catalog/call_gates.h"
#include "services/catalog/price_books.h"
#include "services/catalog/store.h"
#include "services/common/clock.h"

namespace allod::catalog {

class ListingServiceImpl final : public v1::ListingService::Service {
 public:
  ListingServiceImpl(Store& store, PriceBooks& price_books, const Clock& clock, CallGates& gates)
      : store_(store), price_books_(price_books), clock_(clock), gates_(gates) {}

  grpc::Status CreateListing(grpc::ServerContext* context, const v1::CreateListingRequest* request,
                             v1::Listing* response) override;
  grpc::Status GetListing(grpc::ServerContext* context, const v1::GetListingRequest* request,
                          v1::Listing* response) override;
  grpc::Status ListListings(grpc::ServerContext* context, const v1::ListListingsRequest* request,
                            v1::ListListingsResponse* response) override;

 private:
  // What CreateListing would answer, without doing it.
  Result<Listing> Judge(const Listing& wanted);

  Store& store_;
  PriceBooks& price_books_;
  const Clock& clock_;
  CallGates& gates_;
};

}  // namespace allod::catalog
