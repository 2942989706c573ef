// Messages of LeaseService to domain values and back; see convert.h.
#pragma once

#include <optional>
#include <vector>

#include "allod/billing/v1/lease.pb.h"
#include "services/billing/store.h"

namespace allod::billing {

// INVALID_ARGUMENT / INVALID_AMOUNT, INVALID_EPOCH, TOO_MANY_TERMS, names and ids as in convert.h.
Result<AdjustLeaseCommand> FromProto(const v1::AdjustLeaseRequest& request);
v1::AdjustLeaseResponse ToProto(const AdjustedLease& lease);

struct EndEarlierCommand {
  Uuid gateway;
  std::vector<Uuid> current;
};
Result<EndEarlierCommand> FromProto(const v1::EndEarlierLeasesRequest& request);

// What of a batch can be decided, and why the rest cannot.
struct SettleBatchParts {
  SettleBatchCommand command;
  std::vector<std::optional<Error>> errors;  // one for each of the request's; none: it is in the command
};
// INVALID_ARGUMENT / BATCH_TOO_LARGE, INVALID_NAME for the whole of it.
Result<SettleBatchParts> FromProto(const v1::SettleBatchRequest& request);
// `results` are of the command's, in that order.
v1::SettleBatchResponse ToProto(const SettleBatchParts& parts, const std::vector<Result<SettledUsage>>& results);

}  // namespace allod::billing
