// Protocol messages of corrections to domain values and back.
#pragma once

#include "allod/billing/v1/correction.pb.h"
#include "services/billing/corrections/correction_store.h"

namespace allod::billing::corrections {

Result<RerateCommand> FromProto(const ::allod::billing::v1::RerateInvoiceRequest& request, Time now);
Result<ServiceLevelCommand> FromProto(const ::allod::billing::v1::CreditServiceLevelRequest& request, Time now);
::allod::billing::v1::RerateInvoiceResponse ToProto(const Rerating& rerating);
Result<::allod::billing::v1::CreditServiceLevelResponse> ToProto(const ServiceLevelOutcome& outcome);

}  // namespace allod::billing::corrections
