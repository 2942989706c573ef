// A unary call as a request to the portal API: the inverse of what gateways do (gateway/portal/transcoder.h), by the
// same google.api.http annotations and with no code per method. Pure.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "services/common/result.h"

namespace allod::cli::net {

struct HttpCall {
  std::string method;
  std::string target;  // path and query below /portal, percent-encoded
  std::string json;    // body; empty: none
};

// FAILED_PRECONDITION / OPERATORS_ONLY for a method that the portal API does not have; INVALID_ARGUMENT / INVALID_NAME
// when the request names nothing that a path of it could have.
Result<HttpCall> HttpCallOf(const google::protobuf::MethodDescriptor& method, const google::protobuf::Message& request);

// Reads the body of a 2xx into `answer`; what a newer gateway says beside is passed over. UNAVAILABLE / NO_GATEWAY for
// what is none.
Status ReadAnswer(std::string_view body, google::protobuf::Message& answer);

// The error that a problem object (RFC 9457) tells of; of another body what the status says. `url` is named then.
Error ErrorOf(int status, std::string_view body, std::string_view url);

}  // namespace allod::cli::net
