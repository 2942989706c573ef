#include "services/common/request_id.h"

#include <fmt/format.h>

#include "services/common/digest.h"

namespace allod {

Result<RequestId> MakeRequestId(std::string_view text, std::string_view method, std::string_view payload) {
  RequestId out;
  if (text.empty()) return out;
  const auto id = Uuid::Parse(text);
  if (!id || id->is_nil()) {
    return InvalidArgument(
        "INVALID_REQUEST_ID",
        fmt::format("request_id: '{}' is not a UUID; make a new one for each new request and repeat it "
                    "only when you retry",
                    text.substr(0, 64)));
  }
  out.id = *id;
  out.payload_sha256 = Sha256Hex(fmt::format("{}\n{}", method, payload));
  return out;
}

Status CheckSamePayload(const RequestId& request, std::string_view stored_payload_sha256) {
  if (request.payload_sha256 == stored_payload_sha256) return {};
  return Fail(Code::kAlreadyExists, "REQUEST_ID_REUSED",
              fmt::format("request_id {} was used before for a request with other content; use a new UUID",
                          request.id.ToString()));
}

}  // namespace allod
