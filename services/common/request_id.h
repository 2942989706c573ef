// What makes a mutation's retry safe: the caller's UUID with a fingerprint of what was asked, so that the same id with
// another payload is noticed. Stores keep both beside the name of what the first request made.
#pragma once

#include <string>
#include <string_view>

#include "services/common/ids.h"
#include "services/common/result.h"

namespace allod {

struct RequestId {
  Uuid id;                     // nil: the caller gave none
  std::string payload_sha256;  // 64 hex digits; of the method's name and the payload

  bool given() const { return !id.is_nil(); }
};

// `text` is a request's `request_id` (empty is allowed), `payload` anything that is equal for equal requests.
// INVALID_ARGUMENT / INVALID_REQUEST_ID.
Result<RequestId> MakeRequestId(std::string_view text, std::string_view method, std::string_view payload);

// ALREADY_EXISTS / REQUEST_ID_REUSED unless the stored fingerprint is this request's.
Status CheckSamePayload(const RequestId& request, std::string_view stored_payload_sha256);

}  // namespace allod
