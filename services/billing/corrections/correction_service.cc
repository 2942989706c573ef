#include "services/billing/corrections/correction_service.h"

#include "services/billing/corrections/convert_correction.h"
#include "services/common/rpc/server.h"

namespace allod::billing::corrections {

grpc::Status CorrectionServiceImpl::RerateInvoice(grpc::ServerContext* context, const v1::RerateInvoiceRequest* request,
                                                  v1::RerateInvoiceResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::RerateInvoiceResponse> {
    ALLOD_TRY(const RerateCommand command, FromProto(*request, clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const Rerating rerating, store_.Rerate(command, clock_.Now(), request->validate_only()));
    return ToProto(rerating);
  });
}

grpc::Status CorrectionServiceImpl::CreditServiceLevel(grpc::ServerContext* context,
                                                       const v1::CreditServiceLevelRequest* request,
                                                       v1::CreditServiceLevelResponse* response) {
  return Handle(context, request, response, [&](const Call& call) -> Result<v1::CreditServiceLevelResponse> {
    ALLOD_TRY(const ServiceLevelCommand command, FromProto(*request, clock_.Now()));
    ALLOD_TRY(const CallGate::Pass pass, TakePlace(gates_.reports, call));
    ALLOD_TRY(const ServiceLevelOutcome outcome,
              store_.CreditServiceLevel(command, clock_.Now(), request->validate_only()));
    return ToProto(outcome);
  });
}

}  // namespace allod::billing::corrections
