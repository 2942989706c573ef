// Turns HTTP requests into RPCs and back by what the descriptors say (AIP-127, google/api/http.proto): no code per
// method.
//
// Build once, then const and thread-safe. Everything is assembled as one JSON object (body, query, path) and parsed
// into the request message in one step, so unknown fields are refused in each of them. Field names in JSON are
// lowerCamelCase; the proto's own names are accepted too.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>
#include <vector>

#include "gateway/http/message.h"
#include "gateway/portal/services.h"
#include "services/common/result.h"
#include "services/common/rpc/http_binding.h"

namespace allod::gateway::portal {

struct PortalRoute : HttpBinding {
  const google::protobuf::MethodDescriptor* method;
  Backend backend;
  // Whose operations they are, of google.longrunning.Operations; else null.
  const google::protobuf::ServiceDescriptor* operations_of;

  // `/package.Service/Method`.
  std::string RpcPath() const;
};

class Transcoder {
 public:
  // INVALID_ARGUMENT / INVALID_PATH_TEMPLATE, INVALID_HTTP_RULE names the method whose annotation is broken.
  static Result<Transcoder> Build(const std::vector<PortalService>& services);

  struct Match {
    const PortalRoute* route;
    PathTemplate::Bindings bindings;
  };
  // `path` without the prefix under which the portal is served. NOT_FOUND / UNKNOWN_PATH; UNIMPLEMENTED /
  // METHOD_NOT_ALLOWED when only the method is wrong.
  Result<Match> Find(std::string_view http_method, std::string_view path) const;

  // The HTTP methods that `path` takes; none if there is nothing.
  std::vector<std::string> MethodsOf(std::string_view path) const;

  // The serialised request message. An Idempotency-Key becomes request_id: a UUID as it is, other text as a UUID made
  // from it and `owner` (Principal::request_ids_of), so that those of two projects never meet.
  // INVALID_ARGUMENT / INVALID_REQUEST names the field.
  Result<std::string> EncodeRequest(const Match& match, std::string_view query, std::string_view body,
                                    std::string_view idempotency_key, std::string_view owner) const;
  // JSON of a serialised response message.
  Result<std::string> DecodeResponse(const PortalRoute& route, const std::string& bytes) const;

  const std::vector<PortalRoute>& routes() const { return routes_; }

 private:
  Status AddRoute(const google::protobuf::MethodDescriptor& method, const PortalService& service, HttpBinding binding);
  Status AddService(const PortalService& service);

  std::vector<PortalRoute> routes_;
};

}  // namespace allod::gateway::portal
