#include "services/billing/price_book_service.h"

#include "services/billing/convert.h"
#include "services/common/fault_point.h"
#include "services/common/rpc/server.h"

namespace allod::billing {

grpc::Status PriceBookServiceImpl::CreatePriceBook(grpc::ServerContext* context,
                                                   const v1::CreatePriceBookRequest* request, v1::PriceBook* response) {
  return Handle(context, request, response, [&](const Call&) -> Result<v1::PriceBook> {
    ALLOD_TRY(const PriceBook book, FromProto(request->price_book()));
    ALLOD_TRY(const PriceBook stored, store_.CreatePriceBook(book, clock_.Now()));
    ALLOD_CHECK_OK(TryFaultPoint(FaultPoint::kPriceBookCommitted));
    return ToProto(stored);
  });
}

grpc::Status PriceBookServiceImpl::GetPriceBook(grpc::ServerContext* context, const v1::GetPriceBookRequest* request,
                                                v1::PriceBook* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::PriceBook> {
    ALLOD_TRY(const Uuid id, PriceBookId("name", request->name()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reads, call));
    ALLOD_TRY(const PriceBook book, store_.GetPriceBook(id));
    return ToProto(book);
  });
}

}  // namespace allod::billing
