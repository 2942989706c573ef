// Answers the portal API: transcodes, calls the service as the principal, transcodes back. No code per method: what a
// principal may see and do, the services decide.
#pragma once

#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/access/admission.h"
#include "gateway/access/limit_table.h"
#include "gateway/access/principal.h"
#include "gateway/http/response_writer.h"
#include "gateway/portal/transcoder.h"

namespace allod::gateway::portal {

struct PortalBackends {
  std::shared_ptr<grpc::Channel> tenancy;
  std::shared_ptr<grpc::Channel> catalog;
  std::shared_ptr<grpc::Channel> billing;
  std::shared_ptr<grpc::Channel> scheduling;
};

class Handler {
 public:
  // All references must outlive this.
  Handler(access::Admission& admission, const access::LimitTable& tenants, const Transcoder& transcoder,
          const PortalBackends& backends, std::chrono::milliseconds timeout);

  // Those that the path takes; none if there is nothing.
  std::vector<std::string> MethodsOf(std::string_view path) const;
  http::Awaitable<void> Handle(const access::Principal& principal, http::Request& request, http::ResponseWriter& out);

 private:
  struct Prepared {
    const PortalRoute* route;
    std::string message;  // serialised
    Caller caller;        // the principal
    access::Admission::Permit permit;
  };
  // `headers` gets those of the rate limit.
  Result<Prepared> Prepare(const access::Principal& principal, const http::Request& request,
                           http::Headers& headers) const;
  http::Awaitable<Result<std::string>> Call(const Prepared& prepared, http::ResponseWriter& out);
  grpc::GenericStub& StubOf(Backend backend);

  access::Admission& admission_;
  const access::LimitTable& tenants_;
  const Transcoder& transcoder_;
  grpc::GenericStub tenancy_;
  grpc::GenericStub catalog_;
  grpc::GenericStub billing_;
  grpc::GenericStub scheduling_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace allod::gateway::portal
