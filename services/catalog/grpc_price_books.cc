#include "allod/billing/v1/price_book.grpc.pb.h"
#include "services/catalog/convert.h"
#include "services/catalog/price_books.h"
#include "services/common/rpc/client.h"

namespace allod::catalog {
namespace {

constexpr std::chrono::seconds kTimeout{3};

}  // namespace

struct GrpcPriceBooks::Impl {
  std::unique_ptr<billing::v1::PriceBookService::Stub> stub;
};

GrpcPriceBooks::GrpcPriceBooks(const std::string& target)
    : impl_(std::make_unique<Impl>(Impl{billing::v1::PriceBookService::NewStub(MakeChannel(target))})) {}

GrpcPriceBooks::~GrpcPriceBooks() = default;

Status GrpcPriceBooks::Create(const Listing& listing) {
  billing::v1::CreatePriceBookRequest request;
  billing::v1::PriceBook& book = *request.mutable_price_book();
  book.set_name(listing.price_book_name());
  book.set_listing(listing.name());
  for (const TokenPrice& price : listing.prices) *book.add_prices() = ToProto(price);
  ALLOD_CHECK_OK(CallUnary(*impl_->stub, &billing::v1::PriceBookService::Stub::CreatePriceBook, request,
                           Caller::Service("catalog"), kTimeout));
  return {};
}

}  // namespace allod::catalog
